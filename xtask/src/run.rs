//! Running other programs from the root of the repository.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a command of ours failed: a sentence for a person.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// A program and its arguments.
pub(crate) struct Run {
    command: Command,
    shown: String,
}

pub(crate) fn command(program: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null());
    // Set by the `cargo run` that started us; it must not reach another package's build.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(variable);
    }
    let shown = std::iter::once(&program)
        .chain(arguments)
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    Run { command, shown }
}

pub(crate) fn cargo(arguments: &[&str]) -> Run {
    // `CARGO` names the one of the toolchain that built us.
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut run = command(&cargo, arguments);
    run.shown = format!("cargo {}", arguments.join(" "));
    run
}

impl Run {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Run {
        self.command.env(name, value);
        self.shown = format!("{name}={value} {}", self.shown);
        self
    }

    /// Runs it with its output on ours.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        println!("$ {}", self.shown);
        let status = self.command.status().map_err(|error| self.failed(&error))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(&status))
        }
    }

    /// Runs it, shows its output line by line and gives each line to `see`. Says whether it
    /// succeeded.
    pub(crate) fn watch(mut self, mut see: impl FnMut(&str)) -> Result<bool, Failure> {
        println!("$ {}", self.shown);
        // One pipe for both streams keeps their lines in order.
        let (reader, writer) = std::io::pipe().map_err(|error| self.failed(&error))?;
        let other = writer.try_clone().map_err(|error| self.failed(&error))?;
        self.command.stdout(writer).stderr(other);
        let mut child = self.command.spawn().map_err(|error| self.failed(&error))?;
        // The ends of the pipe that the command holds are ours; without them the reader ends.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .map_err(|error| self.failed(&error))?
            > 0
        {
            let _ = std::io::stdout().write_all(&line);
            see(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        let status = child.wait().map_err(|error| self.failed(&error))?;
        Ok(status.success())
    }

    /// What it prints, or nothing if it cannot be run or fails.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.command.output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn failed(&self, why: &dyn fmt::Display) -> Failure {
        Failure::new(format!("`{}` failed: {why}", self.shown))
    }
}
