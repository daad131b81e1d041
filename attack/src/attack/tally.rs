//! What an attack has seen of its server.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Kind;
use crate::quic::peer::Close;
use crate::{Json, Spread, h2};

/// Status codes are 100 to 599; the first place is for connections that saw none.
const STATUSES: usize = 501;
/// Error codes of HTTP/2; the last place is for all that nobody has defined.
const CODES: usize = 15;

/// Counts over many connections. Every connection that was opened ended in one of the ways below:
/// `opened = closed_by_fin + closed_by_reset + ended + open_at_end`.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Connections that were established.
    pub opened: u64,
    /// The server's FIN came first.
    pub closed_by_fin: u64,
    /// The server's RST came first.
    pub closed_by_reset: u64,
    /// Ended by us, as the script says.
    pub ended: u64,
    /// Still there when the time was over.
    pub open_at_end: u64,
    /// Refused: nobody listens, or a reset before the connection was used.
    pub connect_refused: u64,
    /// No port or descriptor was left on our side.
    pub connect_failed: u64,
    /// Bytes that the kernel took.
    pub bytes_sent: u64,
    /// Bytes that were read.
    pub bytes_received: u64,
    /// Datagrams that were made.
    pub datagrams_sent: u64,
    /// The most that a port has received for what it had sent, before the server could know that somebody is there;
    /// in thousandths.
    pub amplification_max: u64,
    /// How long connections lived that the server closed.
    pub lived: Spread,
    /// The age of the oldest connection at the end.
    pub oldest_at_end: Duration,
    /// How long connections lived until the first GOAWAY.
    pub told_after: Spread,
    responses: Vec<u64>,
    last_statuses: Vec<u64>,
    last_goaways: [u64; CODES],
    goaways: [u64; CODES],
    stream_resets: [u64; CODES],
    closes: BTreeMap<Close, u64>,
}

/// What the server said last on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastWord {
    /// A status, or 0 for nothing.
    Status(u16),
    /// GOAWAY with this error code.
    Goaway(u32),
    /// How it ended a connection of QUIC.
    Close(Close),
}

impl LastWord {
    /// A stateless reset.
    pub(super) fn is_reset(self) -> bool {
        self == LastWord::Close(Close::Reset)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            opened: 0,
            closed_by_fin: 0,
            closed_by_reset: 0,
            ended: 0,
            open_at_end: 0,
            connect_refused: 0,
            connect_failed: 0,
            bytes_sent: 0,
            bytes_received: 0,
            datagrams_sent: 0,
            amplification_max: 0,
            lived: Spread::default(),
            oldest_at_end: Duration::ZERO,
            told_after: Spread::default(),
            responses: vec![0; STATUSES],
            last_statuses: vec![0; STATUSES],
            last_goaways: [0; CODES],
            goaways: [0; CODES],
            stream_resets: [0; CODES],
            closes: BTreeMap::new(),
        }
    }
}

impl Tally {
    /// Response heads seen, by status; informational ones too. In a stream of responses that is
    /// read in large pieces only some are seen.
    pub fn responses(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        statuses(&self.responses)
    }

    /// Connections that the server closed without GOAWAY, by the last status that was seen on them;
    /// 0 where there was none.
    pub fn closed_after(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        statuses(&self.last_statuses)
    }

    /// Connections that the server closed after GOAWAY, by the name of the last one's error code.
    pub fn closed_after_goaway(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        codes(&self.last_goaways)
    }

    /// GOAWAY frames seen, by the name of the error code.
    pub fn goaways(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        codes(&self.goaways)
    }

    /// RST_STREAM frames seen, by the name of the error code.
    pub fn stream_resets(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        codes(&self.stream_resets)
    }

    /// What connections that the server closed had heard last, in words.
    pub(crate) fn last_words(&self) -> Vec<String> {
        let goaways = self.closed_after_goaway();
        let goaways = goaways.map(|(code, count)| format!("GOAWAY {code} x {count}"));
        let statuses = self.closed_after().map(|(status, count)| match status {
            0 => format!("nothing x {count}"),
            status => format!("{status} x {count}"),
        });
        let closes = self
            .closes()
            .map(|(code, count)| format!("{code} x {count}"));
        goaways.chain(statuses).chain(closes).collect()
    }

    /// How the server ended connections of QUIC: by the name of the error, or its number.
    pub fn closes(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let closes = self.closes.iter();
        closes.map(|(close, count)| (close.to_string(), *count))
    }

    /// RST_STREAM in words.
    pub(crate) fn stream_resets_in_words(&self) -> Vec<String> {
        let resets = self.stream_resets();
        resets
            .map(|(code, count)| format!("RST_STREAM {code} x {count}"))
            .collect()
    }

    /// Connections that the server closed.
    pub fn closed(&self) -> u64 {
        self.closed_by_fin + self.closed_by_reset
    }

    pub(super) fn add_response(&mut self, status: u16) {
        self.responses[index(status)] += 1;
    }

    pub(super) fn add_goaway(&mut self, code: u32) {
        self.goaways[code_index(code)] += 1;
    }

    pub(super) fn add_stream_reset(&mut self, code: u32) {
        self.stream_resets[code_index(code)] += 1;
    }

    /// So much has come for what was sent.
    pub(super) fn add_amplification(&mut self, came: u64, sent: u64) {
        let factor = came * 1000 / sent.max(1);
        self.amplification_max = self.amplification_max.max(factor);
    }

    pub(super) fn add_closed(&mut self, last_word: LastWord, by_reset: bool, lived: Duration) {
        if by_reset {
            self.closed_by_reset += 1;
        } else {
            self.closed_by_fin += 1;
        }
        match last_word {
            LastWord::Status(status) => self.last_statuses[index(status)] += 1,
            LastWord::Goaway(code) => self.last_goaways[code_index(code)] += 1,
            LastWord::Close(close) => *self.closes.entry(close).or_default() += 1,
        }
        self.lived.add(lived);
    }

    /// Takes in all that another has.
    pub fn merge(&mut self, other: &Tally) {
        self.opened += other.opened;
        self.closed_by_fin += other.closed_by_fin;
        self.closed_by_reset += other.closed_by_reset;
        self.ended += other.ended;
        self.open_at_end += other.open_at_end;
        self.connect_refused += other.connect_refused;
        self.connect_failed += other.connect_failed;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.datagrams_sent += other.datagrams_sent;
        self.amplification_max = self.amplification_max.max(other.amplification_max);
        for (close, count) in &other.closes {
            *self.closes.entry(*close).or_default() += count;
        }
        self.lived.merge(&other.lived);
        self.oldest_at_end = self.oldest_at_end.max(other.oldest_at_end);
        self.told_after.merge(&other.told_after);
        add_all(&mut self.responses, &other.responses);
        add_all(&mut self.last_statuses, &other.last_statuses);
        add_all(&mut self.last_goaways, &other.last_goaways);
        add_all(&mut self.goaways, &other.goaways);
        add_all(&mut self.stream_resets, &other.stream_resets);
    }

    fn json(&self) -> Json {
        Json::object([
            ("opened", self.opened.into()),
            ("closed_by_fin", self.closed_by_fin.into()),
            ("closed_by_reset", self.closed_by_reset.into()),
            ("ended", self.ended.into()),
            ("open_at_end", self.open_at_end.into()),
            ("connect_refused", self.connect_refused.into()),
            ("connect_failed", self.connect_failed.into()),
            ("bytes_sent", self.bytes_sent.into()),
            ("bytes_received", self.bytes_received.into()),
            ("datagrams_sent", self.datagrams_sent.into()),
            (
                "amplification_max",
                (self.amplification_max as f64 / 1e3).into(),
            ),
            (
                "closes",
                Json::Object(
                    self.closes()
                        .map(|(name, count)| (name, count.into()))
                        .collect(),
                ),
            ),
            ("responses", by_status(self.responses())),
            ("closed_after", by_status(self.closed_after())),
            ("closed_after_goaway", by_name(self.closed_after_goaway())),
            ("goaways", by_name(self.goaways())),
            ("stream_resets", by_name(self.stream_resets())),
            ("told_min_ms", ms(self.told_after.min())),
            ("told_median_ms", ms(self.told_after.quantile(500))),
            ("told_max_ms", ms(self.told_after.max())),
            ("lived_min_ms", ms(self.lived.min())),
            ("lived_median_ms", ms(self.lived.quantile(500))),
            ("lived_max_ms", ms(self.lived.max())),
            ("oldest_at_end_ms", ms(Some(self.oldest_at_end))),
        ])
    }
}

fn index(status: u16) -> usize {
    match status {
        100..=599 => usize::from(status) - 99,
        _ => 0,
    }
}

fn code_index(code: u32) -> usize {
    usize::try_from(code).map_or(CODES - 1, |code| code.min(CODES - 1))
}

fn codes(counts: &[u64; CODES]) -> impl Iterator<Item = (&'static str, u64)> + '_ {
    let named = (0..).map(h2::code_name).zip(counts);
    named.filter_map(|(name, count)| (*count > 0).then_some((name, *count)))
}

fn add_all(own: &mut [u64], others: &[u64]) {
    for (own, others) in own.iter_mut().zip(others) {
        *own += others;
    }
}

fn statuses(counts: &[u64]) -> impl Iterator<Item = (u16, u64)> + '_ {
    (0..).zip(counts).filter_map(|(at, count)| {
        let status = if at == 0 { 0 } else { at + 99 };
        (*count > 0).then_some((status, *count))
    })
}

fn by_status(counts: impl Iterator<Item = (u16, u64)>) -> Json {
    let members = counts.map(|(status, count)| (status.to_string(), count.into()));
    Json::Object(members.collect())
}

fn by_name(counts: impl Iterator<Item = (&'static str, u64)>) -> Json {
    let members = counts.map(|(name, count)| (name.to_owned(), count.into()));
    Json::Object(members.collect())
}

fn ms(time: Option<Duration>) -> Json {
    time.map(|time| time.as_micros() as f64 / 1000.0).into()
}

/// What an attack has seen, for each variant of it.
#[derive(Clone, Debug)]
pub struct Report {
    kind: Kind,
    variants: Vec<(&'static str, Tally)>,
}

impl Report {
    pub(super) fn new(kind: Kind) -> Report {
        Report {
            kind,
            variants: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, variant: &'static str, tally: &Tally) {
        let known = self.variants.iter_mut().find(|(name, _)| *name == variant);
        match known {
            Some((_, own)) => own.merge(tally),
            None => self.variants.push((variant, tally.clone())),
        }
    }

    /// The attack.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What one variant has seen.
    pub fn variant(&self, name: &str) -> Option<&Tally> {
        let mut variants = self.variants.iter();
        variants.find_map(|(known, tally)| (*known == name).then_some(tally))
    }

    /// All variants, in the order of their scripts.
    pub fn variants(&self) -> impl Iterator<Item = (&'static str, &Tally)> {
        self.variants.iter().map(|(name, tally)| (*name, tally))
    }

    /// All variants together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for (_, tally) in &self.variants {
            total.merge(tally);
        }
        total
    }

    /// The report as one object.
    pub fn json(&self) -> Json {
        let variants = self
            .variants()
            .map(|(name, tally)| (name.to_owned(), tally.json()));
        Json::object([
            ("attack", self.kind.name().into()),
            ("total", self.total().json()),
            ("variants", Json::Object(variants.collect())),
        ])
    }
}

/// A table for people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<21} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9}  {:<26} closed after",
            self.kind.name(),
            "opened",
            "FIN",
            "RST",
            "ended",
            "open",
            "refused",
            "sent",
            "received",
            "lived min/median/max",
        )?;
        for (name, tally) in self.variants() {
            row(f, name, tally)?;
        }
        row(f, "total", &self.total())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, tally: &Tally) -> fmt::Result {
    let lived = match (
        tally.lived.min(),
        tally.lived.quantile(500),
        tally.lived.max(),
    ) {
        (Some(min), Some(median), Some(max)) => {
            format!("{} / {} / {}", short(min), short(median), short(max))
        }
        _ => "-".to_owned(),
    };
    let mut after = tally.last_words();
    after.extend(tally.stream_resets_in_words());
    if tally.amplification_max > 0 {
        let factor = tally.amplification_max as f64 / 1e3;
        after.push(format!("{factor:.2} times what was sent"));
    }
    writeln!(
        f,
        "  {:<19} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9}  {:<26} {}",
        name,
        tally.opened,
        tally.closed_by_fin,
        tally.closed_by_reset,
        tally.ended,
        tally.open_at_end,
        tally.connect_refused + tally.connect_failed,
        bytes(tally.bytes_sent),
        bytes(tally.bytes_received),
        lived,
        after.join(", "),
    )
}

fn short(time: Duration) -> String {
    match time.as_micros() {
        us @ 0..1000 => format!("{us} us"),
        us @ 1000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        us => format!("{:.2} s", us as f64 / 1e6),
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut figure = count as f64;
    let mut unit = 0;
    while figure >= 1024.0 && unit < UNITS.len() - 1 {
        figure /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && figure < 100.0);
    format!("{figure:.decimals$} {}", UNITS[unit])
}
