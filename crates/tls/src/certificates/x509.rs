//! What we need to know of a certificate (RFC 5280 §4.1): from when until when, and its names. Whether
//! it is good otherwise is for rustls and for the clients to say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::date::{SECS_IN_DAY, days_of};

/// Read from a certificate. Times are seconds since 1970.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Facts {
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    /// `dNSName`s of the subject alternative name, in lower case.
    pub(crate) dns_names: Vec<String>,
    /// Its `iPAddress`es.
    pub(crate) ip_addresses: Vec<IpAddr>,
}

/// None if it is no certificate.
pub(crate) fn read(der: &[u8]) -> Option<Facts> {
    let mut certificate = Der(Der(der).expect(SEQUENCE)?);
    let mut tbs = Der(certificate.expect(SEQUENCE)?);
    tbs.skip_if(VERSION)?;
    tbs.expect(INTEGER)?; // serialNumber
    tbs.expect(SEQUENCE)?; // signature
    tbs.expect(SEQUENCE)?; // issuer
    let mut validity = Der(tbs.expect(SEQUENCE)?);
    let mut facts = Facts {
        not_before: validity.time()?,
        not_after: validity.time()?,
        ..Facts::default()
    };
    tbs.expect(SEQUENCE)?; // subject
    tbs.expect(SEQUENCE)?; // subjectPublicKeyInfo
    tbs.skip_if(ISSUER_UNIQUE_ID)?;
    tbs.skip_if(SUBJECT_UNIQUE_ID)?;
    if !tbs.0.is_empty() {
        let mut extensions = Der(Der(tbs.expect(EXTENSIONS)?).expect(SEQUENCE)?);
        while !extensions.0.is_empty() {
            let mut extension = Der(extensions.expect(SEQUENCE)?);
            let id = extension.expect(OBJECT_IDENTIFIER)?;
            extension.skip_if(BOOLEAN)?;
            let value = extension.expect(OCTET_STRING)?;
            if id == SUBJECT_ALT_NAME {
                facts.read_names(value)?;
            }
        }
    }
    Some(facts)
}

impl Facts {
    /// RFC 5280 §4.2.1.6.
    fn read_names(&mut self, value: &[u8]) -> Option<()> {
        let mut names = Der(Der(value).expect(SEQUENCE)?);
        while !names.0.is_empty() {
            match names.next()? {
                (DNS_NAME, name) if name.is_ascii() => {
                    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                    self.dns_names.push(name);
                }
                (IP_ADDRESS, octets) => self.ip_addresses.extend(ip_address(octets)),
                _ => {}
            }
        }
        Some(())
    }
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    let octets = <[u8; 16]>::try_from(octets).ok()?;
    Some(Ipv6Addr::from(octets).into())
}

/// Values in DER (X.690), one after the other. Tags are single bytes: a certificate has no others.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The tag and content of the next value.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, len], rest) = self.0.split_first_chunk()?;
        let (len, rest) = if len < 0x80 {
            (usize::from(len), rest)
        } else {
            let (octets, rest) = rest.split_at_checked(usize::from(len & 0x7f))?;
            if !(1..=4).contains(&octets.len()) {
                return None;
            }
            let len = octets
                .iter()
                .fold(0, |len, &octet| len << 8 | u64::from(octet));
            (usize::try_from(len).ok()?, rest)
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|next| next.0 == tag).map(|next| next.1)
    }

    /// Skips an optional value.
    fn skip_if(&mut self, tag: u8) -> Option<()> {
        if self.0.first() == Some(&tag) {
            self.next()?;
        }
        Some(())
    }

    /// UTCTime or GeneralizedTime, as RFC 5280 §4.1.2.5 narrows them: to the second, in UTC.
    fn time(&mut self) -> Option<i64> {
        let (tag, text) = self.next()?;
        let text = text.strip_suffix(b"Z")?;
        let (year, text) = match tag {
            UTC_TIME => {
                let (year, text) = digits::<2>(text)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, text)
            }
            GENERALIZED_TIME => digits::<4>(text)?,
            _ => return None,
        };
        let (month, text) = digits::<2>(text)?;
        let (day, text) = digits::<2>(text)?;
        let (hour, text) = digits::<2>(text)?;
        let (minute, text) = digits::<2>(text)?;
        let (second, text) = digits::<2>(text)?;
        let valid = text.is_empty()
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        valid.then(|| days_of(year, month, day) * SECS_IN_DAY + hour * 3600 + minute * 60 + second)
    }
}

/// A number of N digits, and what follows.
fn digits<const N: usize>(text: &[u8]) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<N>()?;
    let number = digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        Some(number * 10 + digit)
    })?;
    Some((number, rest))
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
// Fields of TBSCertificate.
const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
// Choices of GeneralName.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
