use super::*;

#[test]
fn times() {
    assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
    assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
    assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
    assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
    for bad in [
        "",
        "s",
        "-1s",
        "1.5s",
        "10 s",
        "10d",
        "99999999999999999999s",
    ] {
        assert!(duration(bad).is_err(), "{bad}");
    }
    assert!(duration("18446744073709551615h").is_err(), "overflow");
}

#[test]
fn sizes() {
    assert_eq!(bytes("4096"), Ok(4096));
    assert_eq!(bytes("16k"), Ok(16 * 1024));
    assert_eq!(bytes("16KB"), Ok(16 * 1024));
    assert_eq!(bytes("4m"), Ok(4 * 1024 * 1024));
    assert_eq!(bytes("1g"), Ok(1024 * 1024 * 1024));
    for bad in ["", "k", "-1", "1x", "1 k", "18446744073709551615k"] {
        assert!(bytes(bad).is_err(), "{bad}");
    }
    assert_eq!(bytes_as::<u16>("63k"), Ok(63 * 1024));
    assert!(bytes_as::<u16>("64k").is_err());
}

#[test]
fn switches() {
    assert_eq!(or_off("off", duration), Ok(Switch::Off));
    assert_eq!(
        or_off("1s", duration),
        Ok(Switch::On(Duration::from_secs(1)))
    );
    assert!(or_off("of", duration).is_err());
}
