use super::*;

#[test]
fn names_that_imitate_framing_fields_are_recognised() {
    for name in [
        "content_length",
        "Content_Length",
        "transfer_encoding",
        "TRANSFER_ENCODING",
    ] {
        assert!(imitates_framing(name.as_bytes()), "{name}");
    }
    for name in [
        "content-length",
        "content_type__",
        "transfer_encodings",
        "x_y",
        "",
    ] {
        assert!(!imitates_framing(name.as_bytes()), "{name}");
    }
}

#[test]
fn whitespace_around_values_is_counted() {
    assert_eq!(trim(b"a"), (0, 1));
    assert_eq!(trim(b" \ta b\t "), (2, 3));
    assert_eq!(trim(b" \t "), (3, 0));
    assert_eq!(trim(b""), (0, 0));
}

/// What was checked is not looked at again: it could be anything by then.
#[test]
fn a_line_is_resumed_where_it_was_left() {
    const LIMIT: LineLimit = LineLimit {
        lines_max: 1,
        violation: Violation::TooManyFieldLines,
    };
    for (first, value) in [
        (&b"Accept: te"[..], 7),
        (b"Accept: te\r", 7),
        (b"X-Own:t", 6),
    ] {
        let mut section = FieldSection::new();
        let mut lines = FieldLines::starting_at(0);
        let parsed = lines.parse(first, &mut section, LIMIT);
        assert_eq!(parsed, Ok(None));
        let mut input = first.strip_suffix(b"\r").unwrap_or(first).to_vec();
        input[..value].fill(0);
        input.extend_from_slice(b"xt\r\n\r\n");
        let parsed = lines.parse(&input, &mut section, LIMIT);
        assert_eq!(parsed, Ok(Some(input.len())));
        assert_eq!(section.len(), 1);
    }
    // A name that is not complete goes on as well.
    let mut lines = FieldLines::starting_at(0);
    let mut section = FieldSection::new();
    assert_eq!(lines.parse(b"X-", &mut section, LIMIT), Ok(None));
    assert_eq!(lines.parse(b"\0-Own", &mut section, LIMIT), Ok(None));
    assert_eq!(lines.checked(), 5);
}

/// Lines as nearly all are take a way of their own: it must end with the same values and the same limit.
#[test]
fn whitespace_around_the_values_of_known_fields_is_no_part_of_them() {
    const LIMIT: LineLimit = LineLimit {
        lines_max: 1,
        violation: Violation::TooManyFieldLines,
    };
    let around = ["", " ", "  ", "\t", " \t"];
    for (before, after) in around
        .iter()
        .flat_map(|before| around.map(|after| (before, after)))
    {
        for value in ["x", "text/html, x;q=0.9"] {
            let input = format!("Accept:{before}{value}{after}\r\n\r\n");
            let mut section = FieldSection::new();
            let parsed = FieldLines::starting_at(0).parse(input.as_bytes(), &mut section, LIMIT);
            assert_eq!(parsed, Ok(Some(input.len())), "{input:?}");
            section.set_bytes(input.as_bytes());
            assert_eq!(
                section.get(KnownField::Accept),
                Some(value.as_bytes()),
                "{input:?}"
            );
        }
    }
}

#[test]
fn known_fields_count_towards_the_limit() {
    const LIMIT: LineLimit = LineLimit {
        lines_max: 2,
        violation: Violation::TooManyFieldLines,
    };
    for (lines, parsed) in [(2, Ok(Some(26))), (3, Err(Violation::TooManyFieldLines))] {
        let input = format!("{}\r\n", "Accept: te\r\n".repeat(lines));
        let mut section = FieldSection::new();
        let result = FieldLines::starting_at(0).parse(input.as_bytes(), &mut section, LIMIT);
        assert_eq!(result, parsed, "{lines} lines");
    }
}
