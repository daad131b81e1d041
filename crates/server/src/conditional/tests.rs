use super::*;
use crate::testing::{TestClient, TestResponse};

fn fields(lines: &[(&str, &str)]) -> FieldSection {
    let mut fields = FieldSection::new();
    for (name, value) in lines {
        fields.append(name, value).unwrap();
    }
    fields
}

fn strong(opaque: &str) -> ETag {
    ETag::strong(opaque).unwrap()
}

/// The date of RFC 9110's examples of the preconditions, `Sat, 29 Oct 1994 19:43:31 GMT`.
fn rfc_time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(783_459_811)
}

const SAME: &str = "Sat, 29 Oct 1994 19:43:31 GMT";
const BEFORE: &str = "Sat, 29 Oct 1994 19:43:30 GMT";
const AFTER: &str = "Sat, 29 Oct 1994 19:43:32 GMT";

/// RFC 9110 §8.8.3.2, table 3.
#[test]
fn tags_compare_as_in_the_rfc() {
    let (weak_1, weak_2) = (ETag::weak("1").unwrap(), ETag::weak("2").unwrap());
    for (one, other, is_strong, is_weak) in [
        (&weak_1, &weak_1, false, true),
        (&weak_1, &weak_2, false, false),
        (&weak_1, &strong("1"), false, true),
        (&strong("1"), &strong("1"), true, true),
    ] {
        assert_eq!(one.strong_eq(other), is_strong, "{one} {other}");
        assert_eq!(other.strong_eq(one), is_strong, "{other} {one}");
        assert_eq!(one.weak_eq(other), is_weak, "{one} {other}");
        assert_eq!(other.weak_eq(one), is_weak, "{other} {one}");
    }
}

#[test]
fn tags_are_parsed_and_others_refused() {
    for text in [r#""xyzzy""#, r#"W/"xyzzy""#, r#""""#, r#""a,b""#, "\"ä\""] {
        let tag = ETag::parse(text.as_bytes()).unwrap();
        assert_eq!(tag.as_str(), text);
        assert_eq!(tag.is_weak(), text.starts_with('W'));
    }
    for text in [
        "", "xyzzy", "\"", "\"a", "a\"", "w/\"a\"", "W/a", "\"a\"b", "\"a b\"", "*", "\"a\" ",
    ] {
        assert_eq!(ETag::parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(ETag::parse(b"\"\xff\""), None);
    for text in ["a\"b", "a b", "a\r\n", "\t", "\x7f"] {
        assert_eq!(ETag::strong(text), Err(InvalidETag));
        assert_eq!(ETag::weak(text), Err(InvalidETag));
    }
}

#[test]
fn preconditions_hold_or_fail() {
    use Precondition::{Failed, NotModified, Proceed};
    let etag = Validators::new().with_etag(strong("xyzzy"));
    let weak = Validators::new().with_etag(ETag::weak("xyzzy").unwrap());
    let dated = Validators::new().with_last_modified(rfc_time());
    let both = etag.clone().with_last_modified(rfc_time());
    let (bare, missing) = (Validators::new(), Validators::missing());
    let table: &[(&Validators, &str, &str, Precondition, Precondition)] = &[
        // What there is, the field, its value, what GET and what PUT come to.
        (&etag, "If-Match", r#""xyzzy""#, Proceed, Proceed),
        (
            &etag,
            "If-Match",
            r#""xyzzy", "r2d2xxxx", "c3piozzzz""#,
            Proceed,
            Proceed,
        ),
        (
            &etag,
            "If-Match",
            r#""r2d2xxxx","c3piozzzz" , , "xyzzy""#,
            Proceed,
            Proceed,
        ),
        (&etag, "If-Match", r#""r2d2xxxx""#, Failed, Failed),
        (&etag, "If-Match", r#"W/"xyzzy""#, Failed, Failed),
        (&weak, "If-Match", r#"W/"xyzzy""#, Failed, Failed),
        (&etag, "If-Match", "xyzzy", Failed, Failed),
        (&etag, "If-Match", "*", Proceed, Proceed),
        (&bare, "If-Match", "*", Proceed, Proceed),
        (&bare, "If-Match", r#""xyzzy""#, Failed, Failed),
        (&missing, "If-Match", "*", Failed, Failed),
        (&missing, "If-Match", r#""xyzzy""#, Failed, Failed),
        (&etag, "If-None-Match", r#""xyzzy""#, NotModified, Failed),
        (&etag, "If-None-Match", r#"W/"xyzzy""#, NotModified, Failed),
        (&weak, "If-None-Match", r#""xyzzy""#, NotModified, Failed),
        (
            &weak,
            "If-None-Match",
            r#"W/"a", W/"xyzzy""#,
            NotModified,
            Failed,
        ),
        (&etag, "If-None-Match", r#""other""#, Proceed, Proceed),
        (&etag, "If-None-Match", r#""a,"xyzzy""#, Proceed, Proceed),
        (&etag, "If-None-Match", "*", NotModified, Failed),
        (&missing, "If-None-Match", "*", Proceed, Proceed),
        (&bare, "If-None-Match", r#""xyzzy""#, Proceed, Proceed),
        (&dated, "If-Modified-Since", SAME, NotModified, Proceed),
        (&dated, "If-Modified-Since", AFTER, NotModified, Proceed),
        (&dated, "If-Modified-Since", BEFORE, Proceed, Proceed),
        (&dated, "If-Modified-Since", "yesterday", Proceed, Proceed),
        (
            &dated,
            "If-Modified-Since",
            "Saturday, 29-Oct-94 19:43:31 GMT",
            NotModified,
            Proceed,
        ),
        (
            &dated,
            "If-Modified-Since",
            "Sat Oct 29 19:43:31 1994",
            NotModified,
            Proceed,
        ),
        (&etag, "If-Modified-Since", SAME, Proceed, Proceed),
        (&dated, "If-Unmodified-Since", SAME, Proceed, Proceed),
        (&dated, "If-Unmodified-Since", AFTER, Proceed, Proceed),
        (&dated, "If-Unmodified-Since", BEFORE, Failed, Failed),
        (&dated, "If-Unmodified-Since", "never", Proceed, Proceed),
        (&etag, "If-Unmodified-Since", BEFORE, Proceed, Proceed),
        (&both, "Range", "bytes=0-0", Proceed, Proceed),
    ];
    for (validators, name, value, get, put) in table {
        let fields = fields(&[(name, value)]);
        let of = |method| validators.check(&method, &fields);
        assert_eq!(of(Method::GET), *get, "GET {name}: {value}");
        assert_eq!(of(Method::HEAD), *get, "HEAD {name}: {value}");
        assert_eq!(of(Method::PUT), *put, "PUT {name}: {value}");
    }
}

/// RFC 9110 §13.2.2.
#[test]
fn preconditions_are_looked_at_in_their_order() {
    use Precondition::{Failed, NotModified, Proceed};
    let both = Validators::new()
        .with_etag(strong("a"))
        .with_last_modified(rfc_time());
    type Lines<'a> = &'a [(&'a str, &'a str)];
    let table: &[(Lines<'_>, Precondition)] = &[
        // If-Match makes If-Unmodified-Since void.
        (
            &[("If-Match", "\"a\""), ("If-Unmodified-Since", BEFORE)],
            Proceed,
        ),
        (
            &[("If-Match", "\"b\""), ("If-Unmodified-Since", SAME)],
            Failed,
        ),
        // If-None-Match makes If-Modified-Since void.
        (
            &[("If-None-Match", "\"b\""), ("If-Modified-Since", SAME)],
            Proceed,
        ),
        (
            &[("If-None-Match", "\"a\""), ("If-Modified-Since", BEFORE)],
            NotModified,
        ),
        // One that fails comes before one that would say 304.
        (&[("If-None-Match", "\"a\""), ("If-Match", "\"b\"")], Failed),
        (
            &[("If-Match", "\"a\""), ("If-None-Match", "\"a\"")],
            NotModified,
        ),
        (
            &[("If-Modified-Since", SAME), ("If-Unmodified-Since", BEFORE)],
            Failed,
        ),
        // Lines of one list are one list.
        (
            &[("If-None-Match", "\"b\""), ("If-None-Match", "\"a\"")],
            NotModified,
        ),
        // Two dates are none.
        (
            &[("If-Modified-Since", SAME), ("If-Modified-Since", SAME)],
            Proceed,
        ),
    ];
    for (lines, expected) in table {
        let found = both.check(&Method::GET, &fields(lines));
        assert_eq!(found, *expected, "{lines:?}");
    }
}

/// RFC 9110 §14.1.2 has those of 10 000 bytes.
#[test]
fn ranges_are_those_of_the_rfc() {
    /// First and behind the last.
    type Expected<'a> = Option<&'a [(u64, u64)]>;
    let table: &[(&str, u64, Expected<'_>)] = &[
        ("bytes=0-499", 10_000, Some(&[(0, 500)])),
        ("bytes=500-999", 10_000, Some(&[(500, 1000)])),
        ("bytes=-500", 10_000, Some(&[(9500, 10_000)])),
        ("bytes=9500-", 10_000, Some(&[(9500, 10_000)])),
        ("bytes=0-0,-1", 10_000, Some(&[(0, 1), (9999, 10_000)])),
        (
            "bytes= 0-999, 4500-5499, -1000",
            10_000,
            Some(&[(0, 1000), (4500, 5500), (9000, 10_000)]),
        ),
        // Adjacent and overlapping ones.
        ("bytes=500-600,601-999", 10_000, Some(&[(500, 1000)])),
        ("bytes=500-700,601-999", 10_000, Some(&[(500, 1000)])),
        // Cut to the length.
        ("bytes=9000-20000", 10_000, Some(&[(9000, 10_000)])),
        ("bytes=-20000", 10_000, Some(&[(0, 10_000)])),
        (
            "bytes=0-99999999999999999999999",
            10_000,
            Some(&[(0, 10_000)]),
        ),
        (
            "bytes=5-18446744073709551615",
            u64::MAX,
            Some(&[(5, u64::MAX)]),
        ),
        ("BYTES=1-2", 10, Some(&[(1, 3)])),
        ("bytes=,1-2,,", 10, Some(&[(1, 3)])),
        // Those that lie behind the end are left out.
        ("bytes=0-0,10000-", 10_000, Some(&[(0, 1)])),
        // In the order in which they came, unless they touch.
        (
            "bytes=9000-9001,0-1,5000-5001",
            10_000,
            Some(&[(9000, 9002), (0, 2), (5000, 5002)]),
        ),
        ("bytes=0-1,1000-1001,50-1000", 10_000, Some(&[(0, 1002)])),
        // A gap of 80 bytes is sent along, one of 81 is not.
        ("bytes=0-9,90-99", 10_000, Some(&[(0, 100)])),
        ("bytes=0-9,91-99", 10_000, Some(&[(0, 10), (91, 100)])),
        // None of them is in the content.
        ("bytes=10000-", 10_000, Some(&[])),
        ("bytes=10000-10001,20000-", 10_000, Some(&[])),
        ("bytes=99999999999999999999999-", 10_000, Some(&[])),
        ("bytes=-0", 10_000, Some(&[])),
        ("bytes=0-", 0, Some(&[])),
        ("bytes=0-0", 0, Some(&[])),
        // No ranges: the field is ignored.
        ("bytes=-5", 0, None),
        ("bytes=5-4", 10_000, None),
        ("bytes=0-1,5-4", 10_000, None),
        ("bytes=", 10_000, None),
        ("bytes=,", 10_000, None),
        ("bytes=-", 10_000, None),
        ("bytes=--1", 10_000, None),
        ("bytes=a-b", 10_000, None),
        ("bytes=0-1;", 10_000, None),
        ("bytes=0 - 1", 10_000, None),
        ("bytes 0-1", 10_000, None),
        ("bytes", 10_000, None),
        ("", 10_000, None),
        ("items=0-1", 10_000, None),
    ];
    for (value, len, expected) in table {
        let found = match parse_ranges(value.as_bytes(), *len) {
            Selection::Ranges(ranges) => Some(
                ranges
                    .iter()
                    .map(|it| (it.start, it.end))
                    .collect::<Vec<_>>(),
            ),
            Selection::NotSatisfiable => Some(Vec::new()),
            Selection::Whole => None,
            other => panic!("{value}: {other:?}"),
        };
        assert_eq!(found.as_deref(), *expected, "{value} of {len}");
    }
}

#[test]
fn too_many_ranges_are_ignored() {
    let ranges = |count: usize| {
        let each = (0..count).map(|at| format!("{0}-{0}", at * 1000));
        format!("bytes={}", each.collect::<Vec<_>>().join(","))
    };
    let Selection::Ranges(found) = parse_ranges(ranges(RANGES_MAX).as_bytes(), 1 << 20) else {
        panic!("as many as may be");
    };
    assert_eq!(found.iter().count(), RANGES_MAX);
    let more = parse_ranges(ranges(RANGES_MAX + 1).as_bytes(), 1 << 20);
    assert_eq!(more, Selection::Whole);
}

#[test]
fn if_range_asks_for_the_part_only_of_the_same_content() {
    let both = Validators::new()
        .with_etag(strong("a"))
        .with_last_modified(rfc_time());
    let weak = Validators::new().with_etag(ETag::weak("a").unwrap());
    for (validators, value, is_part) in [
        (&both, "\"a\"", true),
        (&both, "\"b\"", false),
        (&both, "W/\"a\"", false),
        (&weak, "W/\"a\"", false),
        (&both, SAME, true),
        // Not newer is not enough: it must be that one.
        (&both, AFTER, false),
        (&both, BEFORE, false),
        (&weak, SAME, false),
        (&both, "a", false),
    ] {
        let fields = fields(&[("Range", "bytes=0-1"), ("If-Range", value)]);
        let found = validators.select(&Method::GET, &fields, 10);
        let is_whole = found == Selection::Whole;
        assert_eq!(!is_whole, is_part, "{value}: {found:?}");
    }
    // Changed in the very second that the client's copy is of.
    let fields = fields(&[("If-Range", SAME)]);
    assert!(!both.if_range_holds(&fields, rfc_time() + Duration::from_millis(1_900)));
    assert!(both.if_range_holds(&fields, rfc_time() + Duration::from_secs(2)));
}

#[test]
fn only_get_has_ranges_and_only_one_field_line() {
    let range = fields(&[("Range", "bytes=0-1")]);
    let validators = Validators::new();
    for method in [Method::HEAD, Method::PUT, Method::POST] {
        assert_eq!(validators.select(&method, &range, 10), Selection::Whole);
    }
    let two = fields(&[("Range", "bytes=0-1"), ("Range", "bytes=4-5")]);
    assert_eq!(validators.select(&Method::GET, &two, 10), Selection::Whole);
}

#[test]
fn a_time_that_no_date_can_name_is_left_out_and_one_to_come_is_now() {
    let of = |time| Validators::new().with_last_modified(time).last_modified();
    assert_eq!(of(UNIX_EPOCH - Duration::from_secs(1)), None);
    assert_eq!(
        of(rfc_time() + Duration::from_millis(999)),
        Some(rfc_time())
    );
    let to_come = SystemTime::now() + Duration::from_secs(3600);
    assert!(of(to_come).unwrap() <= SystemTime::now());
    let far = UNIX_EPOCH.checked_add(Duration::from_secs(u64::MAX / 4));
    if let Some(far) = far {
        assert!(of(far).unwrap() <= SystemTime::now());
    }
}

const TEXT: &str = "0123456789";

async fn ask(method: Method, lines: &[(&str, &str)]) -> TestResponse {
    let handler = async |request: Request| {
        let validators = Validators::new()
            .with_etag(strong("a"))
            .with_last_modified(rfc_time());
        validators.respond(&request, "text/plain", TEXT.repeat(100))
    };
    let client = TestClient::new(&handler);
    let mut request = client.request(method, "/");
    for (name, value) in lines {
        request = request.field(name, value);
    }
    request.await
}

#[tokio::test]
async fn content_in_memory_is_answered_with_its_fields() {
    let whole = ask(Method::GET, &[]).await;
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.field("etag"), Some("\"a\""));
    assert_eq!(whole.field("last-modified"), Some(SAME));
    assert_eq!(whole.field("accept-ranges"), Some("bytes"));
    assert_eq!(whole.field("content-length"), Some("1000"));
    assert_eq!(whole.content(), TEXT.repeat(100).as_bytes());

    let head = ask(Method::HEAD, &[("Range", "bytes=0-1")]).await;
    assert_eq!((head.status(), head.content()), (200, &b""[..]));
    assert_eq!(head.field("content-length"), Some("1000"));

    let part = ask(Method::GET, &[("Range", "bytes=2-5")]).await;
    assert_eq!((part.status(), part.text()), (206, "2345"));
    assert_eq!(part.field("content-range"), Some("bytes 2-5/1000"));
    assert_eq!(part.field("content-length"), Some("4"));
    assert_eq!(part.field("etag"), Some("\"a\""));

    let none = ask(Method::GET, &[("If-None-Match", "\"a\"")]).await;
    assert_eq!((none.status(), none.content()), (304, &b""[..]));
    assert_eq!(none.field("etag"), Some("\"a\""));
    assert_eq!(none.field("content-type"), None);

    let failed = ask(Method::GET, &[("If-Match", "\"b\"")]).await;
    assert_eq!((failed.status(), failed.content()), (412, &b""[..]));

    let behind = ask(Method::GET, &[("Range", "bytes=1000-")]).await;
    assert_eq!((behind.status(), behind.content()), (416, &b""[..]));
    assert_eq!(behind.field("content-range"), Some("bytes */1000"));
}

#[tokio::test]
async fn several_ranges_are_the_parts_of_one_body() {
    let response = ask(Method::GET, &[("Range", "bytes=-3,0-1")]).await;
    assert_eq!(response.status(), 206);
    assert_eq!(response.field("content-range"), None);
    let content_type = response.field("content-type").unwrap();
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let expected = format!(
        "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 997-999/1000\r\n\r\n789\
         \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/1000\r\n\r\n01\
         \r\n--{boundary}--\r\n"
    );
    assert_eq!(response.text(), expected);
    let len = expected.len().to_string();
    assert_eq!(response.field("content-length"), Some(&*len));
    let other = ask(Method::GET, &[("Range", "bytes=-3,0-1")]).await;
    assert_ne!(other.field("content-type"), Some(content_type));
}

/// Numbers from a seed, the same in each run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

#[test]
fn whatever_is_asked_for_ranges_lie_in_the_content_and_apart() {
    let alphabet = b"0123456789,,--- \tbytes=a";
    let (mut random, mut seen) = (Random(7), [0; 3]);
    for _ in 0..200_000 {
        let mut value = b"bytes=".to_vec();
        let count = random.below(24);
        // Mostly what is nearly right.
        let letters = if random.below(8) == 0 {
            alphabet.len()
        } else {
            15
        };
        value.extend((0..count).map(|_| alphabet[random.below(letters)]));
        let len = [0, 1, 100, 10_000, u64::MAX][random.below(5)];
        let text = String::from_utf8_lossy(&value);
        match parse_ranges(&value, len) {
            Selection::Ranges(ranges) => {
                let all: Vec<_> = ranges.iter().collect();
                assert!(!all.is_empty() && all.len() <= RANGES_MAX, "{text}");
                for (at, one) in all.iter().enumerate() {
                    assert!(one.start < one.end && one.end <= len, "{text} of {len}");
                    for other in &all[at + 1..] {
                        let gap = one.start.max(other.start) - one.end.min(other.end);
                        assert!(gap > 80, "{text} of {len}: {all:?}");
                    }
                }
                seen[0] += 1;
            }
            Selection::NotSatisfiable => seen[1] += 1,
            Selection::Whole => seen[2] += 1,
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(seen.iter().all(|count| *count > 1000), "{seen:?}");
}

#[test]
fn whatever_lists_of_tags_hold_they_end_and_what_is_found_is_a_tag() {
    let alphabet = b"\"\"\"W/,, ab\xff";
    let (mut random, mut tags) = (Random(11), 0);
    for _ in 0..100_000 {
        let count = random.below(24);
        let line: Vec<u8> = (0..count)
            .map(|_| alphabet[random.below(alphabet.len())])
            .collect();
        for tag in etag::list(&line) {
            assert_eq!(ETag::parse(tag.as_str().as_bytes()), Some(tag));
            tags += 1;
        }
    }
    assert!(tags > 1000, "{tags}");
}
