use super::*;

#[test]
fn a_name_leads_to_its_first_line_and_a_line_to_its_index() {
    for (at, entry) in ENTRIES.iter().enumerate() {
        let id = NameId::new(entry.known);
        assert_eq!(get(at as u64).unwrap().name, entry.name);
        if entry.known.is_none() {
            assert_eq!(KnownName::from_name(entry.name.as_bytes()), None);
            continue;
        }
        let first = ENTRIES.iter().position(|it| it.name == entry.name);
        assert_eq!(index_of_name(id), first);
        assert_eq!(index_of(id, entry.value), Some(at));
        assert_eq!(index_of(id, b"another"), None);
    }
    assert!(get(99).is_none() && get(u64::MAX).is_none());
    assert_eq!(index_of_name(NameId::UNKNOWN), None);
    assert_eq!(index_of(NameId::UNKNOWN, b"prefetch"), None);
}

#[test]
fn lines_that_appendix_a_lists() {
    for (index, name, value) in [
        (0, ":authority", ""),
        (1, ":path", "/"),
        (2, "age", "0"),
        (4, "content-length", "0"),
        (14, "set-cookie", ""),
        (15, ":method", "CONNECT"),
        (17, ":method", "GET"),
        (21, ":method", "PUT"),
        (23, ":scheme", "https"),
        (24, ":status", "103"),
        (25, ":status", "200"),
        (28, ":status", "503"),
        (29, "accept", "*/*"),
        (31, "accept-encoding", "gzip, deflate, br"),
        (35, "access-control-allow-origin", "*"),
        (41, "cache-control", "public, max-age=31536000"),
        (43, "content-encoding", "gzip"),
        (52, "content-type", "text/html; charset=utf-8"),
        (54, "content-type", "text/plain;charset=utf-8"),
        (
            58,
            "strict-transport-security",
            "max-age=31536000; includesubdomains; preload",
        ),
        (62, "x-xss-protection", "1; mode=block"),
        (63, ":status", "100"),
        (71, ":status", "500"),
        (73, "access-control-allow-credentials", "FALSE"),
        (77, "access-control-allow-methods", "get, post, options"),
        (83, "alt-svc", "clear"),
        (
            85,
            "content-security-policy",
            "script-src 'none'; object-src 'none'; base-uri 'none'",
        ),
        (87, "expect-ct", ""),
        (91, "purpose", "prefetch"),
        (92, "server", ""),
        (95, "user-agent", ""),
        (98, "x-frame-options", "sameorigin"),
    ] {
        let entry = get(index).unwrap();
        assert_eq!((entry.name, entry.value), (name, value.as_bytes()));
    }
}
