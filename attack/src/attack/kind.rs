//! The attacks by name.

use clap::ValueEnum;
use clap::builder::PossibleValue;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $connections:literal;)+) => {
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
    SlowHead = "slow-head", 5000;
    /// A byte a second in content, announced or in chunks
    SlowContent = "slow-content", 5000;
    /// Asks for much and reads 1 KiB a second, with a receive buffer of 4 KiB
    SlowReader = "slow-reader", 5000;
    /// Connects, asks once or not at all, closes
    Churn = "churn", 64;
    /// Half a head, half the content, nothing: then silence or the end of sending
    HalfOpen = "half-open", 5000;
    /// Heads above every limit: many lines, a large value, a large target, no end
    GiantHeads = "giant-heads", 64;
    /// Chunks of one byte without end, with and without extensions
    EndlessChunks = "endless-chunks", 64;
    /// Trailers without end
    EndlessTrailers = "endless-trailers", 64;
    /// Requests as fast as possible, responses never read, or read as fast as they come
    Pipeline = "pipeline", 64;
    /// RST at every state of a connection
    Reset = "reset", 64;
    /// Connections that made one request each and stay
    Idle = "idle", 15000;
    /// Expect: 100-continue without content, and other expectations
    Expect = "expect", 1000;
    /// HTTP/0.9 lines
    Http09 = "http09", 64;
    /// TLS on a port without it
    Tls = "tls", 64;
    /// Random bytes, and requests with a few bytes changed
    Random = "random", 64;
}

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        Kind::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.help()))
    }
}
