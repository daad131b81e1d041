//! The request an application sees.

use std::any::Any;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ajay_http::{FieldSection, KnownField, Method, RequestHead, Version};

use crate::content::Content;
use crate::pool::{POOLED_BYTES_MAX, Pool};
use crate::tls::TlsInfo;

/// A request: head, content, and where it came from.
///
/// It owns its head in one recycled block and hands out views of it: `request.path()` borrows
/// from the request, copies nothing and cannot outlive it. The block goes back to the worker's
/// pool when the request is dropped. A request is `Send` and may be moved to another thread or
/// task.
pub struct Request {
    /// One pointer, so that moving a request into a handler and its future costs nothing. `None`
    /// only inside `drop`.
    parts: Option<Box<Parts>>,
}

/// Where the other end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    /// A TCP connection.
    Ip(SocketAddr),
    /// A connection to a Unix socket; its client has no address.
    Unix,
}

impl PeerAddr {
    /// The address and port, unless the connection came over a Unix socket.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            PeerAddr::Ip(address) => Some(*address),
            PeerAddr::Unix => None,
        }
    }

    pub(crate) fn ip_only(&self) -> Option<IpAddr> {
        self.ip().map(|address| address.ip())
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddr::Ip(address) => address.fmt(f),
            PeerAddr::Unix => f.write_str("unix"),
        }
    }
}

impl Request {
    pub(crate) fn new(parts: Box<Parts>) -> Request {
        Request { parts: Some(parts) }
    }

    /// The method (RFC 9110 §9).
    pub fn method(&self) -> &Method {
        self.head().method()
    }

    /// The request target as it was received (RFC 9112 §3.2).
    pub fn target(&self) -> &str {
        self.head().target()
    }

    /// The path of the target, undecoded: `/a%20b` for `/a%20b?c`. `*` for asterisk-form, empty
    /// for authority-form (CONNECT).
    pub fn path(&self) -> &str {
        self.head().path()
    }

    /// What follows the target's first `?`, undecoded (RFC 3986 §3.4): empty for `/a?`, none for `/a`.
    pub fn query(&self) -> Option<&str> {
        self.head().query()
    }

    /// Host and port the request is for (RFC 9110 §7.2): from the target or `:authority` where there is one,
    /// else from `Host`. None for HTTP/1.0 without `Host`. It is the client's word.
    pub fn authority(&self) -> Option<&str> {
        self.head().authority()
    }

    /// The version of HTTP the request came in.
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// All field lines of the head, in order (RFC 9110 §5.2).
    pub fn fields(&self) -> &FieldSection {
        self.head().fields()
    }

    /// The value of the first field line of this well-known name.
    pub fn get(&self, name: KnownField) -> Option<&[u8]> {
        self.fields().get(name)
    }

    /// The value of the first field line of this name, compared without case, when it is
    /// printable text (UTF-8); use [`fields`](Request::fields) for raw bytes.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields()
            .get_name(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Where the client is, or the proxy that it comes through.
    pub fn peer_addr(&self) -> PeerAddr {
        self.parts().peer
    }

    /// The address the client connected to; none for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.parts().local
    }

    /// Which of the places to listen on the connection came to, from 0 in the order in which they were
    /// named.
    pub fn listener(&self) -> usize {
        self.parts().listener
    }

    /// What was agreed on with the client, if the connection speaks TLS. None over cleartext.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.parts().tls.as_deref()
    }

    /// The content, to be read piece by piece or collected. What is not read when the request is dropped is
    /// thrown away by the worker.
    pub fn content(&mut self) -> &mut Content {
        &mut self.parts_mut().content
    }

    /// Takes the content out, leaving none behind: for a task that outlives the request. After the response is
    /// complete it gives [`ContentError::Closed`](crate::ContentError::Closed).
    pub fn take_content(&mut self) -> Content {
        std::mem::take(&mut self.parts_mut().content)
    }

    /// What the layer above keeps with this request, if it is of this type.
    pub fn annex<T: Annex>(&self) -> Option<&T> {
        let annex: &dyn Any = self.parts().annex.as_deref()?;
        annex.downcast_ref()
    }

    /// What the layer above keeps with this request; made if there is none yet, or one of another
    /// type.
    pub fn annex_mut<T: Annex + Default>(&mut self) -> &mut T {
        let parts = self.parts_mut();
        let here: Option<&dyn Any> = parts.annex.as_deref().map(|annex| annex as _);
        if !here.is_some_and(|annex| annex.is::<T>()) {
            parts.annex = Some(Box::new(T::default()));
        }
        let annex: Option<&mut dyn Any> = parts.annex.as_deref_mut().map(|annex| annex as _);
        annex
            .and_then(|annex| annex.downcast_mut())
            .expect("it is of this type now")
    }

    fn head(&self) -> &RequestHead {
        &self.parts().head
    }

    fn parts(&self) -> &Parts {
        self.parts.as_deref().expect(PARTS_HERE)
    }

    fn parts_mut(&mut self) -> &mut Parts {
        self.parts.as_deref_mut().expect(PARTS_HERE)
    }
}

/// What a layer above the engine keeps with a request: one value, which is recycled along with the
/// request's memory.
pub trait Annex: Any + Send + Sync {
    /// The request is over: everything that belongs to it goes.
    fn clear(&mut self);
}

const PARTS_HERE: &str = "the parts leave only in drop";

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            parts.recycle();
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .field("fields", self.fields())
            .field("peer_addr", &self.peer_addr())
            .finish_non_exhaustive()
    }
}

/// The recycled block behind a request.
pub(crate) struct Parts {
    pub(crate) head: RequestHead,
    pub(crate) peer: PeerAddr,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) listener: usize,
    pub(crate) tls: Option<Arc<TlsInfo>>,
    pub(crate) content: Content,
    pub(crate) annex: Option<Box<dyn Annex>>,
}

thread_local! {
    static POOL: Pool<Parts> = const { Pool::new() };
}

impl Parts {
    /// An empty block, from this thread's pool if it has one.
    // Boxed in the pool already: moving the block would copy 200 bytes each way.
    #[allow(clippy::unnecessary_box_returns)]
    #[inline]
    pub(crate) fn take(peer: &PeerAddr, local: &Option<SocketAddr>) -> Box<Parts> {
        match POOL.with(Pool::take) {
            Some(mut parts) => {
                parts.peer = *peer;
                parts.local = *local;
                parts
            }
            None => Box::new(Parts {
                head: RequestHead::new(),
                peer: *peer,
                local: *local,
                listener: 0,
                tls: None,
                content: Content::default(),
                annex: None,
            }),
        }
    }

    /// Gives the block to this thread's pool; frees it where there is none any more.
    #[inline]
    pub(crate) fn recycle(mut self: Box<Self>) {
        self.tls = None;
        if self.content.is_some() {
            self.content = Content::default();
        }
        if let Some(annex) = &mut self.annex {
            annex.clear();
        }
        if self.head.fields().capacity_bytes() > POOLED_BYTES_MAX {
            return;
        }
        // The head is not cleared: the core does that when it begins to read one.
        Pool::put(&POOL, self);
    }
}
