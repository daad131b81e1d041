use std::collections::HashSet;

use super::*;

#[test]
fn errors_have_names_and_texts_of_their_own() {
    let names: HashSet<&str> = HpackError::ALL.iter().map(|error| error.name()).collect();
    assert_eq!(names.len(), HpackError::ALL.len());
    let texts: HashSet<String> = HpackError::ALL.iter().map(HpackError::to_string).collect();
    assert_eq!(texts.len(), HpackError::ALL.len());
    for error in HpackError::ALL {
        assert_eq!(format!("{error:?}"), error.name());
    }
}
