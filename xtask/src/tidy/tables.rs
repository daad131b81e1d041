//! The reference tables name what the code has: nothing is missing, nothing is stale.

use std::path::Path;

use crate::run::Failure;

pub(super) fn check(root: &Path, problems: &mut Vec<String>) -> Result<(), Failure> {
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path))
            .map_err(|error| Failure::new(format!("{path}: {error}")))
    };

    let page = "docs/src/reference/limits.md";
    let text = read(page)?;
    let mut names = public_fields(&read("crates/http/src/limits.rs")?);
    names.extend(public_fields(&read("crates/engine/src/config.rs")?));
    let groups = [
        "limits",
        "connections",
        "http2",
        "http3",
        "quic",
        "deadlines",
        "sockets",
        "blocking",
    ];
    names.retain(|name| !groups.contains(&name.as_str()));
    // Most of what there is to set for HTTP/2 stands on its own page.
    let of_http2 = public_fields(&read("crates/h2/src/config.rs")?);
    names.retain(|name| name == "concurrent_streams_max" || !of_http2.contains(name));
    for name in names.iter_mut().filter(|name| *name == "cleartext") {
        "http2_cleartext".clone_into(name);
    }
    let of_quic = public_fields(&read("crates/engine/src/config/quic.rs")?);
    names.extend(of_quic.into_iter().filter(|name| name != "budgets"));
    compare(page, &names, &first_cells(&text), problems);

    let page = "docs/src/reference/counters.md";
    let names = counter_names(&read("crates/engine/src/counters.rs")?);
    compare(page, &names, &first_cells(&read(page)?), problems);

    let page = "docs/src/reference/http1.md";
    let text = read(page)?;
    let rules = violations(&read("crates/h1/src/error.rs")?);
    let names: Vec<String> = rules.iter().map(|(name, _)| name.clone()).collect();
    compare(page, &names, &first_cells(&text), problems);
    for (name, status) in &rules {
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")));
        if row.is_some_and(|row| !row.contains(&format!("| {status} |"))) {
            problems.push(format!("{page}: the status of `{name}` is {status}"));
        }
    }
    for core in ["2", "3"] {
        check_core(core, &read, problems)?;
    }
    Ok(())
}

/// The page of HTTP/2 or 3 has its rules with their effects, its limits and its budgets.
fn check_core(
    core: &str,
    read: &impl Fn(&str) -> Result<String, Failure>,
    problems: &mut Vec<String>,
) -> Result<(), Failure> {
    let page = &format!("docs/src/reference/http{core}.md");
    let text = read(page)?;
    let rules = effects(&read(&format!("crates/h{core}/src/error.rs"))?);
    let mut names: Vec<String> = rules.iter().map(|(name, _)| name.clone()).collect();
    names.extend(public_fields(&read(&format!(
        "crates/h{core}/src/config.rs"
    ))?));
    names.extend(public_fields(&read(&format!(
        "crates/h{core}/src/budgets.rs"
    ))?));
    // What holds other fields, and what each budget has.
    names.retain(|name| !["limits", "budgets", "burst", "per_second"].contains(&name.as_str()));
    compare(page, &names, &first_cells(&text), problems);
    for (name, effect) in &rules {
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")));
        if row.is_some_and(|row| !row.contains(&format!("| {effect} |"))) {
            problems.push(format!("{page}: the effect of `{name}` is {effect}"));
        }
    }
    Ok(())
}

fn compare(page: &str, code: &[String], table: &[String], problems: &mut Vec<String>) {
    for name in code.iter().filter(|name| !table.contains(name)) {
        problems.push(format!("{page}: `{name}` is missing"));
    }
    for name in table.iter().filter(|name| !code.contains(name)) {
        problems.push(format!("{page}: `{name}` is not in the code"));
    }
}

/// The names in backticks that begin a table's row.
pub(super) fn first_cells(page: &str) -> Vec<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The fields of public structs: `pub name: Type,`.
pub(super) fn public_fields(source: &str) -> Vec<String> {
    source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "))
        .filter(|(name, _)| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        })
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// `Variant => "name",` of the counters' declaration.
pub(super) fn counter_names(source: &str) -> Vec<String> {
    source
        .lines()
        .filter_map(|line| line.split_once(" => \"")?.1.strip_suffix("\","))
        .map(str::to_owned)
        .collect()
}

/// `Variant = STATUS, "text";` of the violations' declaration, with the status as a number.
pub(super) fn violations(source: &str) -> Vec<(String, &'static str)> {
    source
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.trim().strip_suffix("\";")?.split_once(" = ")?;
            let (status, _) = rest.split_once(", \"")?;
            Some((name.to_owned(), status_code(status)))
        })
        .collect()
}

/// `Variant = kind CODE, "text";` of the declaration of HTTP/2's violations.
pub(super) fn effects(source: &str) -> Vec<(String, String)> {
    source
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.trim().strip_suffix("\";")?.split_once(" = ")?;
            let (kind, code) = rest.split_once(", \"")?.0.split_once(' ')?;
            let code = match kind {
                "response" => status_code(code),
                _ => code,
            };
            Some((name.to_owned(), format!("{kind} {code}")))
        })
        .collect()
}

/// The constants of the `http` crate that violations use.
fn status_code(constant: &str) -> &'static str {
    match constant {
        "BAD_REQUEST" => "400",
        "PAYLOAD_TOO_LARGE" => "413",
        "URI_TOO_LONG" => "414",
        "EXPECTATION_FAILED" => "417",
        "REQUEST_HEADER_FIELDS_TOO_LARGE" => "431",
        "NOT_IMPLEMENTED" => "501",
        "HTTP_VERSION_NOT_SUPPORTED" => "505",
        _ => "a status that xtask/src/tidy/tables.rs does not know",
    }
}
