use super::*;

fn options(lines: &[&str]) -> ConnectionOptions {
    let mut fields = FieldSection::new();
    for line in lines {
        fields.append_known(KnownField::Connection, line).unwrap();
    }
    ConnectionOptions::of(&fields)
}

#[test]
fn options_are_read_from_all_lines_in_any_case() {
    assert_eq!(options(&[]), ConnectionOptions::default());
    assert!(options(&["close"]).close);
    assert!(options(&["Keep-Alive"]).keep_alive);
    assert!(options(&["UPGRADE"]).upgrade);
    let all = ConnectionOptions {
        close: true,
        keep_alive: true,
        upgrade: true,
    };
    assert_eq!(options(&["x, close,keep-alive ,, y", "upgrade"]), all);
}

#[test]
fn what_only_looks_like_an_option_is_none() {
    for line in [
        "",
        ",",
        "closed",
        "clos",
        "keep alive",
        "keep_alive",
        "\"close\"",
        "close;a",
        "x-upgrade",
    ] {
        assert_eq!(options(&[line]), ConnectionOptions::default(), "{line:?}");
    }
}
