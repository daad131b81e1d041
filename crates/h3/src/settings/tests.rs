use super::*;

#[test]
fn settings_of_clients() {
    for (payload, expected) in [
        (&b""[..], Ok(())),
        // What Chromium sends: capacity, section size, blocked streams, datagrams, a reserved one.
        (
            b"\x01\x80\x01\x00\x00\x06\x80\x04\x00\x00\x07\x40\x64\x33\x01\x21\x05",
            Ok(()),
        ),
        (b"\x00\x01", Ok(())),
        (b"\x01\x05\x01\x05", Err(Violation::SettingRepeated)),
        (b"\x21\x05\x21\x06", Err(Violation::SettingRepeated)),
        (b"\x02\x00", Err(Violation::SettingOfHttp2)),
        (b"\x03\x00", Err(Violation::SettingOfHttp2)),
        (b"\x04\x00", Err(Violation::SettingOfHttp2)),
        (b"\x05\x00", Err(Violation::SettingOfHttp2)),
        (b"\x08\x02", Err(Violation::SettingInvalid)),
        (b"\x33\x02", Err(Violation::SettingInvalid)),
        (b"\x01", Err(Violation::FrameLength)),
        (b"\x01\x40", Err(Violation::FrameLength)),
    ] {
        assert_eq!(check(payload), expected, "{payload:x?}");
    }
}

#[test]
fn their_number_is_bounded() {
    let many = |count: u16| -> Vec<u8> {
        let pairs = (0..count).flat_map(|n| [0x50 + (n >> 8) as u8, n as u8, 0]);
        pairs.collect()
    };
    assert_eq!(check(&many(64)), Ok(()));
    assert_eq!(check(&many(65)), Err(Violation::TooManySettings));
}

#[test]
fn ours_are_valid() {
    let mut config = Config::new();
    for table in [0, 4096] {
        config.qpack_table_bytes_max = table;
        let mut out = Vec::new();
        write(&config, &mut out);
        assert_eq!(out[0], 0x04);
        assert_eq!(usize::from(out[1]), out.len() - 2);
        assert_eq!(check(&out[2..]), Ok(()));
    }
}
