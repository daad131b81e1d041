//! Where things stand in files, and what is wrong there, as people read it.

use std::fmt::Write;
use std::ops::Range;

/// A piece of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    file: u32,
    start: u32,
    end: u32,
}

impl Span {
    pub(crate) fn new(file: usize, range: Range<usize>) -> Span {
        // Files are bounded by `FILE_BYTES_MAX`.
        Span {
            file: file as u32,
            start: range.start as u32,
            end: range.end as u32,
        }
    }

    pub(crate) fn start(self) -> u32 {
        self.start
    }

    /// In which file, by its number.
    pub(crate) fn file(self) -> usize {
        self.file as usize
    }
}

/// A value with the place where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) span: Span,
    pub(crate) value: T,
}

/// The text of a file, and how people call it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Where each line begins.
    lines: Vec<u32>,
}

impl Source {
    pub(crate) fn new(name: String, text: String) -> Source {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let begins = ends.map(|(at, _)| at as u32 + 1);
        let lines = std::iter::once(0).chain(begins).collect();
        Source { name, text, lines }
    }

    /// The number of the line where a span begins, from 1.
    pub(crate) fn line(&self, span: Span) -> usize {
        self.lines.partition_point(|begin| *begin <= span.start)
    }
}

/// Whether it keeps the configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
}

/// One thing that is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) level: Level,
    pub(crate) message: String,
    /// None where there is no file to point into.
    pub(crate) span: Option<Span>,
    /// What stands beside the caret.
    pub(crate) hint: Option<String>,
    /// Another place that has to do with it.
    pub(crate) also: Option<(Span, &'static str)>,
}

/// All that is wrong, gathered while reading and checking.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    all: Vec<Problem>,
    errors: usize,
}

impl Problems {
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Problem {
        self.push(Level::Error, Some(span), message.into())
    }

    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Problem {
        self.push(Level::Warning, Some(span), message.into())
    }

    pub(crate) fn error_nowhere(&mut self, message: impl Into<String>) -> &mut Problem {
        self.push(Level::Error, None, message.into())
    }

    fn push(&mut self, level: Level, span: Option<Span>, message: String) -> &mut Problem {
        self.errors += usize::from(level == Level::Error);
        self.all.push(Problem {
            level,
            message,
            span,
            hint: None,
            also: None,
        });
        let last = self.all.len() - 1;
        &mut self.all[last]
    }

    pub(crate) fn count(&self, level: Level) -> usize {
        match level {
            Level::Error => self.errors,
            Level::Warning => self.all.len() - self.errors,
        }
    }

    /// Everything, in the order of the files, with the lines it is about.
    pub(crate) fn render(&self, sources: &[Source]) -> String {
        let mut sorted: Vec<&Problem> = self.all.iter().collect();
        sorted.sort_by_key(|it| it.span.map(|span| (span.file, span.start)));
        let mut text = String::new();
        for problem in sorted {
            problem.render(sources, &mut text);
        }
        text
    }
}

impl Problem {
    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Problem {
        self.hint = Some(hint.into());
        self
    }

    /// "Did you mean", if one of the names is near enough.
    pub(crate) fn nearest<'a>(
        &mut self,
        name: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> &mut Problem {
        if let Some(nearest) = nearest(name, names) {
            self.hint = Some(format!("did you mean `{nearest}`?"));
        }
        self
    }

    pub(crate) fn also(&mut self, span: Span, what: &'static str) -> &mut Problem {
        self.also = Some((span, what));
        self
    }

    fn render(&self, sources: &[Source], text: &mut String) {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let _ = writeln!(text, "{level}: {}", self.message);
        match self.span {
            Some(span) => excerpt(sources, span, self.hint.as_deref().unwrap_or(""), text),
            None => {
                if let Some(hint) = &self.hint {
                    let _ = writeln!(text, "  = {hint}");
                }
            }
        }
        if let Some((span, what)) = self.also {
            excerpt(sources, span, what, text);
        }
        text.push('\n');
    }
}

/// The line of a span, with carets below it.
fn excerpt(sources: &[Source], span: Span, label: &str, text: &mut String) {
    let source = &sources[span.file()];
    let (whole, start) = (&source.text, span.start as usize);
    let line_start = whole[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = whole[start..]
        .find('\n')
        .map_or(whole.len(), |at| start + at);
    let number = source.line(span);
    let column = whole[line_start..start].chars().count() + 1;
    let line = whole[line_start..line_end].trim_end_matches('\r');
    let marked = &whole[start..(span.end as usize).min(line_end).max(start)];
    let carets = "^".repeat(marked.trim_end().chars().count().max(1));
    let margin = " ".repeat(number.to_string().len());
    // A tab is one column wide here, so that the caret is where it should be.
    let line = line.replace('\t', " ");
    let space = " ".repeat(column - 1);
    let label = match label {
        "" => String::new(),
        label => format!(" {label}"),
    };
    let _ = writeln!(text, "{margin}--> {}:{number}:{column}", source.name);
    let _ = writeln!(text, "{margin} |");
    let _ = writeln!(text, "{number} | {line}");
    let _ = writeln!(text, "{margin} | {space}{carets}{label}");
}

/// The one of these names that was probably meant.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&name, other);
    let best = names.into_iter().min_by_key(|other| distance(other))?;
    // A third of the letters may be wrong: more is another word.
    let allowed = (name.len().max(best.len()) / 3).max(1);
    (distance(best) <= allowed).then_some(best)
}
