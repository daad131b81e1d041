use super::*;
use crate::KnownField as Known;

fn lines(section: &FieldSection) -> Vec<(String, Vec<u8>)> {
    section
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect()
}

fn line(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

#[test]
fn lines_come_back_in_order() {
    let mut section = FieldSection::new();
    assert!(section.is_empty());
    assert_eq!(section.capacity_bytes(), 0);
    section.append("Host", "a").unwrap();
    section.append("X-Own", "b").unwrap();
    section.append_known(Known::Accept, b" c\t").unwrap();
    section.append("x-own", "").unwrap();
    assert_eq!(section.len(), 4);
    assert_eq!(
        lines(&section),
        [
            line("host", "a"),
            line("X-Own", "b"),
            line("accept", "c"),
            line("x-own", "")
        ]
    );
    assert_eq!(section.get(Known::Accept), Some(&b"c"[..]));
    assert_eq!(section.get(Known::Cookie), None);
    assert_eq!(section.get_name("X-OWN"), Some(&b"b"[..]));
    assert_eq!(section.get_name("HOST"), Some(&b"a"[..]));
    assert_eq!(section.get_name("own"), None);
    assert!(section.contains_any(&[Known::Cookie, Known::Host]));
    assert!(!section.contains_any(&[Known::Cookie, Known::SetCookie]));
}

#[test]
fn repeated_fields_are_counted_and_replaced() {
    let mut section = FieldSection::new();
    section.append("set-cookie", "1").unwrap();
    section.append("x", "2").unwrap();
    section.append("Set-Cookie", "3").unwrap();
    assert_eq!(section.count(Known::SetCookie), 2);
    assert_eq!(
        section.get_all(Known::SetCookie).collect::<Vec<_>>(),
        [b"1", b"3"]
    );
    assert_eq!(section.get_all(Known::Cookie).count(), 0);
    section.set("set-COOKIE", "4").unwrap();
    section.set("X", "5").unwrap();
    assert_eq!(lines(&section), [line("set-cookie", "4"), line("X", "5")]);
    assert!(section.remove("set-cookie"));
    assert!(!section.remove("set-cookie"));
    assert!(section.remove("x"));
    assert!(!section.contains(Known::SetCookie));
    assert!(section.is_empty());
}

#[test]
fn what_would_split_a_message_is_refused() {
    let mut section = FieldSection::new();
    for name in ["", " a", "a ", "a:", "a\r", "a\n", "ä", "a\0"] {
        assert_eq!(
            section.append(name, "v"),
            Err(InvalidField::Name),
            "{name:?}"
        );
        assert_eq!(section.set(name, "v"), Err(InvalidField::Name), "{name:?}");
    }
    assert_eq!(
        section.append(vec![b'a'; 65_536], "v"),
        Err(InvalidField::Name)
    );
    for value in ["a\rb", "a\nb", "a\0b", "\x7f", "\x1b", "\r\n"] {
        assert_eq!(
            section.append("Host", value),
            Err(InvalidField::Value),
            "{value:?}"
        );
        assert_eq!(
            section.append("own", value),
            Err(InvalidField::Value),
            "{value:?}"
        );
        assert_eq!(
            section.set("own", value),
            Err(InvalidField::Value),
            "{value:?}"
        );
    }
    assert!(section.is_empty());
    section.append("own", b"a\tb \xff").unwrap();
    assert_eq!(section.get_name("own"), Some(&b"a\tb \xff"[..]));
}

#[test]
fn a_failed_set_keeps_what_was_there() {
    let mut section = FieldSection::new();
    section.append("host", "a").unwrap();
    section.append("own", "b").unwrap();
    assert!(section.set("host", "\n").is_err());
    assert!(section.set("own", "\n").is_err());
    assert_eq!(lines(&section), [line("host", "a"), line("own", "b")]);
}

#[test]
fn clearing_keeps_the_memory_and_shrinking_gives_it_back() {
    let mut section = FieldSection::new();
    section.append("own", vec![b'v'; 4000]).unwrap();
    section.append("host", "a").unwrap();
    let held = section.capacity_bytes();
    section.clear();
    assert_eq!(section.capacity_bytes(), held);
    assert!(!section.contains(Known::Host));
    section.shrink_to(100, 2);
    assert!(section.capacity_bytes() <= 200);
}

#[test]
fn secrets_are_not_printed() {
    let mut section = FieldSection::new();
    for name in [
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
    ] {
        section.append(name, "secret").unwrap();
    }
    section.append("host", b"\xff\"").unwrap();
    let text = format!("{section:?}");
    assert!(!text.contains("secret"), "{text}");
    assert!(text.contains(r#""host": "\xff\"""#), "{text}");
}

#[test]
fn retain_recomputes_what_is_present() {
    let mut section = FieldSection::new();
    section.append("host", "a").unwrap();
    section.append("cookie", "b").unwrap();
    section.append("cookie", "c").unwrap();
    section.append("own", "d").unwrap();
    section.retain(|known, value| known != Some(Known::Host) && value != b"b");
    assert_eq!(lines(&section), [line("cookie", "c"), line("own", "d")]);
    assert!(!section.contains(Known::Host));
    assert!(section.contains(Known::Cookie));
}

#[test]
fn lines_of_one_name_are_joined() {
    let mut section = FieldSection::new();
    section.join(KnownField::Cookie, b"; ");
    assert!(section.is_empty());
    for (name, value) in [
        ("a", "1"),
        ("cookie", "x=1"),
        ("b", "2"),
        ("cookie", ""),
        ("cookie", "y=2"),
    ] {
        section.append(name, value).unwrap();
    }
    section.join(KnownField::Cookie, b"; ");
    let lines: Vec<_> = section.iter().collect();
    assert_eq!(
        lines,
        [("a", &b"1"[..]), ("cookie", b"x=1; ; y=2"), ("b", b"2")]
    );
    assert_eq!(section.count(KnownField::Cookie), 1);
}
