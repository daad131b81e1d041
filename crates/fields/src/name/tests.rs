use super::*;

fn all() -> impl Iterator<Item = KnownName> {
    let pseudo = PseudoField::ALL.iter().copied().map(KnownName::Pseudo);
    pseudo.chain(KnownField::ALL.iter().copied().map(KnownName::Field))
}

#[test]
fn names_and_ids_lead_back_to_where_they_came_from() {
    for name in all() {
        assert_eq!(KnownName::from_name(name.as_str().as_bytes()), Some(name));
        assert_eq!(NameId::new(Some(name)).known(), Some(name));
    }
    assert_eq!(NameId::new(None).known(), None);
    let ids: std::collections::HashSet<_> = all()
        .map(|name| NameId::new(Some(name)).as_usize())
        .collect();
    assert_eq!(ids.len(), all().count());
}

#[test]
fn another_case_is_another_name() {
    for name in [
        &b"Host"[..],
        b"hosT",
        b":Path",
        b"",
        b":",
        b"content-Type",
        b"paths",
    ] {
        assert_eq!(KnownName::from_name(name), None);
    }
}
