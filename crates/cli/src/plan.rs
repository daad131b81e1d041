//! What is served: a configuration that has been checked, in the form in which requests meet it. It
//! never changes; another configuration is another plan.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ajayserver::middleware::{BasicAuth, Cors, RateLimit};
use ajayserver::{File, Files, ListenAddr, StatusCode};
use bytes::Bytes;

use crate::args::Limits;
use crate::password::HashedUsers;
use crate::routing::{Hosts, Network, Routes};
use crate::template::Template;

#[derive(Debug)]
pub(crate) struct Plan {
    /// How many plans this process has had before; the first is 1.
    pub(crate) generation: u64,
    pub(crate) server: ServerPlan,
    pub(crate) listeners: Vec<ListenerPlan>,
    pub(crate) sites: Vec<SitePlan>,
}

#[derive(Debug, Default)]
pub(crate) struct ServerPlan {
    /// None inside is one for each CPU.
    pub(crate) processes: Option<Option<u16>>,
    pub(crate) threads: Option<u16>,
    pub(crate) pin_workers: bool,
    pub(crate) user: Option<String>,
    pub(crate) no_date: bool,
    pub(crate) no_server_name: bool,
    pub(crate) limits: Limits,
}

#[derive(Debug)]
pub(crate) struct ListenerPlan {
    pub(crate) address: ListenAddr,
    /// Nobody has named it: without IPv6 on the machine it is left out.
    pub(crate) is_default: bool,
    pub(crate) tls: Option<TlsPlan>,
    pub(crate) hosts: Hosts,
}

#[derive(Debug)]
pub(crate) enum TlsPlan {
    SelfSigned {
        directory: PathBuf,
        names: Vec<String>,
    },
    /// Chains and keys, each pair once.
    Files(Vec<(PathBuf, PathBuf)>),
}

#[derive(Debug)]
pub(crate) struct SitePlan {
    /// Its hosts, for people.
    pub(crate) name: String,
    /// File and line.
    pub(crate) place: String,
    pub(crate) encoded_slashes: bool,
    /// Sites with the same number have the same certificate.
    pub(crate) certificate: Option<u32>,
    pub(crate) routes: Routes,
    /// By the number of the route in `routes`.
    pub(crate) plans: Vec<RoutePlan>,
    /// Where there is no route.
    pub(crate) missing: RoutePlan,
}

#[derive(Debug)]
pub(crate) struct RoutePlan {
    pub(crate) place: String,
    pub(crate) answer: Answer,
    pub(crate) options: OptionsPlan,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Files {
        files: Files,
        root: PathBuf,
        strip_prefix: bool,
        fallback: Option<File>,
    },
    Respond {
        status: StatusCode,
        body: Bytes,
        content_type: String,
    },
    Redirect {
        to: Template,
        status: StatusCode,
        text: String,
    },
    Rewrite {
        to: Template,
        text: String,
    },
    NotFound,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct OptionsPlan {
    pub(crate) headers: Option<Arc<HeadersPlan>>,
    pub(crate) content_bytes_max: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    /// None is everyone.
    pub(crate) allow: Option<Arc<[Network]>>,
    pub(crate) deny: Option<Arc<[Network]>>,
    pub(crate) basic_auth: Option<BasicAuth<HashedUsers>>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) error_pages: Option<Arc<[(u16, Page)]>>,
    pub(crate) cors: Option<Cors>,
    pub(crate) hsts: Option<(Duration, bool)>,
    /// Whether those of clients are kept.
    pub(crate) request_id: Option<bool>,
    pub(crate) compression: bool,
}

#[derive(Debug)]
pub(crate) struct HeadersPlan {
    pub(crate) set: Vec<(String, String)>,
    pub(crate) add: Vec<(String, String)>,
    pub(crate) remove: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) body: Bytes,
    pub(crate) content_type: &'static str,
}

impl OptionsPlan {
    /// Whether nothing is done before or after the answer.
    pub(crate) fn is_plain(&self) -> bool {
        self.switches().iter().all(|(_, is_set)| !is_set)
    }

    /// What is done before or after the answer.
    pub(crate) fn active(&self) -> Vec<&'static str> {
        let set = self.switches().into_iter().filter(|(_, is_set)| *is_set);
        set.map(|(name, _)| name).collect()
    }

    fn switches(&self) -> [(&'static str, bool); 12] {
        [
            ("request_id", self.request_id.is_some()),
            ("headers", self.headers.is_some()),
            ("hsts", self.hsts.is_some()),
            ("compression", self.compression),
            ("error_pages", self.error_pages.is_some()),
            ("allow", self.allow.is_some()),
            ("deny", self.deny.is_some()),
            ("rate_limit", self.rate_limit.is_some()),
            ("cors", self.cors.is_some()),
            ("basic_auth", self.basic_auth.is_some()),
            ("limits.content_bytes_max", self.content_bytes_max.is_some()),
            ("limits.timeout", self.timeout.is_some()),
        ]
    }
}

impl Answer {
    /// In one line.
    pub(crate) fn describe(&self) -> String {
        match self {
            Answer::Files { root, .. } => format!("files below {}", root.display()),
            Answer::Respond { status, body, .. } => {
                format!("respond {} with {} bytes", status.as_u16(), body.len())
            }
            Answer::Redirect { status, text, .. } => {
                format!("redirect {} to {text}", status.as_u16())
            }
            Answer::Rewrite { text, .. } => format!("rewrite to {text}"),
            Answer::NotFound => "respond 404".to_owned(),
        }
    }
}
