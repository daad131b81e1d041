//! Days of the Gregorian calendar, for certificates.

/// Days since 1970-01-01.
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * DAYS_IN_400_YEARS + year * 365 + year / 4 - year / 100 + day_of_year - MARCH_OF_YEAR_0
}

/// Year, month and day of a number of days since 1970-01-01.
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + MARCH_OF_YEAR_0;
    let (era, day) = (
        days.div_euclid(DAYS_IN_400_YEARS),
        days.rem_euclid(DAYS_IN_400_YEARS),
    );
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

/// As in `2027-01-31`, of seconds since 1970.
pub(crate) fn iso_date(seconds: i64) -> String {
    let (year, month, day) = date_of(seconds.div_euclid(SECS_IN_DAY));
    format!("{year:04}-{month:02}-{day:02}")
}

pub(crate) const SECS_IN_DAY: i64 = 86_400;
const DAYS_IN_400_YEARS: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const MARCH_OF_YEAR_0: i64 = 719_468;

#[cfg(test)]
mod tests;
