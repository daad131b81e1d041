//! `cargo xtask test` and `cargo xtask test-heavy`.

use std::time::SystemTime;

use crate::run::{Failure, cargo, command, root};

/// Everything, in the form a contributor runs all day.
pub(crate) fn all() -> Result<(), Failure> {
    let mut tally = Tally::default();
    tally.cargo_test(&["--workspace", "--all-targets", "--locked"], &[])?;
    // `--all-targets` leaves out the examples in documentation.
    tally.cargo_test(&["--workspace", "--doc", "--locked"], &[])?;
    tally.finish()
}

/// The parts of the long tests.
pub(crate) const HEAVY: &[&str] = &[
    "simulation",
    "networks",
    "browser",
    "fuzz",
    "sanitizers",
    "planted",
];

/// Seeds of a long simulation; the ordinary test run takes far fewer.
const SIM_SEEDS: &str = "10000";
/// Each planted bug is tried on one of so many days: `.ci/run` shall end within 45 minutes.
const PLANTED_DAYS: u64 = 4;
/// Seconds for each fuzz target, unless `AJAY_FUZZ_SECONDS` says otherwise.
const FUZZ_SECONDS: &str = "8";

/// Runs all parts that are named, also after one has failed, and tells at the end which did.
pub(crate) fn heavy(parts: &[&str]) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for part in parts {
        println!("--- test-heavy: {part}");
        let result = match *part {
            "simulation" => simulation(),
            "networks" => ignored("http3_networks"),
            "browser" => ignored("browser"),
            "fuzz" => fuzz(),
            "sanitizers" => crate::sanitizers::run(),
            "planted" => planted(),
            other => Err(Failure::new(format!(
                "there is no `{other}`; there are {}",
                HEAVY.join(", ")
            ))),
        };
        if let Err(failure) = result {
            failures.push(format!("{part}: {failure}"));
        }
    }
    if failures.is_empty() {
        println!("test-heavy: passed: {}", parts.join(", "));
        return Ok(());
    }
    Err(Failure::new(format!(
        "test-heavy:\n  {}",
        failures.join("\n  ")
    )))
}

/// The tests once more, optimised and with many more seeds.
fn simulation() -> Result<(), Failure> {
    let mut tally = Tally::default();
    let rest = ["--tests", "--locked", "--profile", "heavy"];
    // Most of the black-box tests wait for deadlines, which no optimisation shortens.
    let cores = [&["--workspace", "--exclude", "ajay-blackbox"], &rest[..]].concat();
    tally.cargo_test(&cores, &[("AJAY_SIM_SEEDS", SIM_SEEDS)])?;
    let chaos = ["--package", "ajay-blackbox", "--test", "chaos"];
    tally.cargo_test(&[&chaos, &rest[1..]].concat(), &[])?;
    tally.finish()
}

/// The tests of a suite that are too long, or need too much, for every day; one after another, and with what
/// they measured.
fn ignored(suite: &str) -> Result<(), Failure> {
    let mut tally = Tally::default();
    tally.cargo_test(
        &[
            "--package",
            "ajay-blackbox",
            "--test",
            suite,
            "--locked",
            "--profile",
            "heavy",
            "--",
            "--ignored",
            "--test-threads=1",
            "--show-output",
        ],
        &[],
    )?;
    tally.finish()
}

/// A short run of each fuzz target from its committed corpus, which is not changed. What it finds
/// stays in `fuzz/artifacts`.
fn fuzz() -> Result<(), Failure> {
    let fuzz = root().join("fuzz");
    if !fuzz.join("Cargo.toml").exists() {
        return Err(Failure::new("there is no fuzz/Cargo.toml"));
    }
    let Some(targets) = cargo(&["fuzz", "list"]).output() else {
        return Err(Failure::new(
            "cargo-fuzz is not installed; run `cargo xtask setup`",
        ));
    };
    let seconds = std::env::var("AJAY_FUZZ_SECONDS").unwrap_or_else(|_| FUZZ_SECONDS.to_owned());
    let seconds = format!("-max_total_time={seconds}");
    let mut failed = Vec::new();
    for target in targets.lines() {
        // New inputs go to the first directory.
        let new = fuzz.join("target/new").join(target);
        std::fs::create_dir_all(&new)
            .map_err(|error| Failure::new(format!("{}: {error}", new.display())))?;
        let new = new.display().to_string();
        let corpus = fuzz.join("corpus").join(target).display().to_string();
        // Address sanitizer needs a nightly compiler; the cores forbid unsafe code.
        let mut run = vec!["fuzz", "run", "--sanitizer", "none", target, &new];
        if std::path::Path::new(&corpus).is_dir() {
            run.push(&corpus);
        }
        run.extend(["--", &seconds, "-print_final_stats=1"]);
        if cargo(&run).run().is_err() {
            failed.push(target);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("findings in {}", failed.join(", "))))
}

/// Plants bugs in a worktree of their own and expects the tests to fail: those of a day, since all of them take
/// half an hour; with `AJAY_PLANTED=all` all of them.
fn planted() -> Result<(), Failure> {
    if !root().join("planted/run").exists() {
        return Err(Failure::new("there is no planted/run"));
    }
    if std::env::var("AJAY_PLANTED").is_ok_and(|value| value == "all") {
        return command("bash", &["planted/run"]).run();
    }
    let since_1970 = SystemTime::UNIX_EPOCH.elapsed();
    let days = since_1970.map_or(0, |time| time.as_secs() / (24 * 60 * 60));
    let mut words = vec!["planted/run".to_owned()];
    for patch in patches()? {
        let number: Option<u64> = patch.split('-').next().and_then(|it| it.parse().ok());
        let number =
            number.ok_or_else(|| Failure::new(format!("planted/{patch} begins with no number")))?;
        if number % PLANTED_DAYS == days % PLANTED_DAYS {
            words.push(format!("{:02}-", number));
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    command("bash", &words).run()
}

/// Names of the bugs' files.
fn patches() -> Result<Vec<String>, Failure> {
    let folder = root().join("planted");
    let failure = |error| Failure::new(format!("{}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failure)? {
        let name = entry.map_err(failure)?.file_name();
        names.extend(
            name.to_str()
                .filter(|it| it.ends_with(".patch"))
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

/// Adds up the closing lines of the test runners.
#[derive(Default)]
struct Tally {
    runner: String,
    lines: Vec<String>,
    passed: u64,
    failed: u64,
    broken: bool,
}

impl Tally {
    fn cargo_test(
        &mut self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let mut all = vec!["test", "--no-fail-fast"];
        all.extend(arguments);
        let mut run = cargo(&all);
        for (name, value) in variables {
            run = run.env(name, value);
        }
        self.broken |= !run.watch(|line| self.see(line))?;
        Ok(())
    }

    fn see(&mut self, line: &str) {
        let trimmed = line.trim_start();
        if let Some(runner) = trimmed
            .strip_prefix("Running ")
            .or_else(|| trimmed.strip_prefix("Doc-tests "))
        {
            // `unittests src/lib.rs (target/debug/deps/ajay_h1-0123456789abcdef)`
            let name = runner.rsplit_once("deps/").map_or(runner, |(_, name)| name);
            name.trim_end_matches(')').clone_into(&mut self.runner);
            return;
        }
        let Some(result) = trimmed.strip_prefix("test result: ") else {
            return;
        };
        let count = |what: &str| {
            result
                .split([';', '.'])
                .filter_map(|part| part.trim().strip_suffix(what))
                .find_map(|number| number.trim().parse::<u64>().ok())
                .unwrap_or(0)
        };
        let (passed, failed) = (count("passed"), count("failed"));
        self.passed += passed;
        self.failed += failed;
        if passed + failed > 0 {
            self.lines.push(format!("{trimmed} ({})", self.runner));
        }
    }

    fn finish(self) -> Result<(), Failure> {
        println!("\nsummary:");
        for line in &self.lines {
            println!("{line}");
        }
        if self.broken && self.failed == 0 {
            println!("not all tests were built and run");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.broken || self.failed > 0 {
            return Err(Failure::new("tests failed"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/ajay_h1-01)",
            "running 2 tests",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s",
            "   Doc-tests ajayserver",
            "test result: FAILED. 1 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "     Running unittests src/main.rs (target/debug/deps/none-02)",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            tally.see(line);
        }
        assert_eq!((tally.passed, tally.failed), (3, 4));
        assert_eq!(tally.lines.len(), 2);
        assert!(tally.lines[0].starts_with("test result: ok. 2 passed"));
        assert!(tally.lines[0].ends_with("(ajay_h1-01)"));
        assert!(tally.lines[1].ends_with("(ajayserver)"));
        assert!(tally.finish().is_err());
    }
}
