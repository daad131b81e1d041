//! `cargo xtask setup`: what the other commands need. Installs only what is missing.

use crate::run::{self, Failure, cargo, command};

/// Debian packages, each with who needs it.
const PACKAGES: &[&str] = &[
    "curl",               // black-box tests
    "python3",            // black-box tests: http.client and raw sockets
    "python3-hpack",      // differential tests of HPACK
    "python3-pip",        // what Debian does not have: PYTHON_PACKAGES
    "python3-hyperframe", // black-box tests: HTTP/2 frames by hand
    "python3-h2",         // black-box tests: another client of HTTP/2
    "nghttp2-client",     // black-box tests: nghttp and h2load
    "nghttp2-server",     // attack: nghttpd, a server to try the kit on
    "nodejs",             // black-box tests: another client of HTTP/2
    "procps",             // looking at processes while working on tests and bench
    "util-linux",         // bench: taskset, prlimit
    "g++",                // fuzz targets: libFuzzer is C++
    "git",                // planted bugs, tidy
    "wrk",                // black-box tests, bench
    "openssl",            // tests of TLS: another client
    "strace",             // black-box tests: system calls that fail
    "faketime",           // black-box tests: a clock that jumps
    "iproute2",           // attack: what the kernel holds for a connection
];

/// Debian packages that only the long tests need.
const PACKAGES_HEAVY: &[&str] = &[
    "chromium", // the browser test
    "valgrind", // sanitizers
];

/// Packages of PyPI, each with its version; into `target/python`, where nothing else sees them.
const PYTHON_PACKAGES: &[(&str, &str)] = &[
    ("pylsqpack", "1.0.0"), // differential tests of QPACK
    ("aioquic", "1.7.2"),   // black-box tests: another client of HTTP/3
];

/// Programs installed by cargo: crate, version, how to ask for it.
///
/// Pinned, so that a new release of one does not change what passes.
const TOOLS: &[(&str, &str, &[&str])] = &[
    ("cargo-deny", "0.20.2", &["deny", "--version"]),
    ("cargo-fuzz", "0.13.2", &["fuzz", "--version"]),
    ("cargo-hack", "0.6.46", &["hack", "--version"]),
    // Of the rustdoc JSON that the compiler writes: format 57, Rust 1.95.
    ("cargo-public-api", "0.52.0", &["public-api", "--version"]),
    ("mdbook", "0.5.4", &[]),
];

/// With what the long tests need, if `heavy`.
pub(crate) fn run(heavy: bool) -> Result<(), Failure> {
    install_packages(if heavy { PACKAGES_HEAVY } else { &[] })?;
    for &(package, version) in PYTHON_PACKAGES {
        install_python_package(package, version)?;
    }
    for &(tool, version, ask) in TOOLS {
        if installed_version(tool, ask).as_deref() == Some(version) {
            println!("{tool} {version} is installed");
            continue;
        }
        // The `dev` profile builds in a fraction of the time, and these run for seconds.
        let exact = format!("={version}");
        cargo(&[
            "install",
            "--locked",
            "--quiet",
            "--force",
            "--profile",
            "dev",
            "--version",
            &exact,
            tool,
        ])
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .run()?;
    }
    Ok(())
}

fn install_packages(more: &[&'static str]) -> Result<(), Failure> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .chain(more)
        .copied()
        .filter(|package| !is_package_installed(package))
        .collect();
    if missing.is_empty() {
        println!("all Debian packages are installed");
        return Ok(());
    }
    if command("apt-get", &["--version"]).output().is_none() {
        return Err(Failure::new(format!(
            "this is no Debian system; install what these packages hold: {}",
            missing.join(" ")
        )));
    }
    apt_get(&["update", "-q"])?;
    let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
    install.extend(missing);
    apt_get(&install)
}

fn install_python_package(package: &str, version: &str) -> Result<(), Failure> {
    let folder = run::root().join("target/python");
    if folder
        .join(format!("{package}-{version}.dist-info"))
        .exists()
    {
        println!("{package} {version} is installed");
        return Ok(());
    }
    let folder = folder.display().to_string();
    let exact = format!("{package}=={version}");
    // Debian's own, which runs the tests; another `python3` may come first in PATH.
    command(
        "/usr/bin/python3",
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--upgrade",
            "--target",
            &folder,
            &exact,
        ],
    )
    .run()
}

fn is_package_installed(package: &str) -> bool {
    command("dpkg-query", &["-W", "-f=${Status}", package])
        .output()
        .is_some_and(|status| status.contains("install ok installed"))
}

fn apt_get(arguments: &[&str]) -> Result<(), Failure> {
    let is_root = command("id", &["-u"])
        .output()
        .is_some_and(|id| id.trim() == "0");
    let mut words = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get"];
    words.extend(arguments);
    if is_root {
        command("env", &words).run()
    } else {
        // sudo drops the environment: `env` stands behind it.
        words.splice(0..0, ["-n", "env"]);
        command("sudo", &words).run()
    }
}

/// The version of a tool: cargo's subcommands are asked through cargo.
fn installed_version(tool: &str, ask: &[&str]) -> Option<String> {
    let output = if ask.is_empty() {
        run::command(tool, &["--version"]).output()
    } else {
        cargo(ask).output()
    }?;
    // `cargo-deny 0.20.2`, `mdbook v0.5.4`
    let version = output.split_whitespace().nth(1)?;
    Some(version.trim_start_matches('v').to_owned())
}
