//! The attacks by name.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::Protocol;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $protocol:ident, $connections:literal;)+) => {
        /// An attack.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),+];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => $name,)+
                }
            }

            /// In which protocol it is spoken.
            pub fn protocol(self) -> Protocol {
                match self {
                    $(Kind::$kind => Protocol::$protocol,)+
                }
            }

            /// How many connections it has unless told otherwise: thousands where holding them is
            /// the attack, few where speed is.
            pub fn connections(self) -> usize {
                match self {
                    $(Kind::$kind => $connections,)+
                }
            }

            fn help(self) -> &'static str {
                match self {
                    $(Kind::$kind => concat!($($doc),+).trim_ascii_start(),)+
                }
            }
        }
    };
}

kinds! {
    /// A byte a second in the head
    SlowHead = "slow-head", Http1, 5000;
    /// A byte a second in content, announced or in chunks
    SlowContent = "slow-content", Http1, 5000;
    /// Asks for much and reads 1 KiB a second, with a receive buffer of 4 KiB
    SlowReader = "slow-reader", Http1, 5000;
    /// Connects, asks once or not at all, closes
    Churn = "churn", Http1, 64;
    /// Half a head, half the content, nothing: then silence or the end of sending
    HalfOpen = "half-open", Http1, 5000;
    /// Heads above every limit: many lines, a large value, a large target, no end
    GiantHeads = "giant-heads", Http1, 64;
    /// Chunks of one byte without end, with and without extensions
    EndlessChunks = "endless-chunks", Http1, 64;
    /// Trailers without end
    EndlessTrailers = "endless-trailers", Http1, 64;
    /// Requests as fast as possible, responses never read, or read as fast as they come
    Pipeline = "pipeline", Http1, 64;
    /// RST at every state of a connection
    Reset = "reset", Http1, 64;
    /// Connections that made one request each and stay
    Idle = "idle", Http1, 15000;
    /// Expect: 100-continue without content, and other expectations
    Expect = "expect", Http1, 1000;
    /// HTTP/0.9 lines
    Http09 = "http09", Http1, 64;
    /// TLS on a port without it
    Tls = "tls", Http1, 64;
    /// Random bytes, and requests with a few bytes changed
    Random = "random", Http1, 64;
    /// h2: requests, each reset at once (CVE-2023-44487)
    RapidReset = "rapid-reset", Http2, 64;
    /// h2: requests, each followed by a frame that makes the server reset it (CVE-2025-8671)
    MadeYouReset = "made-you-reset", Http2, 64;
    /// h2: CONTINUATION without end, full, tiny or empty (CVE-2024-27316)
    ContinuationFlood = "continuation-flood", Http2, 64;
    /// h2: SETTINGS, empty or full, acknowledgements read or not (CVE-2019-9515)
    SettingsFlood = "settings-flood", Http2, 64;
    /// h2: PING, acknowledgements read or not (CVE-2019-9512)
    PingFlood = "ping-flood", Http2, 64;
    /// h2: PRIORITY and PRIORITY_UPDATE (CVE-2019-9513)
    PriorityFlood = "priority-flood", Http2, 64;
    /// h2: WINDOW_UPDATE by one, for streams and for the connection
    WindowUpdateFlood = "window-update-flood", Http2, 64;
    /// h2: DATA without content, and frames of unknown types (CVE-2019-9518)
    EmptyFrames = "empty-frames", Http2, 64;
    /// h2: content in DATA frames of one byte, a window full on each connection
    TinyData = "tiny-data", Http2, 64;
    /// h2: field lists that are far larger than what is sent (CVE-2016-6581), or just large
    HpackBomb = "hpack-bomb", Http2, 64;
    /// h2: field lists that take memory, held by a window that stays shut (CVE-2026-49975)
    Http2Bomb = "http2-bomb", Http2, 500;
    /// h2: requests for content, and windows that stay shut or open by a byte (CVE-2019-9511)
    ZeroWindow = "zero-window", Http2, 1000;
    /// h2: requests far beyond what the server allows at once
    StreamFlood = "stream-flood", Http2, 64;
    /// h2: requests that never end, silent or a byte a second
    UnfinishedStreams = "unfinished-streams", Http2, 1000;
    /// h2: a byte a second from the preface on, and connections that never ask
    SlowPreface = "slow-preface", Http2, 5000;
}

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        Kind::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.help()))
    }
}
