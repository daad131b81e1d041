use super::*;

fn apply(payload: &[u8]) -> Result<PeerSettings, Violation> {
    let mut settings = PeerSettings::new();
    settings.apply(payload, |_| {})?;
    Ok(settings)
}

#[test]
fn parameters_are_applied_in_order() {
    let mut tables = Vec::new();
    let mut settings = PeerSettings::new();
    let payload = b"\0\x01\0\0\0\0\0\x01\0\0\x10\0\0\x04\0\0\0\x05\0\x04\0\0\0\x07\0\x05\0\0\x80\0\xff\xff\0\0\0\0";
    settings.apply(payload, |size| tables.push(size)).unwrap();
    assert_eq!(tables, [0, 4096]);
    assert_eq!(settings.stream_window, 7);
    assert_eq!(settings.frame_bytes_max, 32_768);
}

#[test]
fn bounds_are_those_of_the_rfc() {
    for (payload, expected) in [
        (&b"\0\x04\x7f\xff\xff\xff"[..], None),
        (b"\0\x04\x80\0\0\0", Some(Violation::SettingsWindowInvalid)),
        (b"\0\x05\0\0\x40\0", None),
        (
            b"\0\x05\0\0\x3f\xff",
            Some(Violation::SettingsFrameSizeInvalid),
        ),
        (b"\0\x05\0\xff\xff\xff", None),
        (
            b"\0\x05\x01\0\0\0",
            Some(Violation::SettingsFrameSizeInvalid),
        ),
        (b"\0\x02\0\0\0\x01", None),
        (b"\0\x02\0\0\0\x02", Some(Violation::SettingsFlagInvalid)),
        (b"\0\x08\0\0\0\x02", Some(Violation::SettingsFlagInvalid)),
        (b"\0\x09\0\0\0\x02", Some(Violation::SettingsFlagInvalid)),
        (b"\0\x09\0\0\0", Some(Violation::SettingsLength)),
    ] {
        assert_eq!(apply(payload).err(), expected, "{payload:?}");
    }
}

#[test]
fn the_first_settings_decide_about_priorities() {
    let (on, off) = (b"\0\x09\0\0\0\x01", b"\0\x09\0\0\0\0");
    let mut settings = apply(on).unwrap();
    assert_eq!(settings.apply(on, |_| {}), Ok(()));
    assert_eq!(settings.apply(b"", |_| {}), Ok(()));
    let changed = Err(Violation::SettingsPrioritiesChanged);
    assert_eq!(settings.apply(off, |_| {}), changed);
    assert_eq!(
        apply(b"").unwrap().apply(on, |_| {}),
        changed,
        "absent means 0"
    );
}
