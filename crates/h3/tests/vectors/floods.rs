//! What costs us more than a client: RFC 9114 §10.5.

use super::*;

pub(crate) fn all() -> Vec<(Config, Vec<Act>, &'static str)> {
    let get = request("GET", &[]);
    let post = request("POST", &[]);
    let config = Config::new();
    let small = small_limits();
    let requests = |count: u64, acts: &dyn Fn(u64) -> Vec<Act>| -> Vec<Act> {
        (0..count).flat_map(|n| acts(4 * n)).collect()
    };
    let many = |part: &[u8], count: usize| part.repeat(count);
    vec![
        (
            config,
            requests(250, &|id| vec![bytes(id, &[&post]), Act::Reset(id, 0x10c)]),
            "!ResetFlood",
        ),
        (
            config,
            requests(250, &|id| vec![bytes(id, &[&post]), Act::Stop(id, 0x10c)]),
            "!ResetFlood",
        ),
        (
            config,
            requests(150, &|id| vec![last(id, &[&headers(&[("x", "y")])])]),
            "!ProvokedResetFlood",
        ),
        (
            small,
            [
                vec![bytes(0, &[&post]), bytes(4, &[&post])],
                requests(600, &|id| vec![last(id + 8, &[&get])]),
            ]
            .concat(),
            "!RefusedStreamsFlood",
        ),
        (
            small,
            requests(150, &|id| {
                vec![last(id, &[&request("GET", &[("x", &"y".repeat(300))])])]
            }),
            "!RefusedHeadFlood",
        ),
        (
            config,
            after_settings(&[&many(&frame(0x0d, b"\x00"), 1100)]),
            "!ControlFrameFlood",
        ),
        (
            config,
            after_settings(&[&many(&frame(0xf0700, b"\x00"), 1100)]),
            "!ControlFrameFlood",
        ),
        (
            config,
            vec![bytes(0, &[&post, &many(&data(b""), 150)])],
            "!EmptyFrameFlood",
        ),
        (
            config,
            vec![bytes(0, &[&post, &many(&data(b"a"), 11_000)])],
            "!TinyDataFlood",
        ),
        (
            config,
            vec![bytes(0, &[&many(&frame(0x21, b""), 2100)])],
            "!StrayFrameFlood",
        ),
        (
            config,
            after_settings(&[&many(&frame(0x21, b""), 2100)]),
            "!StrayFrameFlood",
        ),
        // One frame of 64 MiB costs as many.
        (
            config,
            vec![bytes(0, &[&number(0x21), &number(64 << 20)])],
            "!StrayFrameFlood",
        ),
        (
            config,
            (0..40).map(|n| bytes(4 * n + 2, &[b"\x21"])).collect(),
            "!StrayStreamFlood",
        ),
        // Lines of one byte each.
        (
            config,
            vec![bytes(
                0,
                &[&frame(0x01, &[&[0, 0][..], &[0xd1; 500]].concat())],
            )],
            "!FieldSectionTooLarge",
        ),
    ]
}
