use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::testing::{NOW, at, now};

#[test]
fn it_is_kept_until_it_lacks_a_name_or_nears_its_end() {
    let directory = std::env::temp_dir().join(format!("ajay-tls-dev-{}", std::process::id()));
    let names = ["dev.test".to_owned()];
    let files = certificate(&directory, &names, now()).unwrap();
    let read = || fs::read(&files.chain).unwrap();
    let first = read();
    let facts = read_facts(&files).unwrap();
    assert_eq!(facts.dns_names, ["localhost", "dev.test"]);
    assert_eq!(facts.ip_addresses.len(), 2);
    assert_eq!(
        fs::metadata(&files.key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    certificate(&directory, &[], at(NOW + 300 * 86_400)).unwrap();
    assert!(read() == first);
    certificate(&directory, &names, at(NOW + 340 * 86_400)).unwrap();
    let second = read();
    assert!(second != first);
    certificate(
        &directory,
        &["other.test".to_owned()],
        at(NOW + 340 * 86_400),
    )
    .unwrap();
    assert!(read() != second);
    assert!(certificate(&directory, &["a b".to_owned()], now()).is_err());
    fs::remove_dir_all(directory).unwrap();
}
