//! The field `Vary` (RFC 9110 §12.5.5).

use ajay_engine::{FieldSection, KnownField};

/// Says that the response depends on this field of the request, unless it says so already.
pub(super) fn add(fields: &mut FieldSection, name: &str) {
    let mut joined = Vec::new();
    for line in fields.get_all(KnownField::Vary) {
        for member in line.split(|byte| *byte == b',') {
            let member = member.trim_ascii();
            if member == b"*" || member.eq_ignore_ascii_case(name.as_bytes()) {
                return;
            }
        }
        joined.extend_from_slice(line);
        joined.extend_from_slice(b", ");
    }
    // One line: there are caches that look at the first only.
    joined.extend_from_slice(name.as_bytes());
    let set = fields.set_known(KnownField::Vary, joined);
    debug_assert!(set.is_ok(), "values that were there, and a name");
}
