//! `cargo xtask test-heavy sanitizers`: the engine's unit tests under AddressSanitizer, and those of what
//! has unsafe code under valgrind.
//!
//! All unsafe code is in that crate; `docs/src/design/unsafe.md` says where and why.

use crate::run::{Failure, cargo, command};

/// AddressSanitizer is built for a target that is named, so that build scripts and procedural macros
/// go without.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Tests of modules with unsafe code, and of those that go through them. The others would take valgrind
/// minutes.
const UNDER_VALGRIND: &[&str] = &[
    "admission::",
    "inherit",
    "mapping::",
    "process::",
    "systemd::",
];

/// Among them, those that do the same some hundred thousand times: a minute under valgrind.
const TOO_LONG: &[&str] = &["workers_that_count_at_once", "a_full_house"];

pub(crate) fn run() -> Result<(), Failure> {
    address_sanitizer()?;
    valgrind()
}

fn address_sanitizer() -> Result<(), Failure> {
    let build = [
        "test",
        "--package",
        "ajay-engine",
        "--lib",
        "--locked",
        "--target",
        TARGET,
        // Other flags than everybody else's: what was built with those must stay.
        "--target-dir",
        "target/sanitizers",
    ];
    cargo(&build)
        // A stable compiler refuses the flag otherwise.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        // What is forgotten on purpose is no fault: payloads of panics, texts of tests.
        .env(
            "ASAN_OPTIONS",
            "detect_leaks=0:detect_stack_use_after_return=1",
        )
        .run()
}

fn valgrind() -> Result<(), Failure> {
    let build = [
        "test",
        "--package",
        "ajay-engine",
        "--lib",
        "--locked",
        "--no-run",
    ];
    let mut program = None;
    let is_built = cargo(&build).watch(|line| {
        // `Executable unittests src/lib.rs (target/debug/deps/ajay_engine-0123456789abcdef)`
        if let Some((_, path)) = line.split_once("src/lib.rs (") {
            program = Some(path.trim_end_matches(')').to_owned());
        }
    })?;
    let program = program.filter(|_| is_built);
    let program = program.ok_or_else(|| Failure::new("the engine's tests are not built"))?;
    let mut run = vec![
        "--quiet",
        "--error-exitcode=9",
        "--leak-check=no",
        &program,
        "--test-threads=1",
    ];
    run.extend(UNDER_VALGRIND);
    run.extend(TOO_LONG.iter().flat_map(|name| ["--skip", name]));
    command("valgrind", &run).run()
}
