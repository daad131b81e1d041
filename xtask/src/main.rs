//! The repository's own commands, run as `cargo xtask COMMAND`. What CI runs is here, so that it
//! can be run anywhere.

#![forbid(unsafe_code)]
// Its output is for a person at a terminal.
#![allow(clippy::print_stdout)]

mod check;
mod run;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

use run::Failure;

const HELP: &str = "\
cargo xtask COMMAND

  setup        install what the other commands need: Debian packages, cargo tools
               (`cargo xtask setup heavy`: and what test-heavy needs)
  test         all tests: unit, integration, examples, documentation
  test-heavy   the long tests: simulation, a browser, fuzz smoke, planted bugs
               (one of them: cargo xtask test-heavy simulation|browser|fuzz|planted)
  check        formatting, lints, rustdoc, licences and sources, the book
  tidy         rules of our own: sizes, dependency direction, tables that match the code
  ci           what .ci/run runs: all of the above
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["setup"] => setup::run(false),
        ["setup", "heavy"] => setup::run(true),
        ["test"] => test::all(),
        ["test-heavy"] => test::heavy(test::HEAVY),
        ["test-heavy", part] => test::heavy(&[part]),
        ["check"] => check::run(),
        ["tidy"] => tidy::run(),
        ["ci"] => ci(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(Failure::new(format!("usage:\n{HELP}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// One script, so that there is one list.
fn ci() -> Result<(), Failure> {
    run::command("bash", &[".ci/run"]).run()
}
