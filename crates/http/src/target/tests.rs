use super::*;

fn valid(text: &str) -> Authority {
    authority(text.as_bytes()).unwrap_or_else(|| panic!("{text:?} is an authority"))
}

#[test]
fn hosts_and_ports_are_told_apart() {
    assert_eq!(
        valid("a"),
        Authority {
            host_is_empty: false,
            port: None
        }
    );
    assert_eq!(
        valid("a:80"),
        Authority {
            host_is_empty: false,
            port: Some(80)
        }
    );
    assert_eq!(
        valid("a:"),
        Authority {
            host_is_empty: false,
            port: None
        }
    );
    assert_eq!(
        valid(":80"),
        Authority {
            host_is_empty: true,
            port: Some(80)
        }
    );
    assert_eq!(
        valid(""),
        Authority {
            host_is_empty: true,
            port: None
        }
    );
    assert_eq!(valid("[::1]:65535").port, Some(65_535));
    assert_eq!(valid("[::ffff:1.2.3.4]").port, None);
    assert_eq!(valid("a.b-c_d~e!$&'()*+,;=%41f:00080").port, Some(80));
}

#[test]
fn what_is_no_authority_is_refused() {
    for text in [
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "a@b",
        "a:b",
        "a:80:80",
        "a:65536",
        "a:99999999999",
        "a:-1",
        "a:+1",
        "a: 80",
        "[::1",
        "::1",
        "[]",
        "[::1]a",
        "[::1]]",
        "[1.2.3.4]",
        "[v.a]",
        "[vg.a]",
        "[v1.]",
        "[v1.a/]",
        "[::1%25eth0]",
        "a%",
        "a%4",
        "a%zz",
        "a\\b",
        "a\"",
        "<a>",
        "a^b",
        "a|b",
        "a\u{e9}",
        "a\0",
        "a\x7f",
    ] {
        assert_eq!(authority(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn ports_are_decimal_and_bounded() {
    for number in 0..=70_000_u32 {
        let expected = u16::try_from(number).ok();
        assert_eq!(port(number.to_string().as_bytes()), expected);
    }
}

#[test]
fn classes_are_the_abnf_and_what_browsers_send() {
    for byte in 0..=255_u8 {
        let class = TARGET_CLASSES[usize::from(byte)];
        let pchar =
            class::is_unreserved(byte) || class::is_sub_delim(byte) || b":@".contains(&byte);
        let path = pchar || byte == b'/' || b"|^[]".contains(&byte);
        let query = path || b"?`{}\\".contains(&byte);
        assert_eq!(class & IN_PATH != 0, path, "{byte:#x}");
        assert_eq!(class & IN_QUERY != 0, query, "{byte:#x}");
    }
}

#[test]
fn percent_signs_need_two_digits_at_every_place() {
    for good in [
        "",
        "/",
        "/%41",
        "%41",
        "/%41%2f",
        "/a%41b%2Fc",
        "/abcdefg%00",
        "%ff%FF%aA",
    ] {
        assert_eq!(check(good.as_bytes(), IN_PATH), Ok(()), "{good}");
    }
    for (bad, violation) in [
        ("%", InvalidTarget::Percent),
        ("/%4", InvalidTarget::Percent),
        ("/%g0", InvalidTarget::Percent),
        ("/%0g", InvalidTarget::Percent),
        ("/%%41", InvalidTarget::Percent),
        ("/%41%4", InvalidTarget::Percent),
        ("/%41%zz", InvalidTarget::Percent),
        ("/%41a%zz", InvalidTarget::Percent),
        ("/%41?", InvalidTarget::Byte),
        ("/%41<", InvalidTarget::Byte),
        ("/%41ab<", InvalidTarget::Byte),
    ] {
        assert_eq!(check(bad.as_bytes(), IN_PATH), Err(violation), "{bad}");
    }
    assert_eq!(pct_encoded(b"4"), None);
    assert_eq!(
        pct_encoded(b"g"),
        Some(false),
        "known before the second digit"
    );
}

#[test]
fn a_path_is_cut_from_its_query() {
    assert_eq!(check_path_and_query(b"/"), Ok(None));
    assert_eq!(check_path_and_query(b"/a%2Fb?"), Ok(Some(7)));
    assert_eq!(check_path_and_query(b"/a?b=?{c}"), Ok(Some(3)));
}

#[test]
fn bytes_stand_where_they_may() {
    for (text, invalid) in [
        (&b"/a b"[..], InvalidTarget::Byte),
        (b"/{", InvalidTarget::Byte),
        (b"/#", InvalidTarget::Byte),
        (b"/?\xff", InvalidTarget::Byte),
        (b"/\0", InvalidTarget::Byte),
        (b"/%", InvalidTarget::Percent),
        (b"/%4", InvalidTarget::Percent),
        (b"/?%4g", InvalidTarget::Percent),
    ] {
        assert_eq!(check_path_and_query(text), Err(invalid), "{text:?}");
    }
}
