//! The reference of all keys, made of their declarations, and compared with the one in the
//! documentation. `BLESS=1 cargo test -p ajayserver-cli reference` writes it anew.

use std::fmt::Write;
use std::path::Path;

use super::keys::*;
use super::read::{Context, Key, Kind};
use crate::args::Limits;

const HEAD: &str = "\
# Configuration

Every key of `ajayserver.toml`, see [the guide](../guide/configuration.md). This page is made from the
program's own tables: `BLESS=1 cargo test -p ajayserver-cli reference` writes it.

Where a type is made of text (a path, size, time, address and so on), `{ env = \"NAME\" }` takes the text from
the environment, and `{ file = \"PATH\" }` from a file that holds it alone; line ends at its end are left out.
Sizes are bytes or `16k`, `4m`, `1g` (powers of 1024); times are `500ms`, `10s`, `2m`, `1h`, and a bare
number is seconds. Relative paths begin at the directory of the file that names them. Keys that are not
listed are errors.
";

#[test]
fn the_reference_names_every_key() {
    let found = reference();
    let path = super::tests::in_repository("docs/src/reference/configuration.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == found,
        "{} is not what the tables say; see the top of this file",
        path.display()
    );
}

const SECTIONS: [Section; 15] = [
    ("The file", "", File::KEYS),
    ("`[server]`", "", Server::KEYS),
    (
        "`[[site]]`",
        "Besides, the keys of sites and routes below.",
        Site::KEYS,
    ),
    (
        "`[[site.route]]`",
        "Exactly one of `files`, `respond`, `redirect` and `rewrite`. Besides, the keys of sites and routes below.",
        Route::KEYS,
    ),
    ("`match`", "", Match::KEYS),
    ("`files`", "", FilesAnswer::KEYS),
    ("`respond`", "", RespondAnswer::KEYS),
    ("`redirect`", "", RedirectAnswer::KEYS),
    (
        "Keys of sites and routes",
        "What a route says takes the place of what its site says, key by key. All but `limits` and `compression` may be `\"off\"`: so a route is without what its site has.",
        Options::KEYS,
    ),
    ("`headers`", "", Headers::KEYS),
    ("`limits` of sites and routes", "", RouteLimits::KEYS),
    ("`basic_auth`", "", BasicAuthTable::KEYS),
    ("`rate_limit`", "", RateLimitTable::KEYS),
    ("`cors`", "", CorsTable::KEYS),
    ("`hsts`", "", HstsTable::KEYS),
];

fn reference() -> String {
    let mut text = HEAD.to_owned();
    for (title, also, keys) in SECTIONS {
        let _ = write!(text, "\n## {title}\n\n");
        if !also.is_empty() {
            let _ = write!(text, "{also}\n\n");
        }
        text.push_str("| key | type | default | example | |\n|---|---|---|---|---|\n");
        for key in keys {
            let example = match key.example {
                "" => String::new(),
                example => format!("`{example}`"),
            };
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {example} | {} |",
                key.name,
                key.kind,
                key.default,
                sentence(key.text)
            );
        }
    }
    text.push_str("\n## `[server.limits]`\n\n");
    text.push_str("The limits of the [command line](limits.md), with the same meaning.\n\n");
    text.push_str("| key | type | |\n|---|---|---|\n");
    for key in Limits::KEYS {
        let kind = key.kind.replace('|', " or ").to_lowercase();
        let _ = writeln!(text, "| `{}` | {kind} | {} |", key.name, sentence(key.text));
    }
    text
}

/// Comments begin with a space; a bar would end the cell.
fn sentence(text: &str) -> String {
    text.trim().replace('|', "\\|")
}

/// The keys of a table, by its title, with what is said of it.
type Section = (&'static str, &'static str, &'static [Key]);

#[test]
fn every_example_is_understood() {
    for (title, _, keys) in SECTIONS {
        // The example of a password hash names a file.
        let keys = keys.iter().filter(|key| key.name != "users");
        for key in keys.filter(|key| !key.example.is_empty()) {
            let mut context = Context::default();
            let text = format!("it = {}\n", key.example);
            let root = context.parse("example".to_owned(), Path::new(""), text);
            let is_read = match &root.kind {
                Kind::Table(keys) => (key.read)(&keys[0].1, &mut context),
                _ => false,
            };
            let report = context.problems.render(&context.sources);
            assert!(
                is_read && report.is_empty(),
                "{title}: {}: {report}",
                key.name
            );
        }
    }
}
