//! Unidirectional streams: RFC 9114 §5.2, §6.2, §7.2.3 to §7.2.8; RFC 9204 §4.2, §4.3, §4.4; RFC 9218 §7.2.

use super::*;

pub(crate) fn frames() -> Vec<Vector> {
    vec![
        (after_settings(&[]), ""),
        // What Chromium sends.
        (
            vec![bytes(2, &[b"\x00\x04\x11\x01\x80\x01\x00\x00\x06\x80\x04\x00\x00\x07\x40\x64\x33\x01\x21\x05"])],
            "",
        ),
        // §6.2.1.
        (vec![bytes(2, &[b"\x00", &frame(0x07, b"\x00")])], "!SettingsMissing"),
        (vec![bytes(2, &[b"\x00", &frame(0x21, b"")])], "!SettingsMissing"),
        (after_settings(&[b"\x04\x00"]), "!SettingsAgain"),
        // §7.2.4.
        (vec![bytes(2, &[b"\x00\x04\x04\x21\x01\x21\x01"])], "!SettingRepeated"),
        (vec![bytes(2, &[b"\x00\x04\x02\x02\x00"])], "!SettingOfHttp2"),
        (vec![bytes(2, &[b"\x00\x04\x02\x08\x02"])], "!SettingInvalid"),
        (vec![bytes(2, &[b"\x00\x04\x01\x21"])], "!FrameLength"),
        (vec![bytes(2, &[b"\x00", &frame(0x04, &[&[0; 0][..], &many_settings()].concat())])], "!TooManySettings"),
        (vec![bytes(2, &[b"\x00", &frame(0x04, &[0; 1025])])], "!ControlFrameTooLarge"),
        // §7.2.
        (after_settings(&[&data(b"a")]), "!FrameOnControlStream"),
        (after_settings(&[&frame(0x01, b"\x00\x00")]), "!FrameOnControlStream"),
        (after_settings(&[&frame(0x05, b"\x00")]), "!PushPromiseOfClient"),
        (after_settings(&[&frame(0x02, b"")]), "!FrameOfHttp2"),
        (after_settings(&[&frame(0x06, b"")]), "!FrameOfHttp2"),
        (after_settings(&[&frame(0x08, b"")]), "!FrameOfHttp2"),
        (after_settings(&[&frame(0x09, b"")]), "!FrameOfHttp2"),
        // §9.
        (after_settings(&[&frame(0x21, b"grease"), &frame(0x40, b""), &frame(0x07, b"\x00")]), ""),
        // §5.2: the identifier of a push.
        (after_settings(&[&frame(0x07, b"\x05"), &frame(0x07, b"\x05"), &frame(0x07, b"\x04")]), ""),
        (after_settings(&[&frame(0x07, b"\x05"), &frame(0x07, b"\x06")]), "!GoAwayIncreased"),
        (after_settings(&[&frame(0x07, b"")]), "!FrameLength"),
        (after_settings(&[&frame(0x07, b"\x05\x00")]), "!FrameLength"),
        // §7.2.7.
        (after_settings(&[&frame(0x0d, b"\x05"), &frame(0x0d, b"\x05"), &frame(0x0d, b"\x06")]), ""),
        (after_settings(&[&frame(0x0d, b"\x05"), &frame(0x0d, b"\x04")]), "!MaxPushIdDecreased"),
        // §7.2.3: we promise none.
        (after_settings(&[&frame(0x03, b"\x00")]), "!CancelPushUnknown"),
        (after_settings(&[&frame(0x03, b"")]), "!FrameLength"),
        // RFC 9218 §7.2.
        (after_settings(&[&frame(0xf0700, b"\x00u=1"), &frame(0xf0700, b"\x04"), &frame(0xf0700, b"\x08nonsense")]), ""),
        (after_settings(&[&frame(0xf0700, b"")]), "!FrameLength"),
        (after_settings(&[&frame(0xf0700, b"\x01u=1")]), "!PriorityUpdateTarget"),
        (after_settings(&[&frame(0xf0700, b"\x02u=1")]), "!PriorityUpdateTarget"),
        (after_settings(&[&frame(0xf0700, &[&number(1 << 20)[..], b"u=1"].concat())]), "!PriorityUpdateTarget"),
        (after_settings(&[&frame(0xf0701, b"\x00u=1")]), "!PriorityUpdateTarget"),
    ]
}

/// 65 settings that nobody knows.
fn many_settings() -> Vec<u8> {
    (0..65_u16).flat_map(|n| [0x50, n as u8, 0]).collect()
}

pub(crate) fn streams() -> Vec<Vector> {
    vec![
        // §6.2.
        (
            vec![bytes(2, &[CONTROL]), bytes(6, &[CONTROL])],
            "!SecondControlStream",
        ),
        (vec![bytes(2, &[b"\x01\x00"])], "!PushStreamOfClient"),
        (
            vec![bytes(2, &[b"\x21grease"])],
            "stop 2 STREAM_CREATION_ERROR",
        ),
        (
            vec![bytes(2, &[b"\x80\x00\x10\x21grease"])],
            "stop 2 STREAM_CREATION_ERROR",
        ),
        (vec![last(2, &[])], ""),
        (vec![last(2, &[b"\x80"])], ""),
        (vec![bytes(2, &[b"\x80"]), Act::Reset(2, 0)], ""),
        (vec![last(2, &[CONTROL])], "!CriticalStreamClosed"),
        (
            vec![bytes(2, &[CONTROL]), Act::Reset(2, 0)],
            "!CriticalStreamClosed",
        ),
        (vec![Act::Stop(3, 0)], "!CriticalStreamClosed"),
        // RFC 9204 §4.2.
        (vec![bytes(2, &[b"\x02"]), bytes(6, &[b"\x03"])], ""),
        (
            vec![bytes(2, &[b"\x02"]), bytes(6, &[b"\x02"])],
            "!SecondQpackStream",
        ),
        (
            vec![bytes(2, &[b"\x03"]), bytes(6, &[b"\x03"])],
            "!SecondQpackStream",
        ),
        (vec![last(2, &[b"\x02"])], "!CriticalStreamClosed"),
        (vec![last(2, &[b"\x03"])], "!CriticalStreamClosed"),
        // RFC 9204 §4.3, without a table.
        (vec![bytes(2, &[b"\x02\x20"])], ""),
        (vec![bytes(2, &[b"\x02\x21"])], "!EncoderStreamInvalid"),
        (vec![bytes(2, &[b"\x02\xc0\x00"])], "!EncoderStreamInvalid"),
        // RFC 9204 §4.4.
        (vec![bytes(2, &[b"\x03\x44"])], ""),
        (vec![bytes(2, &[b"\x03\x84"])], "!DecoderStreamInvalid"),
        (vec![bytes(2, &[b"\x03\x01"])], "!DecoderStreamInvalid"),
        (vec![bytes(2, &[b"\x03\x00"])], "!DecoderStreamInvalid"),
    ]
}

/// Capacity 220, and `:authority: www.example.com`.
const INSERT: &[u8] = b"\x3f\xbd\x01\xc0\x0fwww.example.com";
/// `GET https://www.example.com/`: Required Insert Count 1, relative index 0.
const REFERS: &[u8] = b"\x01\x06\x02\x00\xd1\xd7\x80\xc1";

pub(crate) fn qpack() -> Vec<Vector> {
    vec![
        (
            vec![bytes(2, &[b"\x02", INSERT]), last(0, &[REFERS])],
            "0:GET /",
        ),
        // The section comes first, and what follows it waits along.
        (
            vec![last(0, &[REFERS]), bytes(2, &[b"\x02", INSERT])],
            "0:GET /",
        ),
        (
            vec![
                last(0, &[REFERS, &data(b"abc")]),
                bytes(2, &[b"\x02", INSERT]),
            ],
            "0:GET / +abc",
        ),
        (
            vec![
                bytes(0, &[REFERS]),
                bytes(2, &[b"\x02", INSERT]),
                last(0, &[&data(b"abc")]),
            ],
            "0:GET / +abc",
        ),
        // RFC 9204 §2.1.2: one may wait.
        (
            vec![bytes(0, &[REFERS]), bytes(4, &[REFERS])],
            "!FieldSectionInvalid",
        ),
        // One that is given up waits no more.
        (
            vec![
                bytes(0, &[REFERS]),
                Act::Reset(0, 0x10c),
                bytes(4, &[REFERS]),
                bytes(2, &[b"\x02", INSERT]),
                last(4, &[]),
            ],
            "4:GET /; stop 0 REQUEST_CANCELLED; reset 0 REQUEST_CANCELLED",
        ),
        // RFC 9204 §2.2.3.
        (
            vec![
                bytes(2, &[b"\x02", INSERT]),
                bytes(0, &[b"\x01\x03\x02\x00\x81"]),
            ],
            "!FieldSectionInvalid",
        ),
        // RFC 9204 §3.2.3.
        (
            vec![bytes(2, &[b"\x02\x3f\xbe\x01"])],
            "!EncoderStreamInvalid",
        ),
    ]
}
