//! The one response a floor gives, made ahead of time.
//!
//! A run of equal responses stands ready in one buffer, so that a turn's answers are one slice of
//! it and one `send`. Only the date changes, once a second.

use std::time::{SystemTime, UNIX_EPOCH};

/// Responses standing ready: more than any pipelined load sends in one read.
const READY: usize = 64;

const HEAD: &str = "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: ";
const TAIL: &str = "\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK";
const TAIL_CLOSE: &str =
    "\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";

pub struct Canned {
    second: u64,
    ready: Vec<u8>,
    one: usize,
    close: Vec<u8>,
}

impl Default for Canned {
    fn default() -> Self {
        let mut canned = Self {
            second: u64::MAX,
            ready: Vec::new(),
            one: 0,
            close: Vec::new(),
        };
        canned.refresh();
        canned
    }
}

impl Canned {
    /// Takes the clock's second into the date. Call once per wake-up.
    pub fn refresh(&mut self) {
        let now = seconds_coarse();
        if now != self.second {
            self.second = now;
            let date = imf_fixdate(now);
            let one = format!("{HEAD}{date}{TAIL}");
            self.one = one.len();
            self.ready = one.repeat(READY).into_bytes();
            self.close = format!("{HEAD}{date}{TAIL_CLOSE}").into_bytes();
        }
    }

    /// Up to [`READY`] responses in one slice, and how many they are.
    #[must_use]
    pub fn keep_alive(&self, responses: usize) -> (&[u8], usize) {
        let count = responses.min(READY);
        (&self.ready[..count * self.one], count)
    }

    /// `responses` of which the last says that the connection ends.
    #[must_use]
    pub fn closing(&self, responses: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut left = responses.saturating_sub(1);
        while left > 0 {
            let (slice, count) = self.keep_alive(left);
            bytes.extend_from_slice(slice);
            left -= count;
        }
        bytes.extend_from_slice(&self.close);
        bytes
    }
}

/// Seconds since the epoch, from the clock that costs least.
fn seconds_coarse() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec for the kernel to fill.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut time) };
    if result == 0 {
        return u64::try_from(time.tv_sec).unwrap_or(0);
    }
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// RFC 9110, 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn imf_fixdate(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let days = seconds / 86_400;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // Days to a date by way of 400-year eras that begin on 1 March.
    let shifted = days + 719_468;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = shifted / 146_097 * 400 + year_of_era + u64::from(month < 2);
    let day_name = DAYS[usize::try_from(days % 7).expect("below 7")];
    let month_name = MONTHS[usize::try_from(month).expect("below 12")];
    format!("{day_name}, {day:02} {month_name} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::{Canned, READY, imf_fixdate};

    #[test]
    fn dates_read_as_the_rfc_writes_them() {
        assert_eq!(imf_fixdate(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(imf_fixdate(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(imf_fixdate(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(imf_fixdate(4_102_444_799), "Thu, 31 Dec 2099 23:59:59 GMT");
    }

    #[test]
    fn a_closing_turn_has_every_response() {
        let canned = Canned::default();
        for responses in [1, 2, READY + 1, 2 * READY + 3] {
            let text = String::from_utf8(canned.closing(responses)).unwrap();
            assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), responses);
            assert_eq!(text.matches("Connection: close\r\n").count(), 1);
            assert!(text.ends_with("Connection: close\r\n\r\nOK"));
        }
    }

    #[test]
    fn ready_responses_are_whole() {
        let canned = Canned::default();
        let (bytes, count) = canned.keep_alive(3);
        assert_eq!(count, 3);
        assert!(bytes.ends_with(b"\r\n\r\nOK"));
        assert_eq!(canned.keep_alive(READY + 1).1, READY);
    }
}
