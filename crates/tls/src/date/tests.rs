use super::*;

#[test]
fn dates_that_are_known() {
    for (days, date) in [
        (0, (1970, 1, 1)),
        (-1, (1969, 12, 31)),
        (11_016, (2000, 2, 29)),
        (11_017, (2000, 3, 1)),
        (20_454, (2026, 1, 1)),
        (-25_509, (1900, 2, 28)),
        (-25_508, (1900, 3, 1)),
    ] {
        assert_eq!(date_of(days), date);
        assert_eq!(days_of(date.0, date.1, date.2), days);
    }
    assert_eq!(iso_date(86_399), "1970-01-01");
    assert_eq!(iso_date(-1), "1969-12-31");
}

#[test]
fn every_day_of_800_years_follows_the_one_before() {
    let mut before = date_of(-146_098);
    for days in -146_097..146_097 {
        let date = date_of(days);
        assert_eq!(days_of(date.0, date.1, date.2), days);
        assert!(date > before);
        before = date;
    }
}
