use super::*;

fn span(start: u32, len: u32) -> Span {
    Span { start, len }
}

#[test]
fn an_empty_head_answers_every_question() {
    let head = RequestHead::new();
    assert_eq!(head.method(), Method::GET);
    assert_eq!(head.target(), "");
    assert_eq!(head.path(), "");
    assert_eq!(head.query(), None);
    assert_eq!(head.authority(), None);
    assert_eq!(head.scheme(), None);
}

#[test]
fn parts_are_read_from_the_buffer() {
    let mut head = RequestHead::new();
    head.fields_mut()
        .set_bytes(b"GET http://a:80/b?c HTTP/1.1\r\n");
    head.fields_mut().append("host", "other").unwrap();
    head.set_target(TargetParts {
        form: TargetForm::Absolute,
        target: span(4, 15),
        path: span(15, 2),
        query: Some(span(18, 1)),
        authority: Some(span(11, 4)),
        scheme: Some(span(4, 4)),
    });
    assert_eq!(head.target(), "http://a:80/b?c");
    assert_eq!(head.path(), "/b");
    assert_eq!(head.query(), Some("c"));
    assert_eq!(head.authority(), Some("a:80"));
    assert_eq!(head.scheme(), Some("http"));
    head.set_target(TargetParts::default());
    assert_eq!(head.authority(), Some("other"));
    head.fields_mut().set("host", "").unwrap();
    assert_eq!(head.authority(), None);
}

#[test]
fn an_absolute_form_without_a_path_has_the_root() {
    let mut head = RequestHead::new();
    head.set_target(TargetParts {
        form: TargetForm::Absolute,
        ..TargetParts::default()
    });
    assert_eq!(head.path(), "/");
}

#[test]
fn spans_outside_of_the_buffer_are_empty() {
    assert_eq!(span(2, 2).of(b"abc"), b"");
    assert_eq!(span(u32::MAX, u32::MAX).of(b"abc"), b"");
}
