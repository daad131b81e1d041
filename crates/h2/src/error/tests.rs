use std::collections::HashSet;

use super::*;

#[test]
fn violations_have_names_texts_and_effects_of_their_own() {
    let mut seen = HashSet::new();
    for &violation in Violation::ALL {
        assert!(seen.insert(violation.name()) && seen.insert(violation.text()));
        assert_eq!(violation.to_string(), violation.text());
        match violation.effect() {
            Effect::Connection(code) | Effect::Stream(code) => {
                assert!(code.name().is_some() && code != ErrorCode::NO_ERROR);
                assert_eq!(violation.status(), None);
            }
            Effect::Response(status) => {
                assert!(status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED);
                assert_eq!(violation.status(), Some(status));
            }
        }
    }
}

#[test]
fn floods_ask_for_calm() {
    for &violation in Violation::ALL {
        if violation.name().ends_with("Flood") {
            let calm = Effect::Connection(ErrorCode::ENHANCE_YOUR_CALM);
            assert_eq!(violation.effect(), calm, "{violation:?}");
        }
    }
}

#[test]
fn unknown_codes_are_shown_as_numbers() {
    assert_eq!(ErrorCode(0x5).to_string(), "STREAM_CLOSED");
    assert_eq!(ErrorCode(0xabc).to_string(), "0xabc");
}
