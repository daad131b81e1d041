//! The repository's own commands, run as `cargo xtask COMMAND`. What CI runs is here, so that it
//! can be run anywhere.

#![forbid(unsafe_code)]
// Its output is for a person at a terminal.
#![allow(clippy::print_stdout)]

mod api;
mod check;
mod run;
mod sanitizers;
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
  test-heavy   the long tests: simulation, bad networks, a browser, fuzz smoke, sanitizers, planted bugs
               (one: cargo xtask test-heavy simulation|networks|browser|fuzz|sanitizers|planted)
  check        formatting, lints, rustdoc, features, public API, licences and sources, the book
  api          the public API of ajayserver against crates/server/public-api.txt
               (`cargo xtask api --bless` writes it)
  tidy         rules of our own: sizes, dependency direction, tables that match the code
  ci           what .ci/run runs: all of the above
";

fn main() -> ExitCode {
    if let Some(code) = api::as_rustdoc() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["setup"] => setup::run(false),
        ["setup", "heavy"] => setup::run(true),
        ["test"] => test::all(),
        ["test-heavy"] => test::heavy(test::HEAVY),
        ["test-heavy", part] => test::heavy(&[part]),
        ["check"] => check::run(),
        ["api"] => api::run(false),
        ["api", "--bless"] => api::run(true),
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
