use std::collections::HashSet;

use super::*;

#[test]
fn errors_have_names_and_texts_of_their_own() {
    let names: HashSet<&str> = QpackError::ALL.iter().map(|error| error.name()).collect();
    assert_eq!(names.len(), QpackError::ALL.len());
    let texts: HashSet<String> = QpackError::ALL.iter().map(QpackError::to_string).collect();
    assert_eq!(texts.len(), QpackError::ALL.len());
    for error in QpackError::ALL {
        assert_eq!(format!("{error:?}"), error.name());
    }
}
