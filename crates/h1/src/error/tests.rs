use std::collections::HashSet;

use super::*;

#[test]
fn violations_have_names_texts_and_client_or_server_errors() {
    let names: HashSet<&str> = Violation::ALL
        .iter()
        .map(|violation| violation.name())
        .collect();
    assert_eq!(names.len(), Violation::ALL.len());
    let texts: HashSet<String> = Violation::ALL.iter().map(Violation::to_string).collect();
    assert_eq!(texts.len(), Violation::ALL.len());
    for violation in Violation::ALL {
        assert!(matches!(
            violation.status().as_u16(),
            400 | 413 | 414 | 417 | 431 | 501 | 505
        ));
        assert_eq!(format!("{violation:?}"), violation.name());
    }
}
