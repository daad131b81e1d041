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
    /// h3: first packets from many ports, whose answers nobody takes
    QuicAmplification = "quic-amplification", Http3, 2000;
    /// h3: handshakes that never end, of clients that have proved their address
    QuicHalfOpen = "quic-half-open", Http3, 5000;
    /// h3: CRYPTO frames by the byte, with holes, or without end
    QuicCrypto = "quic-crypto", Http3, 64;
    /// h3: first packets with tokens that nobody gave
    QuicTokens = "quic-tokens", Http3, 64;
    /// h3: datagrams of nobody, forged ones, and STREAM frames of one byte, with holes or without
    QuicTiny = "quic-tiny", Http3, 64;
    /// h3: connection identifiers, given and retired
    QuicIds = "quic-ids", Http3, 64;
    /// h3: acknowledgments of what was not received
    QuicAcks = "quic-acks", Http3, 64;
    /// h3: another port every few packets
    QuicMigration = "quic-migration", Http3, 64;
    /// h3: PING, PATH_CHALLENGE and MAX_DATA
    QuicFrames = "quic-frames", Http3, 64;
    /// h3: requests and other streams, as many as are allowed and more
    H3Flood = "h3-stream-flood", Http3, 64;
    /// h3: requests, each reset or stopped at once (CVE-2023-44487)
    H3Reset = "h3-rapid-reset", Http3, 64;
    /// h3: field sections that are far larger than what is sent
    QpackBomb = "qpack-bomb", Http3, 64;
    /// h3: field sections that wait for what never comes
    QpackBlocked = "qpack-blocked", Http3, 64;
    /// h3: a byte a second of requests, and responses that are hardly read
    H3Slow = "h3-slow", Http3, 1000;
    /// h3: SETTINGS, PRIORITY_UPDATE, reserved and empty frames
    H3Control = "h3-control-flood", Http3, 64;
}

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        Kind::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.help()))
    }
}
