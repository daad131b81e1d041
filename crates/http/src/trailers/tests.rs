use super::*;

#[test]
fn what_is_refused_is_never_sent() {
    assert!(REFUSED.iter().all(|&field| is_ignored(field)));
    assert!(!is_ignored(KnownField::ContentDigest));
    assert!(!is_ignored(KnownField::ServerTiming));
    assert!(!is_ignored(KnownField::Etag));
}
