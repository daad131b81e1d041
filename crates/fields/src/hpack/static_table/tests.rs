use super::*;

#[test]
fn a_name_leads_to_its_first_line_and_a_line_to_its_index() {
    for (at, entry) in ENTRIES.iter().enumerate() {
        let index = index_of_name(NameId::new(Some(entry.name))).unwrap();
        assert_eq!(get(index).unwrap().name, entry.name);
        assert!(index == 1 || get(index - 1).unwrap().name != entry.name);
        assert_eq!(index_of(entry.name, entry.value), Some(at + 1));
        assert_eq!(index_of(entry.name, b"another"), None);
    }
    assert!(get(0).is_none() && get(62).is_none());
    assert_eq!(index_of_name(NameId::UNKNOWN), None);
}

#[test]
fn lines_that_appendix_a_lists() {
    for (index, name, value) in [
        (1, ":authority", ""),
        (2, ":method", "GET"),
        (5, ":path", "/index.html"),
        (7, ":scheme", "https"),
        (8, ":status", "200"),
        (14, ":status", "500"),
        (16, "accept-encoding", "gzip, deflate"),
        (28, "content-length", ""),
        (38, "host", ""),
        (54, "server", ""),
        (61, "www-authenticate", ""),
    ] {
        let entry = get(index).unwrap();
        assert_eq!((entry.name.as_str(), entry.value), (name, value.as_bytes()));
    }
}
