use super::*;

#[test]
fn the_table_has_all_codes_that_have_a_phrase() {
    // Where the `http` crate differs from RFC 9110 §15.
    let renamed = [
        (203, "Non-Authoritative Information"),
        (413, "Content Too Large"),
        (422, "Unprocessable Content"),
    ];
    for code in 100..=999 {
        let status = StatusCode::from_u16(code).unwrap();
        let ours = renamed
            .iter()
            .find(|(renamed, _)| *renamed == code)
            .map(|(_, phrase)| *phrase);
        let phrase = ours.or(status.canonical_reason()).unwrap_or("");
        let mut out = Vec::new();
        status_line(status, &mut out);
        let line = format!("HTTP/1.1 {code} {phrase}\r\n");
        assert_eq!(String::from_utf8(out).unwrap(), line);
    }
}

#[test]
fn lengths_are_written_in_decimal() {
    let mut numbers: Vec<u64> = (0..20).map(|power| 10_u64.pow(power)).collect();
    numbers.extend(numbers.clone().iter().map(|number| number - 1));
    numbers.extend([0, 12_345, u64::MAX]);
    for number in numbers {
        let mut out = Vec::new();
        content_length(number, &mut out);
        assert_eq!(out, format!("Content-Length: {number}\r\n").as_bytes());
        decimal(number, b"\r\n\r\n", &mut out);
        assert!(out.ends_with(format!("\r\n{number}\r\n\r\n").as_bytes()));
    }
}
