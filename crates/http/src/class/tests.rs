use super::*;

fn members(table: &Table) -> Vec<u8> {
    (0..=255).filter(|&byte| table[usize::from(byte)]).collect()
}

fn sorted(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes.sort_unstable();
    bytes
}

const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[test]
fn tables_hold_exactly_their_class() {
    assert_eq!(
        members(&TCHAR),
        sorted(&[ALPHANUMERIC, b"!#$%&'*+-.^_`|~"].concat())
    );
    assert_eq!(
        members(&PATH),
        sorted(&[ALPHANUMERIC, b"-._~!$&'()*+,;=:@/"].concat())
    );
    assert_eq!(
        members(&REG_NAME),
        sorted(&[ALPHANUMERIC, b"-._~!$&'()*+,;="].concat())
    );
    for byte in 0..=255u8 {
        let value = byte == 9 || (byte >= 32 && byte != 127);
        assert_eq!(FIELD_VALUE[usize::from(byte)], value, "{byte:#x}");
        assert_eq!(
            QDTEXT[usize::from(byte)],
            value && byte != b'"' && byte != b'\\',
            "{byte:#x}"
        );
    }
}

#[test]
fn whitespace_is_trimmed_on_both_sides_only() {
    assert_eq!(trim_ows(b" \t a b\t "), b"a b");
    assert_eq!(trim_ows(b" \t"), b"");
    assert_eq!(trim_ows(b"\ra"), b"\ra");
}

#[test]
fn lists_split_at_commas_outside_of_quotes() {
    let list = |text: &'static str| -> Vec<&[u8]> { list_elements(text.as_bytes()).collect() };
    assert_eq!(list("a, b\t,c"), [&b"a"[..], b"b", b"c"]);
    assert_eq!(list(",, a ,"), [&b"a"[..]]);
    assert_eq!(list(""), Vec::<&[u8]>::new());
    assert_eq!(list(r#"a="x,\",y", b"#), [&br#"a="x,\",y""#[..], b"b"]);
    let raw: Vec<&[u8]> = raw_list_elements(b"a,,b,").collect();
    assert_eq!(raw, [&b"a"[..], b"", b"b", b""]);
}
