use super::layers::{Manifest, check_manifest};
use super::*;

fn problems_of(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    check_text(path, text, &mut problems);
    problems
}

#[test]
fn functions_are_measured() {
    let text = "\
impl A {
    pub(crate) async fn first<T>(&self) -> T
    where
        T: Default,
    {
        if true {
        }
        T::default()
    }

    fn declared(&self);
    const fn short() -> u8 { 1 }
}

fn empty() {}

fn last(
    a: u8,
) {
    a;
}
";
    let found: Vec<(&str, usize, usize)> = functions(text)
        .iter()
        .map(|function| (function.name, function.line, function.lines))
        .collect();
    assert_eq!(
        found,
        [
            ("first", 2, 8),
            ("declared", 11, 1),
            ("short", 12, 1),
            ("empty", 15, 1),
            ("last", 17, 5),
        ]
    );
}

#[test]
fn only_functions_are_functions() {
    assert_eq!(
        function_name("    pub const unsafe fn a(b: u8) {"),
        Some("a")
    );
    assert_eq!(function_name("pub(in crate::x) fn a<T>() {"), Some("a"));
    assert_eq!(function_name("extern \"C\" fn a() {"), Some("a"));
    assert_eq!(function_name("    let f: fn() = a;"), None);
    assert_eq!(function_name("/// fn a() {"), None);
    assert_eq!(function_name("call(fn_name);"), None);
}

#[test]
fn long_functions_and_files_are_found_in_sources_only() {
    let long = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(100));
    let path = "crates/h1/src/a.rs";
    assert_eq!(
        problems_of(path, &long),
        ["crates/h1/src/a.rs:1: `a` has 102 lines; more than 100"]
    );
    assert!(problems_of("crates/h1/src/a/tests.rs", &long).is_empty());
    assert!(problems_of("crates/h1/tests/a.rs", &long).is_empty());
    let file = "// a\n".repeat(801);
    assert_eq!(
        problems_of(path, &file),
        ["crates/h1/src/a.rs: 801 lines; more than 800"]
    );
    assert!(problems_of(path, &"// a\n".repeat(800)).is_empty());
}

#[test]
fn machine_paths_and_leftovers_are_found() {
    let path = format!("see {}someone/x\n", machine_paths()[0]);
    assert_eq!(problems_of("README.md", &path).len(), 1);
    assert!(problems_of("README.md", "see docs/x\n").is_empty());
    let [todo, fixme, dbg] = leftovers();
    let text = format!("// {todo}\n// {fixme}\nlet a = {dbg}b);\n");
    assert_eq!(problems_of("crates/h1/src/a.rs", &text).len(), 3);
    assert!(problems_of("CONTRIBUTING.md", &text).is_empty());
}

#[test]
fn manifests_are_read() {
    let text = "\
[package]
name = \"ajay-x\"
version.workspace = true

[dependencies]
ajay-http.workspace = true
bytes = \"1\"
tokio = { version = \"1\", features = [\"rt\"] }

[target.'cfg(unix)'.dependencies]
libc = \"0.2\"

[dependencies.http]
version = \"1\"

[dev-dependencies]
proptest.workspace = true
";
    assert_eq!(
        Manifest::parse(text),
        Manifest {
            name: "ajay-x",
            dependencies: vec!["ajay-http", "bytes", "tokio", "libc", "http"],
        }
    );
}

#[test]
fn edges_point_downwards() {
    let problems = |name: &str, dependency: &str| {
        let manifest =
            format!("[package]\nname = \"{name}\"\n[dependencies]\n{dependency} = \"1\"\n");
        let mut problems = Vec::new();
        check_manifest(&manifest, &mut problems);
        problems.len()
    };
    assert_eq!(problems("ajay-h1", "ajay-http"), 0);
    assert_eq!(problems("ajay-engine", "ajay-h1"), 0);
    assert_eq!(problems("ajay-engine", "tokio"), 0);
    assert_eq!(problems("ajayserver-cli", "ajayserver"), 0);
    assert_eq!(problems("ajay-http", "ajay-h1"), 1, "upwards");
    assert_eq!(problems("ajay-h2", "ajay-h1"), 1, "sideways");
    assert_eq!(problems("ajay-h1", "tokio"), 1, "I/O in a core");
    assert_eq!(
        problems("ajayserver-cli", "ajay-engine"),
        1,
        "around the library"
    );
    assert_eq!(problems("ajay-new", "bytes"), 1, "no layer");
}

#[test]
fn tables_and_code_are_read() {
    let source = "    /// Bytes.\n    pub head_bytes_max: u32,\n    pub const X: u32 = 1;\n    pub fn a(b: u8) {\n";
    assert_eq!(tables::public_fields(source), ["head_bytes_max"]);
    let source = "    Requests => \"requests\",\n            $($variant => $name,)+\n";
    assert_eq!(tables::counter_names(source), ["requests"]);
    let source = "    BareCr = BAD_REQUEST, \"CR without LF\";\n    let a = b;\n";
    assert_eq!(tables::violations(source), [("BareCr".to_owned(), "400")]);
    let source = "    PingLength = connection FRAME_SIZE_ERROR, \"x\";\n    \
                  PathTooLong = response URI_TOO_LONG, \"y\";\n    BareCr = BAD_REQUEST, \"z\";\n";
    let effects = [
        ("PingLength", "connection FRAME_SIZE_ERROR"),
        ("PathTooLong", "response 414"),
    ];
    assert_eq!(
        tables::effects(source),
        effects.map(|(name, effect)| (name.to_owned(), effect.to_owned()))
    );
    let page = "| name | what |\n|---|---|\n| `a_b` | see `c` |\n";
    assert_eq!(tables::first_cells(page), ["a_b"]);
}

#[test]
fn modules_with_unsafe_code_are_in_the_table() {
    let table = "| module | why |\n|---|---|\n| `crates/a/src/known.rs` | x |\n| `crates/a/src/safe.rs` | x |\n";
    let allowed = "//! Doc.\n\n#![allow(unsafe_code)]\n".to_owned();
    let sources = [
        ("crates/a/src/lib.rs", "#![deny(unsafe_code)]\n".to_owned()),
        ("crates/a/src/known.rs", allowed.clone()),
        ("crates/a/src/new.rs", allowed),
        ("crates/a/src/safe.rs", "// unsafe_code\n".to_owned()),
        ("crates/b/src/lib.rs", String::new()),
    ];
    let mut problems = Vec::new();
    unsafe_modules::compare(table, &sources, &mut problems);
    let of = |path: &str| problems.iter().filter(|it| it.contains(path)).count();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert_eq!((of("new.rs"), of("safe.rs"), of("b/src/lib.rs")), (1, 1, 1));
}
