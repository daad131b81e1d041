//! The preferred date format of HTTP: `IMF-fixdate` (RFC 9110 §5.6.7).

/// Bytes of an `IMF-fixdate`.
pub const IMF_FIXDATE_LEN: usize = 29;

/// The last second of the year 9999, the last that four digits can name.
const LAST_SECOND: u64 = 253_402_300_799;
const SECONDS_PER_DAY: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01: counting years from March puts the leap day last.
const DAYS_BEFORE_EPOCH: u64 = 719_468;
/// Days in 400 years, after which the Gregorian calendar repeats.
const DAYS_PER_ERA: u64 = 146_097;

/// Formats seconds since 1970-01-01T00:00:00Z, for example `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// Times after the year 9999 are shown as its last second.
#[must_use]
pub fn imf_fixdate(unix_seconds: u64) -> [u8; IMF_FIXDATE_LEN] {
    let seconds = unix_seconds.min(LAST_SECOND);
    let days = seconds / SECONDS_PER_DAY;
    let second_of_day = seconds % SECONDS_PER_DAY;
    let (year, month, day) = civil_from_days(days);
    // 1970-01-01 was a Thursday, which WEEKDAYS starts with.
    let weekday = WEEKDAYS[(days % 7) as usize];
    let month = MONTHS[month as usize % 12];

    let mut text = *b"Thu, 00 Jan 0000 00:00:00 GMT";
    text[..3].copy_from_slice(weekday);
    text[5..7].copy_from_slice(&two_digits(day));
    text[8..11].copy_from_slice(month);
    text[12..14].copy_from_slice(&two_digits(year / 100));
    text[14..16].copy_from_slice(&two_digits(year % 100));
    text[17..19].copy_from_slice(&two_digits(second_of_day / 3600));
    text[20..22].copy_from_slice(&two_digits(second_of_day / 60 % 60));
    text[23..25].copy_from_slice(&two_digits(second_of_day % 60));
    text
}

/// Year, month counted from zero, and day of month.
///
/// Years are counted from March here: month lengths then follow 31, 30, 31, 30, 31 twice and a
/// half, which `(153 * month + 2) / 5` sums up.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE_EPOCH;
    let era = days / DAYS_PER_ERA;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, month, day)
}

fn two_digits(number: u64) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

#[cfg(test)]
mod tests;
