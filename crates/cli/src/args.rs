//! The command line. Limits and deadlines have the names they have in the library, with dashes.

// The comments on fields are what `--help` prints, with its brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use std::path::PathBuf;
use std::time::Duration;

use ajayserver::tls::Versions;
use ajayserver::{Builder, Congestion, Retry, Tls};
use clap::{Parser, Subcommand};

use crate::units::{self, Switch};

/// Where we listen when nobody says: both families of this machine, and nobody else's.
pub(crate) const DEFAULT_LISTEN: &[&str] = &["127.0.0.1:8080", "[::1]:8080"];

/// The same, with TLS.
pub(crate) const DEFAULT_TLS_LISTEN: &[&str] = &["127.0.0.1:8443", "[::1]:8443"];

/// Where the certificate for development is when nobody says.
pub(crate) const DEVELOPMENT_CERTIFICATE: &str = "ajayserver-development-certificate";

const EXAMPLES: &str = "\
Examples:
  ajayserver                                    ajayserver.toml; without it 200 OK to everything
                                                on localhost:8080
  ajayserver init; ajayserver check             begin with a configuration
  ajayserver files public --listen :80          a directory
  ajayserver --listen :80 --body 'Back at noon' one page for everyone
  ajayserver --listen unix:/run/a.sock          behind another server
  ajayserver --listen :80 --user www-data      bound as root, run as somebody else
  ajayserver --head-timeout 5s --idle-timeout off
  ajayserver --tls-self-signed                  HTTPS for development, on localhost:8443 too
  ajayserver --tls-listen :443 --tls-cert chain.pem --tls-key key.pem
  ajayserver --processes 2                      a crash costs one process its requests
  ajayserver counters 1234                      what server 1234 has done so far

Times are written as 500ms, 10s, 2m or 1h; sizes in bytes or as 16k, 4m, 1g.
`off` switches a limit or deadline off where the table says so.
What happens at each limit: docs/src/reference/limits.md

Exit codes: 0 stopped, and everything that had arrived was answered; 1 failed; 2 wrong arguments;
3 cannot listen; 4 stopped, but connections were cut at the end of the drain.
Log level: environment variable AJAYSERVER_LOG (error, warn, info, debug). Default: warn.";

/// An HTTP server. Without arguments it serves ./ajayserver.toml if there is one, and otherwise
/// answers every request with one body.
#[derive(Debug, Parser)]
#[command(name = "ajayserver", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,

    /// What to answer
    #[arg(long, short, value_name = "TEXT", default_value = "OK")]
    pub(crate) body: String,

    #[command(flatten)]
    pub(crate) options: Options,
}

/// How to serve, where no file says so.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Address and port, `:PORT` for every address, `unix:PATH`, or `systemd[:NAME]` for sockets
    /// that systemd passes; may be repeated [default: 127.0.0.1:8080 and [::1]:8080]
    #[arg(long, short, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,

    /// As `--listen`, with TLS: HTTP/2 and HTTP/1.1; may be repeated [default, where there is a
    /// certificate: 127.0.0.1:8443 and [::1]:8443]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tls_listen: Vec<String>,

    /// The certificate chain, in PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// A certificate for development, for localhost; kept in this directory
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "tls_cert")]
    #[arg(num_args = 0..=1, default_missing_value = DEVELOPMENT_CERTIFICATE)]
    tls_self_signed: Option<PathBuf>,

    /// HTTP/3 too wherever there is TLS: on the UDP port of the same number
    #[arg(long)]
    http3: bool,

    /// Sends clients of `--listen` on to HTTPS at this port [default, without N: 443]
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "443")]
    #[arg(requires = "listen")]
    pub(crate) redirect_to_https: Option<u16>,

    /// Worker processes, or `auto`: one for each CPU that may be used [default: 1]
    #[arg(long, short, value_name = "N|auto", value_parser = processes)]
    processes: Option<Processes>,

    /// Worker threads of each process [default: one for each CPU, divided by the processes]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    /// Pin each worker to a CPU
    #[arg(long)]
    pin_workers: bool,

    /// Whom to run as once the addresses are bound; needs root
    #[arg(long, short, value_name = "NAME[:GROUP]")]
    user: Option<String>,

    /// Leave out the Date field
    #[arg(long)]
    no_date: bool,

    /// Leave out the Server field
    #[arg(long)]
    no_server_name: bool,

    #[command(flatten)]
    limits: Limits,
}

/// What to do other than to serve.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Serve what a configuration says
    Run {
        /// The file [default: ajayserver.toml]
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
    },

    /// Tell everything that is wrong with a configuration
    Check {
        /// The file
        #[arg(value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
        config: PathBuf,
    },

    /// Tell which site and which route of a configuration would answer, and why
    Explain {
        /// As in GET
        method: String,

        /// As in `https://example.com/path`
        url: String,

        /// A field of the request; may be repeated
        #[arg(long, short = 'H', value_name = "NAME: VALUE")]
        header: Vec<String>,

        /// The client's address
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
        client: std::net::IpAddr,

        /// The file
        #[arg(long, short, value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
        config: PathBuf,
    },

    /// Write a configuration to begin with; an existing file is left alone
    Init {
        /// The file
        #[arg(value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
        config: PathBuf,
    },

    /// Print the hash of a password, for `basic_auth`
    HashPassword {
        /// Read the password from standard input, which may be a pipe
        #[arg(long)]
        stdin: bool,
    },

    /// Answer every request with one text
    Respond {
        /// The text
        text: String,

        #[command(flatten)]
        options: Box<Options>,
    },

    /// Serve the files below a directory
    Files {
        /// The directory
        directory: PathBuf,

        #[command(flatten)]
        options: Box<Options>,
    },

    /// Print the counters of a server that runs: one `name value` a line
    Counters {
        /// The id of its master process, or of any of its processes
        pid: u32,

        /// Each worker apart: `worker name value`
        #[arg(long)]
        workers: bool,
    },
}

/// A limit as the reference of the configuration shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitKey {
    pub(crate) name: &'static str,
    #[cfg(test)]
    pub(crate) kind: &'static str,
    /// What it is, and its default in brackets.
    #[cfg(test)]
    pub(crate) text: &'static str,
}

/// Declares the flags of one group, and how each is given to the builder.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $parse:expr, $value:literal, $heading:literal, $into:expr;)+) => {
        /// Limits, deadlines and socket options that somebody has set.
        #[derive(Clone, Debug, Default, clap::Args)]
        pub(crate) struct Limits {
            $(
                $(#[doc = $doc])+
                #[arg(long, value_name = $value, value_parser = $parse, help_heading = $heading)]
                $name: Option<$type>,
            )+
        }

        impl Limits {
            /// What each is called in a file, and what it means.
            pub(crate) const KEYS: &[LimitKey] = &[
                $(LimitKey {
                    name: stringify!($name),
                    #[cfg(test)]
                    kind: $value,
                    #[cfg(test)]
                    text: concat!($($doc),+),
                },)+
            ];

            /// Sets the one of this name; none if there is no such limit.
            pub(crate) fn set(&mut self, name: &str, text: &str) -> Option<Result<(), String>> {
                match name {
                    $(
                        stringify!($name) => {
                            let parse: fn(&str) -> Result<$type, String> = $parse;
                            Some(parse(text).map(|value| self.$name = Some(value)))
                        }
                    )+
                    _ => None,
                }
            }

            pub(crate) fn apply(&self, mut builder: Builder) -> Builder {
                $(
                    if let Some(value) = self.$name {
                        builder = builder.$name($into(value));
                    }
                )+
                builder
            }
        }
    };
}

/// None is one for each CPU.
#[derive(Clone, Copy, Debug)]
struct Processes(Option<usize>);

fn processes(text: &str) -> Result<Processes, String> {
    match text {
        "auto" => Ok(Processes(None)),
        "0" => Err("there is at least one process".to_owned()),
        number => units::number::<u16>(number).map(|number| Processes(Some(number.into()))),
    }
}

type Time = Switch<Duration>;

fn time(text: &str) -> Result<Time, String> {
    units::or_off(text, units::duration)
}

fn count(text: &str) -> Result<Switch<usize>, String> {
    units::or_off(text, units::number)
}

fn count_u32(text: &str) -> Result<Switch<u32>, String> {
    units::or_off(text, units::number)
}

fn size_u32(text: &str) -> Result<Switch<u32>, String> {
    units::or_off(text, units::bytes_as)
}

/// Whole seconds: QUIC's timers are no finer.
fn seconds(text: &str) -> Result<u32, String> {
    let time = units::duration(text)?;
    match (time.subsec_nanos(), u32::try_from(time.as_secs())) {
        (0, Ok(seconds)) => Ok(seconds),
        _ => Err(format!("`{text}` has to be whole seconds here")),
    }
}

fn seconds_or_off(text: &str) -> Result<Switch<u32>, String> {
    units::or_off(text, seconds)
}

fn congestion(text: &str) -> Result<Congestion, String> {
    match text {
        "cubic" => Ok(Congestion::Cubic),
        "bbr" => Ok(Congestion::Bbr),
        _ => Err(format!("`{text}` is neither `cubic` nor `bbr`")),
    }
}

fn retry(text: &str) -> Result<Retry, String> {
    match text {
        "always" => Ok(Retry::Always),
        number => units::number(number).map(Retry::Above),
    }
}

/// RFC 9000 §14: no path carries less than 1200 bytes, and none more than UDP over IPv6.
fn datagram(text: &str) -> Result<u16, String> {
    match units::bytes_as(text)? {
        bytes @ 1200..=65_527 => Ok(bytes),
        _ => Err(format!("`{text}`: a datagram has 1200 to 65527 bytes")),
    }
}

limits! {
    /// A request head; larger: 431 [default: 16k]
    head_bytes_max: u32 = units::bytes_as::<u32>, "SIZE", "Limits", std::convert::identity;
    /// A request target; longer: 414 [default: 8k]
    target_bytes_max: u32 = units::bytes_as::<u32>, "SIZE", "Limits", std::convert::identity;
    /// Field lines of a head; more: 431 [default: 100]
    field_lines_max: u16 = units::number::<u16>, "N", "Limits", std::convert::identity;
    /// A trailer section; larger: 431 [default: 8k]
    trailer_bytes_max: u32 = units::bytes_as::<u32>, "SIZE", "Limits", std::convert::identity;
    /// Field lines of a trailer section; more: 431 [default: 32]
    trailer_lines_max: u16 = units::number::<u16>, "N", "Limits", std::convert::identity;
    /// Chunk extensions of one message; more: 400 [default: 4k]
    chunk_extension_bytes_max: u32 = units::bytes_as::<u32>, "SIZE", "Limits", std::convert::identity;
    /// Content of one request; larger: 413 [default: 1g]
    content_bytes_max: u64 = units::bytes, "SIZE", "Limits", std::convert::identity;
    /// Unread content thrown away to keep a connection; more: close [default: 256k]
    content_discarded_bytes_max: u64 = units::bytes, "SIZE", "Limits", std::convert::identity;
    /// Thrown away by a worker in a second, of clients that were refused and content in tiny pieces; those beyond it wait [default: 16m]
    discard_rate_max: usize = units::bytes_as::<usize>, "SIZE", "Limits", std::convert::identity;
    /// Connections of one worker that linger after their last response; one more closes the oldest [default: 8192]
    lingering_max: usize = units::number::<usize>, "N", "Limits", std::convert::identity;
    /// Open connections; at the limit accepting pauses [default: open files less 256]
    connections_max: Switch<usize> = count, "N|off", "Limits", Switch::into_option;
    /// Open connections of one worker; at the limit it stops accepting [default: off]
    connections_per_worker_max: Switch<usize> = count, "N|off", "Limits", Switch::into_option;
    /// Open connections from one IPv4 address or IPv6 /64, in all processes; one more: 503 [default: off]
    connections_per_address_max: Switch<usize> = count, "N|off", "Limits", Switch::into_option;
    /// What a worker holds for all its connections; above it: 503 [default: 256m]
    buffered_bytes_max: usize = units::bytes_as::<usize>, "SIZE", "Limits", std::convert::identity;
    /// Requests on one connection; then: close [default: off]
    requests_per_connection_max: Switch<u32> = count_u32, "N|off", "Limits", Switch::into_option;

    /// Blocking work that runs at a time [default: 64]
    blocking_threads_max: usize = units::number::<usize>, "N", "Limits", std::convert::identity;
    /// Blocking work that waits; more: 503 [default: 1024]
    blocking_queue_max: usize = units::number::<usize>, "N", "Limits", std::convert::identity;

    /// TLS handshakes of one worker at a time; one more: close [default: 4096]
    handshakes_max: usize = units::number::<usize>, "N", "Limits", std::convert::identity;
    /// Streams of an HTTP/2 connection at once; one more: REFUSED_STREAM [default: 100]
    concurrent_streams_max: u32 = units::number::<u32>, "N", "Limits", std::convert::identity;
    /// HTTP/2 streams of one worker that wait for their clients; beyond it connections with more than 8 of them get REFUSED_STREAM [default: 8192]
    waiting_streams_max: usize = units::number::<usize>, "N", "Limits", std::convert::identity;

    /// From accept to the end of the TLS handshake; then: close [default: 10s]
    handshake_timeout: Time = time, "TIME|off", "Deadlines", Switch::into_option;
    /// From accept to the first byte; then: close [default: 10s]
    first_byte_timeout: Time = time, "TIME|off", "Deadlines", Switch::into_option;
    /// From a head's first byte to its last; then: 408 [default: 10s]
    head_timeout: Time = time, "TIME|off", "Deadlines", Switch::into_option;
    /// Between two reads of awaited content; then: 408 [default: 30s]
    content_timeout: Time = time, "TIME|off", "Deadlines", Switch::into_option;
    /// From the request to the head of its response; then: 503 [default: 60s]
    handler_timeout: Time = time, "TIME|off", "Deadlines", Switch::into_option;
    /// Between two writes the client accepts; then: reset [default: 30s]
    write_timeout: Time = time, "TIME|off", "Deadlines", Switch::into_option;
    /// The same for connections with more than 8 waiting streams, at waiting-streams-max [default: 1s]
    crowded_timeout: Time = time, "TIME|off", "Deadlines", Switch::into_option;
    /// Bytes per second; slower after the grace: 408 or reset [default: 240]
    rate_min: Switch<u32> = count_u32, "N|off", "Deadlines", Switch::into_option;
    /// How long a transfer may be slower than that [default: 5s]
    rate_grace: Duration = units::duration, "TIME", "Deadlines", std::convert::identity;
    /// Between two requests; then: close [default: 75s]
    idle_timeout: Time = time, "TIME|off", "Deadlines", Switch::into_option;
    /// Age of a connection; then the current response is its last [default: off]
    lifetime_max: Time = time, "TIME|off", "Deadlines", Switch::into_option;
    /// How long a connection we close is still read [default: 5s]
    linger_timeout: Duration = units::duration, "TIME", "Deadlines", std::convert::identity;
    /// On stop: how long accepting goes on [default: 0]
    drain_delay: Duration = units::duration, "TIME", "Deadlines", std::convert::identity;
    /// On stop: how long an idle connection may begin a request [default: 500ms]
    drain_idle_timeout: Duration = units::duration, "TIME", "Deadlines", std::convert::identity;
    /// On stop: when what is left is cut [default: 30s]
    drain_timeout: Duration = units::duration, "TIME", "Deadlines", std::convert::identity;

    /// Length of the kernel's accept queue, per worker [default: 4096]
    backlog: u32 = units::number::<u32>, "N", "Sockets", std::convert::identity;
    /// TCP_NODELAY [default: true]
    nodelay: bool = units::boolean, "true|false", "Sockets", std::convert::identity;
    /// Idle time before TCP keep-alive probes [default: 60s]
    tcp_keepalive: Time = time, "TIME|off", "Sockets", Switch::into_option;
    /// TCP_NOTSENT_LOWAT: what the kernel holds unsent for a slow client [default: 64k]
    notsent_lowat: Switch<u32> = size_u32, "SIZE|off", "Sockets", Switch::into_option;
    /// [::]:PORT accepts IPv6 only [default: true]
    ipv6_only: bool = units::boolean, "true|false", "Sockets", std::convert::identity;
    /// HTTP/2 without TLS, for clients that begin with it [default: true]
    http2_cleartext: bool = units::boolean, "true|false", "Sockets", std::convert::identity;
    /// Keep answering clients that closed their sending side [default: false]
    half_close: bool = units::boolean, "true|false", "Sockets", std::convert::identity;

    /// How fast QUIC connections send: cubic or bbr [default: cubic]
    quic_congestion: Congestion = congestion, "NAME", "QUIC", std::convert::identity;
    /// QUIC clients prove their address: always, or while more handshakes than this are under way [default: 512]
    quic_retry: Retry = retry, "always|N", "QUIC", std::convert::identity;
    /// QUIC clients may change their address [default: true]
    quic_migration: bool = units::boolean, "true|false", "QUIC", std::convert::identity;
    /// The kernel gives each QUIC packet to the worker of its connection [default: true]
    quic_steering: bool = units::boolean, "true|false", "QUIC", std::convert::identity;
    /// Unread content of one HTTP/3 request that a client may send [default: 1m]
    quic_stream_window: u32 = units::bytes_as::<u32>, "SIZE", "QUIC", std::convert::identity;
    /// The same for all requests of a connection [default: 2m]
    quic_connection_window: u32 = units::bytes_as::<u32>, "SIZE", "QUIC", std::convert::identity;
    /// What a QUIC connection is given beyond its congestion window [default: 64k]
    quic_send_ahead_bytes: u32 = units::bytes_as::<u32>, "SIZE", "QUIC", std::convert::identity;
    /// The largest UDP payload that is tried [default: 1452]
    quic_datagram_bytes_max: u16 = datagram, "SIZE", "QUIC", std::convert::identity;
    /// Receive buffer of each UDP socket [default: 4m]
    quic_receive_buffer_bytes: usize = units::bytes_as::<usize>, "SIZE", "QUIC", std::convert::identity;
    /// Send buffer of each UDP socket [default: 4m]
    quic_send_buffer_bytes: usize = units::bytes_as::<usize>, "SIZE", "QUIC", std::convert::identity;
    /// Without a packet; then: the QUIC connection is forgotten [default: 30s]
    quic_silence_timeout: u32 = seconds, "TIME", "QUIC", std::convert::identity;
    /// Without a packet; then: a QUIC connection with requests is asked for one [default: off]
    quic_keep_alive: Switch<u32> = seconds_or_off, "TIME|off", "QUIC", Switch::into_option;
    /// How long responses of other versions tell of HTTP/3; 0 tells nothing [default: 24h]
    alt_svc_max_age: u32 = seconds, "TIME", "QUIC", std::convert::identity;
    /// QPACK's dynamic table that clients may use [default: 0]
    qpack_table_bytes_max: u32 = units::bytes_as::<u32>, "SIZE", "QUIC", std::convert::identity;
    /// HTTP/3 requests of a connection that may wait for its encoder [default: 0]
    qpack_blocked_streams_max: u32 = units::number::<u32>, "N", "QUIC", std::convert::identity;
}

impl Options {
    /// What the addresses with TLS need, if there is a certificate.
    pub(crate) fn tls(&self) -> Option<Tls> {
        let tls = match (&self.tls_cert, &self.tls_key, &self.tls_self_signed) {
            (Some(certificate), Some(key), _) => Tls::files(certificate, key),
            (_, _, Some(directory)) => {
                let names = ["localhost", "127.0.0.1", "::1"];
                Tls::self_signed(directory, names)
            }
            _ => return None,
        };
        Some(match self.http3 {
            true => tls.versions(Versions::ALL),
            false => tls,
        })
    }

    /// A builder with everything but the addresses.
    pub(crate) fn builder(&self) -> Builder {
        let mut builder = Builder::new()
            .pin_workers(self.pin_workers)
            .send_date(!self.no_date);
        if let Some(Processes(processes)) = self.processes {
            builder = builder.processes(processes);
        }
        if let Some(threads) = self.threads {
            builder = builder.threads(threads.into());
        }
        if let Some(user) = &self.user {
            builder = builder.user(user);
        }
        if self.no_server_name {
            builder = builder.server_name(None);
        }
        self.limits.apply(builder)
    }
}
