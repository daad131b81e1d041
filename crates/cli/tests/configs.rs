//! What `ajayserver check` says of configurations, word by word, and what `explain` makes of good
//! ones. `BLESS=1 cargo test -p ajayserver-cli --test configs` writes the expected texts anew.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ajayserver"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("AJAYSERVER_TEST_NOT_SET")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{stderr}{}", String::from_utf8_lossy(&output.stdout))
}

fn configs(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    names
}

/// Tells whether a text is as it was, or writes it.
fn is_as_expected(path: &Path, found: &str) -> bool {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, found).unwrap();
        return true;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected != found {
        eprintln!("{}\nexpected:\n{expected}\nfound:\n{found}", path.display());
    }
    expected == found
}

#[test]
fn every_mistake_is_told_as_it_is_written_down() {
    let directory = directory("bad-configs");
    let names = configs(&directory);
    assert!(names.len() >= 40, "{} bad configurations", names.len());
    let mut wrong = Vec::new();
    for name in &names {
        let output = run(&directory, &["check", name]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        assert!(text(&output).contains("error: "), "{name}");
        let golden = directory.join(name.replace(".toml", ".txt"));
        if !is_as_expected(&golden, &text(&output)) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "other messages: {wrong:?}");
}

/// What to ask of each good configuration.
const QUESTIONS: &[(&str, &[&[&str]])] = &[
    ("small.toml", &[&["GET", "http://any.example:8080/"]]),
    (
        "two-sites.toml",
        &[
            &["GET", "http://a.example:8080/assets/a.css"],
            &["POST", "http://a.example:8080/assets/a.css"],
            &["GET", "http://x.y.a.example:8080/%6fld/b/../c%2e"],
            &["GET", "http://a.example:8080/a%2Fb"],
            &["GET", "http://b.example:8080/users/7"],
            &["GET", "http://b.example/users/7", "-H", "X-Beta: yes"],
            &["GET", "http://b.example:8443/2024/?q"],
            &["GET", "http://b.example:8443/other"],
            &["GET", "http://c.example:8080/"],
            &["GET", "https://b.example/"],
        ],
    ),
    (
        "warnings.toml",
        &[
            &["GET", "http://localhost:8080/a"],
            &["PUT", "http://localhost:8080/a"],
        ],
    ),
    (
        "options.toml",
        &[
            &["GET", "http://localhost:8080/a?a=1"],
            &["GET", "http://localhost:8080/a?a=1&b"],
            &["GET", "http://localhost:8080/a?a=1", "--client", "10.0.0.1"],
        ],
    ),
    ("include.toml", &[&["GET", "http://c.example:8080/"]]),
];

#[test]
fn good_configurations_route_as_it_is_written_down() {
    let directory = directory("good-configs");
    let names: Vec<&str> = QUESTIONS.iter().map(|(name, _)| *name).collect();
    for name in configs(&directory) {
        assert!(names.contains(&&*name), "no questions about {name}");
    }
    let mut wrong = Vec::new();
    for (name, questions) in QUESTIONS {
        let output = run(&directory, &["check", name]);
        assert!(output.status.success(), "{name}: {}", text(&output));
        let mut found = text(&output);
        for question in *questions {
            let mut arguments = vec!["explain", "--config", name];
            arguments.extend(*question);
            let output = run(&directory, &arguments);
            assert!(output.status.success(), "{question:?}: {}", text(&output));
            let stdout = String::from_utf8_lossy(&output.stdout);
            found += &format!("\n$ explain {}\n{stdout}", question.join(" "));
        }
        let golden = directory.join(name.replace(".toml", ".txt"));
        if !is_as_expected(&golden, &found) {
            wrong.push(*name);
        }
    }
    assert!(wrong.is_empty(), "other answers: {wrong:?}");
}
