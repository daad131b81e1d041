//! What has to hold of a request besides its path.

use std::net::IpAddr;

use ajayserver::{Method, Version};

use crate::config::Wanted;

/// What conditions ask about a request.
pub(crate) trait Facts {
    fn method(&self) -> &Method;
    fn version(&self) -> Version;
    /// None over a Unix socket.
    fn client(&self) -> Option<IpAddr>;
    /// The value of the first field line of this name.
    fn field(&self, name: &str) -> Option<&[u8]>;
    fn query(&self) -> Option<&str>;
}

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) address: IpAddr,
    pub(crate) bits: u8,
}

impl Network {
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

/// Which of them hold for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    /// All but the method.
    NotTheMethod,
    No,
}

/// The conditions of a route. Empty lists ask for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Conditions {
    pub(crate) methods: Vec<Method>,
    pub(crate) headers: Vec<(String, Wanted)>,
    pub(crate) query: Vec<(String, Wanted)>,
    pub(crate) client: Vec<Network>,
    pub(crate) versions: Vec<Version>,
    /// Preflights (CORS) are for the route of the method they ask about.
    pub(crate) takes_preflights: bool,
}

impl Conditions {
    /// How many there are, for the order of routes.
    pub(crate) fn count(&self) -> usize {
        let lists = [
            self.methods.is_empty(),
            self.client.is_empty(),
            self.versions.is_empty(),
        ];
        let lists = lists.iter().filter(|is_empty| !**is_empty).count();
        lists + self.headers.len() + self.query.len()
    }

    pub(super) fn hold(&self, facts: &(impl Facts + ?Sized)) -> Holds {
        let rest = (self.versions.is_empty() || self.versions.contains(&facts.version()))
            && (self.client.is_empty() || self.has_client(facts.client()))
            && self.headers.iter().all(|(name, wanted)| {
                let value = facts.field(name);
                is_wanted(wanted, value)
            })
            && self.query.iter().all(|(name, wanted)| {
                let value = facts.query().and_then(|query| query_value(query, name));
                is_wanted(wanted, value.map(str::as_bytes))
            });
        match (rest, self.has_method(facts)) {
            (false, _) => Holds::No,
            (true, false) => Holds::NotTheMethod,
            (true, true) => Holds::Yes,
        }
    }

    fn has_client(&self, client: Option<IpAddr>) -> bool {
        client.is_some_and(|client| self.client.iter().any(|network| network.contains(client)))
    }

    fn has_method(&self, facts: &(impl Facts + ?Sized)) -> bool {
        if self.methods.is_empty() {
            return true;
        }
        let method = facts.method();
        if self.methods.contains(method)
            || *method == Method::HEAD && self.methods.contains(&Method::GET)
        {
            return true;
        }
        self.takes_preflights
            && *method == Method::OPTIONS
            && facts
                .field("access-control-request-method")
                .is_some_and(|asked| {
                    self.methods
                        .iter()
                        .any(|it| it.as_str().as_bytes() == asked)
                })
    }

    /// Whether these hold wherever the other ones do.
    pub(crate) fn are_implied_by(&self, other: &Conditions) -> bool {
        let covers = |method: &Method| {
            self.methods.contains(method)
                || *method == Method::HEAD && self.methods.contains(&Method::GET)
        };
        let methods = self.methods.is_empty()
            || !other.methods.is_empty() && other.methods.iter().all(covers);
        let versions = self.versions.is_empty()
            || !other.versions.is_empty()
                && other.versions.iter().all(|it| self.versions.contains(it));
        let client = self.client.is_empty() || self.client == other.client;
        let headers = self.headers.iter().all(|it| other.headers.contains(it));
        let query = self.query.iter().all(|it| other.query.contains(it));
        methods && versions && client && headers && query
    }
}

fn is_wanted(wanted: &Wanted, value: Option<&[u8]>) -> bool {
    match wanted {
        Wanted::Present => value.is_some(),
        Wanted::Absent => value.is_none(),
        Wanted::Exactly(text) => value == Some(text.as_bytes()),
    }
}

/// The first value of this name; empty for a name without `=`.
fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}
