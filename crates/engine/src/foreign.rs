//! Requests that another server has read: what it knows of them, in the form that handlers see.

use ajay_http::{InvalidField, KnownField, Method, Span, TargetForm, TargetParts};
use http::Uri;
use http::request::Parts as HttpParts;

use crate::Request;
use crate::content::Content;
use crate::request::{Parts, PeerAddr};

impl Request {
    /// A request that another server has read, with the content that it gives. For applications inside that
    /// server: see `into_tower` of the library.
    ///
    /// Its target is path and query, its authority that of the URI or, if there is none, of `Host`. It came over
    /// no listener and no TLS of ours. No limits have been looked at but those of that server; of the content
    /// [`Content::collect`] gathers 4 MiB at most. The head's extensions are not looked at.
    ///
    /// # Errors
    /// [`InvalidField`] where a field or the target could not have come to us: the other server is laxer.
    pub fn from_http(
        head: &HttpParts,
        content: Content,
        peer: PeerAddr,
    ) -> Result<Request, InvalidField> {
        let mut parts = Parts::take(&peer, &None);
        (parts.listener, parts.tls) = (0, None);
        parts.head.clear();
        parts.head.set_method(head.method.clone());
        parts.head.set_version(head.version);
        let target = target(&head.method, &head.uri, |text| {
            let bytes = text.as_bytes();
            if !bytes.iter().all(u8::is_ascii_graphic) {
                return Err(InvalidField::Value);
            }
            let start = parts.head.fields_mut().push_bytes(bytes);
            let len = u32::try_from(bytes.len()).map_err(|_| InvalidField::Value)?;
            Ok(Span { start, len })
        })?;
        parts.head.set_target(target);
        let fields = parts.head.fields_mut();
        for (name, value) in &head.headers {
            fields.append(name.as_str(), value.as_bytes())?;
        }
        // RFC 9113 §8.2.3; other servers leave that to their applications.
        if fields.count(KnownField::Cookie) > 1 {
            fields.join(KnownField::Cookie, b"; ");
        }
        parts.content = content;
        Ok(Request::new(parts))
    }
}

fn target(
    method: &Method,
    uri: &Uri,
    mut store: impl FnMut(&str) -> Result<Span, InvalidField>,
) -> Result<TargetParts, InvalidField> {
    let authority = match uri.authority() {
        Some(authority) => Some(store(authority.as_str())?),
        None => None,
    };
    if *method == Method::CONNECT {
        return Ok(TargetParts {
            form: TargetForm::Authority,
            target: authority.unwrap_or_default(),
            authority,
            ..TargetParts::default()
        });
    }
    let whole = uri.path_and_query().map_or("/", |it| it.as_str());
    let path_len = whole.find('?').unwrap_or(whole.len()) as u32;
    let target = store(whole)?;
    let part = |from: u32, len: u32| Span {
        start: target.start + from,
        len,
    };
    let has_query = path_len < target.len;
    let scheme = match uri.scheme_str() {
        Some(scheme) => Some(store(scheme)?),
        None => None,
    };
    Ok(TargetParts {
        form: match whole {
            "*" => TargetForm::Asterisk,
            _ => TargetForm::Origin,
        },
        target,
        path: part(0, path_len),
        query: has_query.then(|| part(path_len + 1, target.len - path_len - 1)),
        authority,
        scheme,
    })
}

#[cfg(test)]
mod tests;
