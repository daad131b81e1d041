//! Well-known field names and the hash that finds them.

/// Case-folding mask: ASCII letters differ from their other case in this bit only.
const CASE: u64 = 0x2020_2020_2020_2020;
/// The bit that is set in every ASCII letter and in no digit or hyphen.
const LETTER: u64 = 0x4040_4040_4040_4040;

/// The multiplier with which no two known names share a slot. When the list changes, the constant
/// assertion below says whether it still holds; the ignored test `find_a_multiplier` finds another.
const MULTIPLIER: u64 = 0xb54e_465b_69ee_3719;
/// 512 slots: the smallest power of two for which a multiplier is found within a second.
const SLOT_BITS: u32 = 9;
const SLOTS: usize = 1 << SLOT_BITS;
/// Marks a slot that no name hashes to.
const NO_NAME: u8 = u8::MAX;
/// No known name is longer; keys compare four words at most.
const NAME_LEN_MAX: usize = 32;

macro_rules! known_fields {
    ($($variant:ident $name:literal,)*) => {
        /// A field name with an id (RFC 9110 §18.4 and the IANA registry of field names, and a few
        /// unregistered names that are on most requests).
        ///
        /// There are fewer than 128, so that a section remembers which ones it holds in two words.
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum KnownField {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        const VARIANTS: &[KnownField] = &[$(KnownField::$variant),*];
        const H1_NAMES: [&str; VARIANTS.len()] = [$($name),*];
        const LOWER_NAMES: [&str; VARIANTS.len()] = [$({
            const LOWER: [u8; $name.len()] = lower($name);
            match std::str::from_utf8(&LOWER) {
                Ok(text) => text,
                Err(_) => "",
            }
        }),*];
    };
}

known_fields! {
    Accept "Accept",
    AcceptCharset "Accept-Charset",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AcceptPatch "Accept-Patch",
    AcceptRanges "Accept-Ranges",
    AccessControlAllowCredentials "Access-Control-Allow-Credentials",
    AccessControlAllowHeaders "Access-Control-Allow-Headers",
    AccessControlAllowMethods "Access-Control-Allow-Methods",
    AccessControlAllowOrigin "Access-Control-Allow-Origin",
    AccessControlExposeHeaders "Access-Control-Expose-Headers",
    AccessControlMaxAge "Access-Control-Max-Age",
    AccessControlRequestHeaders "Access-Control-Request-Headers",
    AccessControlRequestMethod "Access-Control-Request-Method",
    Age "Age",
    Allow "Allow",
    AltSvc "Alt-Svc",
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CacheControl "Cache-Control",
    CdnCacheControl "CDN-Cache-Control",
    ClearSiteData "Clear-Site-Data",
    Connection "Connection",
    ContentDigest "Content-Digest",
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding",
    ContentLanguage "Content-Language",
    ContentLength "Content-Length",
    ContentLocation "Content-Location",
    ContentRange "Content-Range",
    ContentSecurityPolicy "Content-Security-Policy",
    ContentType "Content-Type",
    Cookie "Cookie",
    CrossOriginEmbedderPolicy "Cross-Origin-Embedder-Policy",
    CrossOriginOpenerPolicy "Cross-Origin-Opener-Policy",
    CrossOriginResourcePolicy "Cross-Origin-Resource-Policy",
    Date "Date",
    Dnt "DNT",
    EarlyData "Early-Data",
    Etag "ETag",
    Expect "Expect",
    Expires "Expires",
    Forwarded "Forwarded",
    From "From",
    Host "Host",
    Http2Settings "HTTP2-Settings",
    IdempotencyKey "Idempotency-Key",
    IfMatch "If-Match",
    IfModifiedSince "If-Modified-Since",
    IfNoneMatch "If-None-Match",
    IfRange "If-Range",
    IfUnmodifiedSince "If-Unmodified-Since",
    KeepAlive "Keep-Alive",
    LastEventId "Last-Event-ID",
    LastModified "Last-Modified",
    Link "Link",
    Location "Location",
    MaxForwards "Max-Forwards",
    Origin "Origin",
    PermissionsPolicy "Permissions-Policy",
    Pragma "Pragma",
    Prefer "Prefer",
    Priority "Priority",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthenticationInfo "Proxy-Authentication-Info",
    ProxyAuthorization "Proxy-Authorization",
    ProxyConnection "Proxy-Connection",
    Range "Range",
    Referer "Referer",
    ReferrerPolicy "Referrer-Policy",
    Refresh "Refresh",
    ReprDigest "Repr-Digest",
    RetryAfter "Retry-After",
    SaveData "Save-Data",
    SecChUa "Sec-CH-UA",
    SecChUaMobile "Sec-CH-UA-Mobile",
    SecChUaPlatform "Sec-CH-UA-Platform",
    SecFetchDest "Sec-Fetch-Dest",
    SecFetchMode "Sec-Fetch-Mode",
    SecFetchSite "Sec-Fetch-Site",
    SecFetchUser "Sec-Fetch-User",
    SecGpc "Sec-GPC",
    SecPurpose "Sec-Purpose",
    SecWebsocketAccept "Sec-WebSocket-Accept",
    SecWebsocketExtensions "Sec-WebSocket-Extensions",
    SecWebsocketKey "Sec-WebSocket-Key",
    SecWebsocketProtocol "Sec-WebSocket-Protocol",
    SecWebsocketVersion "Sec-WebSocket-Version",
    Server "Server",
    ServerTiming "Server-Timing",
    SetCookie "Set-Cookie",
    StrictTransportSecurity "Strict-Transport-Security",
    Te "TE",
    TimingAllowOrigin "Timing-Allow-Origin",
    Traceparent "Traceparent",
    Tracestate "Tracestate",
    Trailer "Trailer",
    TransferEncoding "Transfer-Encoding",
    Upgrade "Upgrade",
    UpgradeInsecureRequests "Upgrade-Insecure-Requests",
    UserAgent "User-Agent",
    Vary "Vary",
    Via "Via",
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
    XContentTypeOptions "X-Content-Type-Options",
    XCorrelationId "X-Correlation-ID",
    XForwardedFor "X-Forwarded-For",
    XForwardedHost "X-Forwarded-Host",
    XForwardedPort "X-Forwarded-Port",
    XForwardedProto "X-Forwarded-Proto",
    XFrameOptions "X-Frame-Options",
    XPoweredBy "X-Powered-By",
    XRealIp "X-Real-IP",
    XRequestId "X-Request-ID",
    XRequestedWith "X-Requested-With",
    XXssProtection "X-XSS-Protection",
}

impl KnownField {
    /// All known fields, in the order of their ids.
    pub const ALL: &'static [Self] = VARIANTS;

    /// The known field of that name, whatever its case.
    #[inline]
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let (first, last) = end_words(name)?;
        Self::from_end_words(name, first, last)
    }

    /// As [`from_name`](Self::from_name), for a scanner that has seen the words of the name: its
    /// first and last eight bytes in little-endian order, or twice the whole name, padded with
    /// zeros, if it is shorter.
    #[inline]
    #[must_use]
    pub fn from_end_words(name: &[u8], first: u64, last: u64) -> Option<Self> {
        let key = KEYS.get(usize::from(SLOT_TABLE[slot(first, last, name.len())]))?;
        // The two ends cover names up to 16 bytes; longer ones have a middle.
        let equal = usize::from(key.len) == name.len()
            && same_letters(first, key.first)
            && (name.len() <= 8 || same_letters(last, key.last))
            && (name.len() <= 16 || same_middle(name, key));
        equal.then_some(key.field)
    }

    /// The id: smaller than 128 and stable within one build only.
    #[inline]
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The field of an id.
    #[inline]
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        VARIANTS.get(usize::from(id)).copied()
    }

    /// The name in lower case, as HTTP/2 and HTTP/3 send it (RFC 9113 §8.2).
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        LOWER_NAMES[self as usize]
    }

    /// The name as HTTP/1.1 conventionally writes it, for example `Content-Type`.
    #[inline]
    #[must_use]
    pub const fn as_h1_str(self) -> &'static str {
        H1_NAMES[self as usize]
    }

    /// Whether the value must not be written to logs.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(
            self,
            Self::Authorization | Self::ProxyAuthorization | Self::Cookie | Self::SetCookie
        )
    }
}

impl std::fmt::Display for KnownField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A known name cut into words that are compared instead of its bytes.
///
/// `first` and `last` are its first and last eight bytes, which overlap in names shorter than 16
/// and are both the whole name, padded with zeros, in names shorter than 8. `second` and
/// `third` are the words after the first and before the last, for names longer than 16.
struct Key {
    first: u64,
    last: u64,
    second: u64,
    third: u64,
    len: u8,
    field: KnownField,
}

static KEYS: [Key; VARIANTS.len()] = {
    const EMPTY: Key = Key {
        first: 0,
        last: 0,
        second: 0,
        third: 0,
        len: 0,
        field: KnownField::Accept,
    };
    let mut keys = [EMPTY; VARIANTS.len()];
    let mut id = 0;
    while id < VARIANTS.len() {
        keys[id] = key_of(VARIANTS[id]);
        id += 1;
    }
    keys
};

static SLOT_TABLE: [u8; SLOTS] = {
    let mut slots = [NO_NAME; SLOTS];
    let mut id = 0;
    while id < VARIANTS.len() {
        let key = key_of(VARIANTS[id]);
        let slot = slot(key.first, key.last, key.len as usize);
        assert!(
            slots[slot] == NO_NAME,
            "two known names share a slot: choose another MULTIPLIER"
        );
        slots[slot] = id as u8;
        id += 1;
    }
    slots
};

const _: () = assert!(
    VARIANTS.len() < 128,
    "presence is 128 bits, and NO_NAME is no id"
);

/// The slot of a name given by its end words and length. Letters hash alike in both cases.
#[inline]
const fn slot(first: u64, last: u64, len: usize) -> usize {
    let mixed = (first | CASE)
        .wrapping_add((last | CASE).rotate_left(29))
        .wrapping_add(len as u64);
    (mixed.wrapping_mul(MULTIPLIER) >> (u64::BITS - SLOT_BITS)) as usize
}

/// Whether `word` equals `key`, a word in lower case, but for the case of letters.
#[inline]
const fn same_letters(word: u64, key: u64) -> bool {
    (word ^ key) & !((key & LETTER) >> 1) == 0
}

#[inline]
fn same_middle(name: &[u8], key: &Key) -> bool {
    let second = name.get(8..).and_then(first_word);
    let third = name.get(name.len().wrapping_sub(16)..).and_then(first_word);
    match (second, third) {
        (Some(second), Some(third)) => {
            same_letters(second, key.second) && same_letters(third, key.third)
        }
        _ => false,
    }
}

#[inline]
fn first_word(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// The first and the last eight bytes; of a shorter name, twice the name padded with zeros.
#[inline]
fn end_words(name: &[u8]) -> Option<(u64, u64)> {
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        return Some((u64::from_le_bytes(*first), u64::from_le_bytes(*last)));
    }
    // Two halves that overlap, shifted into place: no loop over bytes.
    let word = if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        u64::from(first) | u64::from(last) << (8 * (name.len() - 4))
    } else {
        let (first, last) = (*name.first()?, *name.last()?);
        let middle = *name.get(name.len() / 2)?;
        u64::from(first)
            | u64::from(middle) << (8 * (name.len() / 2))
            | u64::from(last) << (8 * (name.len() - 1))
    };
    Some((word, word))
}

const fn key_of(field: KnownField) -> Key {
    let name = LOWER_NAMES[field as usize].as_bytes();
    let len = name.len();
    assert!(len > 0 && len <= NAME_LEN_MAX);
    let (last_start, third_start) = (len.saturating_sub(8), len.saturating_sub(16));
    Key {
        first: word_at(name, 0),
        last: word_at(name, last_start),
        second: word_at(name, 8),
        third: word_at(name, third_start),
        len: len as u8,
        field,
    }
}

/// Up to eight bytes from `start`, padded with zeros.
const fn word_at(name: &[u8], start: usize) -> u64 {
    let mut word = 0;
    let mut index = 0;
    while index < 8 && start + index < name.len() {
        word |= (name[start + index] as u64) << (8 * index);
        index += 1;
    }
    word
}

const fn lower<const N: usize>(name: &str) -> [u8; N] {
    let mut lower = [0; N];
    let mut index = 0;
    while index < N {
        lower[index] = name.as_bytes()[index].to_ascii_lowercase();
        index += 1;
    }
    lower
}

#[cfg(test)]
mod tests;
