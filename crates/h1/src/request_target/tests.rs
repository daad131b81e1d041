use super::*;

#[test]
fn parts_of_an_absolute_form_are_checked() {
    for (text, violation) in [
        ("http://a/%4", Violation::TargetPercentInvalid),
        ("http://a/?%zz", Violation::TargetPercentInvalid),
        ("http://a/<", Violation::TargetInvalid),
        ("http://a/?<", Violation::TargetInvalid),
        ("http://a@b/", Violation::TargetAuthorityInvalid),
    ] {
        let parts = other_form(text.as_bytes(), 0, &Method::GET);
        assert_eq!(parts, Err(violation), "{text}");
    }
}
