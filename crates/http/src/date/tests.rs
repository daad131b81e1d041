use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

fn theirs(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn ours(seconds: u64) -> String {
    String::from_utf8(imf_fixdate(seconds).to_vec()).unwrap()
}

#[test]
fn the_example_of_the_rfc() {
    assert_eq!(ours(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

#[test]
fn boundaries_agree_with_httpdate() {
    for year in 0..8029u64 {
        // Around each 1 January and each 1 March, by counting days.
        let leaps = |y: u64| (y - 1) / 4 - (y - 1) / 100 + (y - 1) / 400;
        let days = 365 * year + leaps(1970 + year) - leaps(1970);
        for day in [days, days + 58, days + 59, days + 60, days + 364] {
            for second in [0, 1, 86_399] {
                let seconds = day * 86_400 + second;
                assert_eq!(ours(seconds), theirs(seconds));
            }
        }
    }
    assert_eq!(ours(LAST_SECOND), "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_eq!(ours(LAST_SECOND + 1), ours(LAST_SECOND));
    assert_eq!(ours(u64::MAX), ours(LAST_SECOND));
}

proptest! {
    #[test]
    fn any_time_agrees_with_httpdate(seconds in 0..=LAST_SECOND) {
        prop_assert_eq!(ours(seconds), theirs(seconds));
    }
}
