//! Which media types become smaller.

/// Type and subtype, without parameters.
pub(super) fn essence(value: &str) -> &str {
    let end = value.find(';').unwrap_or(value.len());
    value[..end].trim_ascii()
}

/// Whether content of this type is worth compressing: text in whichever form, and what has not been
/// compressed by itself.
pub(super) fn is_compressible(essence: &str) -> bool {
    let essence = essence.to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/') else {
        return false;
    };
    if kind == "text" {
        // Its pieces are small and are to arrive at once.
        return subtype != "event-stream";
    }
    let suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
    if matches!(suffix, Some("json" | "xml" | "json-seq" | "yaml")) {
        return true;
    }
    match kind {
        "application" => APPLICATION.contains(&subtype),
        "image" => IMAGE.contains(&subtype),
        "font" => FONT.contains(&subtype),
        _ => false,
    }
}

const APPLICATION: [&str; 21] = [
    "ecmascript",
    "graphql",
    "javascript",
    "json",
    "json-seq",
    "jsonlines",
    "ndjson",
    "rtf",
    "sql",
    "toml",
    "vnd.ms-fontobject",
    "vnd.ms-opentype",
    "wasm",
    "x-font-ttf",
    "x-javascript",
    "x-json",
    "x-ndjson",
    "x-sh",
    "x-www-form-urlencoded",
    "xml",
    "yaml",
];

/// SVG has a suffix.
const IMAGE: [&str; 4] = ["bmp", "vnd.microsoft.icon", "x-icon", "x-ms-bmp"];

/// WOFF and WOFF2 are compressed.
const FONT: [&str; 4] = ["collection", "otf", "sfnt", "ttf"];
