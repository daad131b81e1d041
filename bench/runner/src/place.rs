//! Where things are, and the `{names}` for it in the TOML files.

use crate::error::{Context as _, Result, fail};
use std::{
    env,
    path::{Path, PathBuf},
};

pub struct Dirs {
    /// The repository.
    pub root: PathBuf,
    /// `bench/` in it.
    pub bench: PathBuf,
    /// cargo's target directory of this run; peers are built into it too.
    pub target: PathBuf,
}

impl Dirs {
    pub fn find() -> Result<Self> {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or_else(|| fail!("the runner's crate is not inside bench/"))?
            .to_path_buf();
        let root = bench
            .parent()
            .ok_or_else(|| fail!("bench/ is not inside a repository"))?
            .to_path_buf();
        let runner = env::current_exe().context(|| "find the runner's own file".into())?;
        // <target>/release/runner
        let target = runner
            .parent()
            .and_then(Path::parent)
            .ok_or_else(|| fail!("{} is not in a target directory", runner.display()))?
            .to_path_buf();
        Ok(Self {
            root,
            bench,
            target,
        })
    }

    /// What a peer writes while it runs: configuration, logs, pid files.
    pub fn run(&self, peer: &str) -> PathBuf {
        self.target.join("run").join(peer)
    }

    /// What loads send and peers serve, made by [`crate::files`].
    pub fn files(&self) -> PathBuf {
        self.target.join("files")
    }

    pub fn names(&self) -> Names {
        Names::default()
            .with("root", self.root.display())
            .with("bench", self.bench.display())
            .with("target", self.target.display())
            .with("files", self.files().display())
    }
}

/// Values for `{names}`.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<(&'static str, String)>);

impl Names {
    pub fn with(&self, name: &'static str, value: impl ToString) -> Self {
        let mut names = self.clone();
        names.0.push((name, value.to_string()));
        names
    }

    /// Replaces every `{name}`; braces around anything else stay. An unknown name is an error.
    pub fn fill(&self, text: &str) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from_open) = rest.split_at(open);
            filled.push_str(before);
            let inside = &from_open[1..];
            let name_end = inside
                .find(|c: char| !c.is_ascii_lowercase())
                .unwrap_or(inside.len());
            if name_end == 0 || !inside[name_end..].starts_with('}') {
                filled.push('{');
                rest = inside;
                continue;
            }
            let name = &inside[..name_end];
            let (_, value) = self
                .0
                .iter()
                .find(|(known, _)| *known == name)
                .ok_or_else(|| fail!("{{{name}}} in {text:?} is unknown here"))?;
            filled.push_str(value);
            rest = &inside[name_end + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    pub fn fill_all(&self, words: &[String]) -> Result<Vec<String>> {
        words.iter().map(|word| self.fill(word)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn fills_names_and_leaves_other_braces() {
        let names = Names::default().with("port", 80).with("threads", 2);
        let filled = names.fill("{port}:{threads} { x } {} {a b {").unwrap();
        assert_eq!(filled, "80:2 { x } {} {a b {");
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        assert!(Names::default().fill("a {port} b").is_err());
    }
}
