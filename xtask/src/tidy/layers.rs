//! Which crate may depend on which.

use std::path::Path;

use crate::run::Failure;

/// The layers from the bottom up. A crate may depend on crates of lower layers only.
const LAYERS: &[&[&str]] = &[
    &["ajay-http"],
    &["ajay-fields"],
    &["ajay-mux"],
    &["ajay-h1", "ajay-h2", "ajay-h3"],
    &["ajay-tls"],
    &["ajay-engine"],
    &["ajayserver"],
    &["ajayserver-cli"],
];

/// Up to this layer a crate is a core or its vocabulary: no socket, clock, async, thread, TLS.
const CORES_TO: usize = 3;

/// Crates that would bring such things into a core.
const NOT_IN_CORES: &[&str] = &[
    "async-std",
    "futures",
    "libc",
    "mio",
    "polling",
    "quinn",
    "quinn-proto",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tracing",
];

pub(super) fn check(root: &Path, problems: &mut Vec<String>) -> Result<(), Failure> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    };
    let crates = std::fs::read_dir(root.join("crates"))
        .map_err(|error| Failure::new(format!("crates: {error}")))?;
    for entry in crates.flatten() {
        let manifest = entry.path().join("Cargo.toml");
        if manifest.exists() {
            check_manifest(&read(&manifest)?, problems);
        }
    }
    Ok(())
}

pub(super) fn check_manifest(text: &str, problems: &mut Vec<String>) {
    let manifest = Manifest::parse(text);
    let name = manifest.name;
    let Some(layer) = layer_of(name) else {
        problems.push(format!(
            "crates: `{name}` has no place in the layers of xtask/src/tidy/layers.rs"
        ));
        return;
    };
    for dependency in manifest.dependencies {
        if let Some(below) = layer_of(dependency) {
            if below >= layer {
                problems.push(format!(
                    "crates: `{name}` depends on `{dependency}`, which is not below it"
                ));
            } else if name == "ajayserver-cli" && dependency != "ajayserver" {
                problems.push(format!(
                    "crates: the binary uses the public library only, not `{dependency}`"
                ));
            }
        } else if layer <= CORES_TO && NOT_IN_CORES.contains(&dependency) {
            problems.push(format!(
                "crates: the core `{name}` depends on `{dependency}`"
            ));
        }
    }
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// What we need of a manifest.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Manifest<'a> {
    pub(super) name: &'a str,
    /// Of the product; what only tests use may be anything.
    pub(super) dependencies: Vec<&'a str>,
}

impl<'a> Manifest<'a> {
    /// Reads the part of TOML that our manifests are written in: a table header or one key a line.
    pub(super) fn parse(text: &'a str) -> Manifest<'a> {
        let mut manifest = Manifest::default();
        let mut table = "";
        for line in text.lines().map(str::trim) {
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_end_matches(']');
                // `[dependencies.name]`
                if let Some((kind, name)) = table.rsplit_once('.')
                    && is_dependencies(kind)
                {
                    manifest.dependencies.push(name);
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let key = key.trim();
            if table == "package" && key == "name" {
                manifest.name = value.trim().trim_matches('"');
            } else if is_dependencies(table) {
                // `name = "1"`, `name = { … }`, `name.workspace = true`
                manifest
                    .dependencies
                    .push(key.split('.').next().unwrap_or(key));
            }
        }
        manifest
    }
}

/// `dependencies`, `build-dependencies`, and both under `target.….`.
fn is_dependencies(table: &str) -> bool {
    let kind = table.rsplit_once('.').map_or(table, |(_, kind)| kind);
    matches!(kind, "dependencies" | "build-dependencies")
}
