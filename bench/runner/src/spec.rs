//! Load definitions and peers: what the TOML files say, checked.

use crate::error::{Context as _, Error, Result, fail};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{collections::BTreeMap, fmt, fs, path::Path};
use tls_client::Group;

/// `bench/loads/<name>.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    #[serde(skip)]
    pub name: String,
    pub what: String,
    /// Debian packages of the load generator.
    #[serde(default)]
    pub apt: Vec<String>,
    /// Where it is a program of the bench.
    #[serde(default, rename = "build")]
    pub builds: Vec<Step>,
    pub connections: usize,
    /// How long one measurement lasts.
    #[serde(default = "default_seconds")]
    pub seconds: u32,
    /// CPU is counted from here on, when the connections stand.
    #[serde(default = "default_settle_seconds")]
    pub settle_seconds: f64,
    /// A measurement begins with at most this many sockets in TIME_WAIT.
    #[serde(default = "default_time_wait_max")]
    pub time_wait_max: usize,
    /// The load goes to the peer's port for TLS.
    #[serde(default)]
    pub tls: bool,
    pub server: Place,
    #[serde(default)]
    pub client: Cores,
    pub tool: Tool,
    #[serde(default, rename = "target")]
    pub targets: Vec<Target>,
}

fn default_seconds() -> u32 {
    5
}

fn default_settle_seconds() -> f64 {
    0.5
}

/// Far from the 28 000 ephemeral ports.
fn default_time_wait_max() -> usize {
    8_000
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub threads: usize,
    /// Empty: not pinned.
    #[serde(default)]
    pub cores: Vec<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cores {
    /// Empty: not pinned.
    #[serde(default)]
    pub cores: Vec<usize>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    Wrk(Wrk),
    H2load(H2load),
    Handshakes(Handshakes),
    Quic(Quic),
    Idle(Idle),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrk {
    pub command: Vec<String>,
    /// What responses have; `OK` if nothing is said.
    pub content: Option<Content>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    pub path: String,
    pub bytes: u64,
    /// The file (of those the bench makes) that is sent, with POST.
    pub post: Option<String>,
    /// Its `Content-Type`.
    pub media_type: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct H2load {
    /// Requests under way at a time on each connection.
    pub streams: usize,
    pub path: String,
    /// The file (of those the bench makes) that is sent, with POST.
    pub post: Option<String>,
    /// Its `Content-Type`.
    pub media_type: Option<String>,
    /// The length of the content that a request moves: that of its response, or its own with `post`.
    pub content_bytes: u64,
}

/// HTTP/3.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quic {
    #[serde(default)]
    pub mode: QuicMode,
    /// Requests under way at a time on each connection.
    #[serde(default = "one")]
    pub streams: usize,
    pub path: String,
    /// The content goes to the server, with POST.
    #[serde(default)]
    pub upload: bool,
    /// The length of the content that a request moves.
    pub content_bytes: u64,
}

fn one() -> usize {
    1
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuicMode {
    #[default]
    Requests,
    /// A new connection for each request.
    Handshakes,
    /// Connections that make one request each and wait for the next.
    Idle,
}

/// TLS handshakes, one connection after the other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshakes {
    /// With the session of an earlier connection.
    pub resumed: bool,
    #[serde(default)]
    pub client: HandshakeClient,
    /// The one that [`HandshakeClient::Rustls`] offers for the key exchange.
    #[serde(default, deserialize_with = "group")]
    pub group: Group,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandshakeClient {
    /// `openssl s_time`: one connection at a time.
    #[default]
    Openssl,
    /// `tls-handshakes` of the bench: as many as the load says.
    Rustls,
}

impl HandshakeClient {
    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openssl => "openssl s_time",
            Self::Rustls => "tls-handshakes",
        }
    }
}

fn group<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Group, D::Error> {
    let name = String::deserialize(from)?;
    name.parse().map_err(D::Error::custom)
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    /// Else HTTP/1.1.
    #[serde(default)]
    pub http2: bool,
    /// Connections opened, asked and answered together.
    pub batch: usize,
    /// From the last response to the reading.
    pub wait_seconds: f64,
}

/// What a measurement yields. The order is that of the report's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Server CPU per request, user and system, in µs.
    CpuUs,
    /// The same by the content's length, where it is long.
    CpuNsPerByte,
    HandshakesPerCpuSecond,
    /// Those that the server sends.
    DatagramsPerRequest,
    Rps,
    P50Us,
    P99Us,
    MeanUs,
    MaxUs,
    /// PSS of an idle connection.
    IdleBytes,
    PssKib,
    RssKib,
    SocketErrors,
    /// Responses other than 2xx and 3xx.
    BadStatuses,
}

impl Metric {
    pub fn title(self) -> &'static str {
        match self {
            Self::CpuUs => "CPU/req, µs",
            Self::CpuNsPerByte => "CPU/byte, ns",
            Self::HandshakesPerCpuSecond => "handshakes/CPU second",
            Self::DatagramsPerRequest => "datagrams/req",
            Self::Rps => "rps",
            Self::P50Us => "p50, µs",
            Self::P99Us => "p99, µs",
            Self::MeanUs => "mean, µs",
            Self::MaxUs => "max, µs",
            Self::IdleBytes => "PSS/connection, bytes",
            Self::PssKib => "PSS, KiB",
            Self::RssKib => "RSS, KiB",
            Self::SocketErrors => "socket errors",
            Self::BadStatuses => "bad statuses",
        }
    }

    /// Whether ours against a peer's says anything.
    pub fn is_compared(self) -> bool {
        // One request makes the maximum.
        !matches!(
            self,
            Self::SocketErrors | Self::BadStatuses | Self::RssKib | Self::MaxUs
        )
    }
}

/// What must hold, of the ratio to a peer or, without `of`, of our own figure.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawTarget")]
pub struct Target {
    pub metric: Metric,
    pub bound: Bound,
    pub of: Option<String>,
    /// In every round, instead of in the median.
    pub every_round: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

impl Bound {
    pub fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
            Self::Below(bound) => figure < bound,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    metric: Metric,
    at_most: Option<f64>,
    at_least: Option<f64>,
    below: Option<f64>,
    of: Option<String>,
    #[serde(default)]
    every_round: bool,
}

impl TryFrom<RawTarget> for Target {
    type Error = String;

    fn try_from(raw: RawTarget) -> std::result::Result<Self, String> {
        let bound = match (raw.at_most, raw.at_least, raw.below) {
            (Some(bound), None, None) => Bound::AtMost(bound),
            (None, Some(bound), None) => Bound::AtLeast(bound),
            (None, None, Some(bound)) => Bound::Below(bound),
            _ => return Err("a target needs one of at_most, at_least and below".into()),
        };
        if raw.of.is_some() && !raw.metric.is_compared() {
            return Err(format!(
                "{} is not compared with a peer's",
                raw.metric.title()
            ));
        }
        Ok(Self {
            metric: raw.metric,
            bound,
            of: raw.of,
            every_round: raw.every_round,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, bound) = match self.bound {
            Bound::AtMost(bound) => ("≤", bound),
            Bound::AtLeast(bound) => ("≥", bound),
            Bound::Below(bound) => ("<", bound),
        };
        write!(f, "{} {sign} {bound}", self.metric.title())?;
        if let Some(peer) = &self.of {
            write!(f, " × {peer}")?;
        }
        if self.every_round {
            write!(f, " in every round")?;
        }
        Ok(())
    }
}

/// `bench/peers/<name>/peer.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    #[serde(skip)]
    pub name: String,
    pub what: String,
    /// The loads it takes part in.
    pub loads: Vec<String>,
    /// Debian packages it is built from or is.
    #[serde(default)]
    pub apt: Vec<String>,
    #[serde(default, rename = "build")]
    pub builds: Vec<Step>,
    pub start: Start,
    /// Other ways to start it, for some of its loads.
    #[serde(default, rename = "variant")]
    pub variants: Vec<Variant>,
}

impl Peer {
    pub fn start_for(&self, load: &str) -> &Start {
        let named = |variant: &&Variant| variant.loads.iter().any(|name| name == load);
        self.variants
            .iter()
            .find(named)
            .map_or(&self.start, |variant| &variant.start)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub loads: Vec<String>,
    pub start: Start,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub dir: String,
    pub command: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    pub command: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Templates of the peer's folder, filled in and put into its run directory.
    #[serde(default, rename = "file")]
    pub files: Vec<Template>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub from: String,
    pub to: String,
}

/// Every load definition, by name.
pub fn loads(bench: &Path) -> Result<BTreeMap<String, Load>> {
    let dir = bench.join("loads");
    let mut loads = BTreeMap::new();
    for entry in fs::read_dir(&dir).context(|| format!("read {}", dir.display()))? {
        let path = entry.context(|| format!("read {}", dir.display()))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let mut load: Load = read(&path)?;
            load.name = stem(&path);
            check_load(&load).map_err(|e| fail!("{}: {e}", path.display()))?;
            loads.insert(load.name.clone(), load);
        }
    }
    Ok(loads)
}

/// Every peer, by name. Folders without a `peer.toml` are no peers.
pub fn peers(bench: &Path) -> Result<BTreeMap<String, Peer>> {
    let dir = bench.join("peers");
    let mut peers = BTreeMap::new();
    for entry in fs::read_dir(&dir).context(|| format!("read {}", dir.display()))? {
        let folder = entry.context(|| format!("read {}", dir.display()))?.path();
        let path = folder.join("peer.toml");
        if path.exists() {
            let mut peer: Peer = read(&path)?;
            peer.name = stem(&folder);
            let mut starts = peer.variants.iter().map(|variant| &variant.start);
            if peer.start.command.is_empty() || starts.any(|start| start.command.is_empty()) {
                return Err(fail!("{}: start.command is empty", path.display()));
            }
            peers.insert(peer.name.clone(), peer);
        }
    }
    Ok(peers)
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).context(|| path.display().to_string())
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn check_load(load: &Load) -> std::result::Result<(), Error> {
    if load.connections == 0 || load.server.threads == 0 {
        return Err(fail!("connections and server.threads must be at least 1"));
    }
    if !(0.0..600.0).contains(&load.settle_seconds) {
        return Err(fail!("settle_seconds must be from 0 to 600"));
    }
    match &load.tool {
        Tool::Wrk(wrk) if wrk.command.is_empty() => Err(fail!("tool.wrk.command is empty")),
        Tool::Wrk(Wrk {
            content: Some(content),
            ..
        }) if !content.path.starts_with('/') => {
            Err(fail!("tool.wrk.content.path must begin with a slash"))
        }
        Tool::H2load(h2load) if h2load.streams == 0 || !h2load.path.starts_with('/') => Err(fail!(
            "tool.h2load.streams must be at least 1 and path begin with a slash"
        )),
        Tool::Handshakes(_) if !load.tls => Err(fail!("tool.handshakes needs tls = true")),
        Tool::Handshakes(handshakes)
            if handshakes.client == HandshakeClient::Openssl
                && (load.connections, handshakes.group) != (1, Group::default()) =>
        {
            Err(fail!(
                "openssl s_time makes one connection at a time and takes no group"
            ))
        }
        Tool::Idle(idle) if idle.batch == 0 || !(0.0..600.0).contains(&idle.wait_seconds) => Err(
            fail!("tool.idle.batch must be at least 1 and wait_seconds from 0 to 600"),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Content, HandshakeClient, Load, Metric, Tool, check_load, loads, peers};
    use std::path::Path;
    use tls_client::Group;

    const LOAD: &str = "what = 'x'\nconnections = 1\nserver = { threads = 1 }\n\
        [tool.wrk]\ncommand = ['wrk']\n[[target]]\nmetric = 'cpu_us'\n";

    #[test]
    fn a_target_has_one_bound() {
        let load: Load = toml::from_str(&format!("{LOAD}at_most = 0.5\nof = 'nginx'")).unwrap();
        let target = &load.targets[0];
        assert_eq!(
            (target.metric, target.bound),
            (Metric::CpuUs, Bound::AtMost(0.5))
        );
        assert_eq!(target.to_string(), "CPU/req, µs ≤ 0.5 × nginx");
        assert!(toml::from_str::<Load>(LOAD).is_err());
        let two = format!("{LOAD}at_most = 1\nbelow = 1");
        assert!(toml::from_str::<Load>(&two).is_err());
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<Load>(&format!("{LOAD}at_most = 1\natmost = 2")).is_err());
    }

    #[test]
    fn a_load_of_wrk_may_say_what_its_responses_have() {
        let content = |text: &str| {
            let load: Load = toml::from_str(&LOAD.replace("[[target]]", text)).unwrap();
            let sound = check_load(&load).is_ok();
            match load.tool {
                Tool::Wrk(wrk) => (wrk.content, sound),
                other => panic!("{other:?}"),
            }
        };
        let load = |text: &str| content(&format!("{text}\n[[target]]\nat_most = 1"));
        assert_eq!(load(""), (None, true));
        let (path, bytes) = ("/1m.txt".to_string(), 1_048_576);
        assert_eq!(
            load("content = { path = '/1m.txt', bytes = 1048576 }"),
            (
                Some(Content {
                    path,
                    bytes,
                    post: None,
                    media_type: None
                }),
                true
            )
        );
        assert!(!load("content = { path = '1m.txt', bytes = 1048576 }").1);
    }

    #[test]
    fn only_the_own_client_makes_several_handshakes_at_once() {
        let load = |connections: usize, more: &str| -> Load {
            let text = format!(
                "what = 'x'\nconnections = {connections}\ntls = true\nserver = {{ threads = 1 }}\n\
                 [tool.handshakes]\nresumed = false\n{more}"
            );
            toml::from_str(&text).unwrap()
        };
        let sound = |connections, more| check_load(&load(connections, more)).is_ok();
        assert!(sound(1, ""));
        assert!(!sound(2, ""));
        assert!(!sound(1, "group = 'x25519mlkem768'"));
        assert!(sound(2, "client = 'rustls'\ngroup = 'x25519mlkem768'"));
        let Tool::Handshakes(handshakes) = load(1, "client = 'rustls'").tool else {
            panic!("the tool is another");
        };
        assert_eq!(handshakes.client, HandshakeClient::Rustls);
        assert_eq!(handshakes.group, Group::X25519);
    }

    #[test]
    fn the_files_of_this_directory_are_sound() {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (loads, peers) = (loads(bench).unwrap(), peers(bench).unwrap());
        for peer in peers.values() {
            for load in &peer.loads {
                assert!(loads.contains_key(load), "{}: {load}", peer.name);
            }
            for load in peer.variants.iter().flat_map(|variant| &variant.loads) {
                assert!(peer.loads.contains(load), "{}: {load}", peer.name);
            }
        }
        for load in loads.values() {
            for target in &load.targets {
                if let Some(of) = &target.of {
                    let peer = peers
                        .get(of)
                        .unwrap_or_else(|| panic!("{}: {of}", load.name));
                    assert!(peer.loads.contains(&load.name), "{}: {of}", load.name);
                }
            }
        }
    }
}
