use super::*;
use ajay_mux::{MethodClass, Priority};

use crate::flow::{ReceiveWindow, SendWindow};

fn stream(id: u32) -> Stream {
    Stream {
        id,
        receive: Receive::Ended,
        send: Send::Due,
        method: MethodClass::Other,
        expects_continue: false,
        priority: Priority::default(),
        window: SendWindow::new(10),
        receive_window: ReceiveWindow::new(10),
        ready: 0,
        received_at: 0,
        blocked_since: None,
    }
}

#[test]
fn slots_are_used_again_and_keys_are_not() {
    let mut streams = Streams::default();
    let first = streams.insert(stream(1));
    let second = streams.insert(stream(3));
    streams.remove(first);
    let third = streams.insert(stream(5));
    assert_eq!(third.slot(), first.slot());
    assert!(streams.get(first).is_none());
    assert_eq!(streams.get(third).map(|stream| stream.id), Some(5));
    assert_eq!(streams.find(3), Some(second));
    assert_eq!(streams.find(1), None);
    streams.remove(first);
    assert_eq!(streams.len(), 2, "removing what is gone does nothing");
    assert_eq!(streams.key_of_slot(third.slot() as u32), Some(third));
    let ids: Vec<u32> = streams.iter().map(|(key, _)| key.id()).collect();
    assert_eq!(ids, [3, 5]);
}

#[test]
fn endings_are_remembered_for_a_while() {
    let mut streams = Streams::default();
    streams.remember(1, Ending::ResetByUs);
    streams.remember(3, Ending::ResetByPeer);
    for id in (5..5 + 2 * 63).step_by(2) {
        streams.remember(id, Ending::Complete);
    }
    assert_eq!(streams.ending_of(1), Some(Ending::ResetByUs));
    assert_eq!(streams.ending_of(3), Some(Ending::ResetByPeer));
    assert_eq!(streams.ending_of(5), Some(Ending::Complete));
    streams.remember(1001, Ending::Complete);
    assert_eq!(streams.ending_of(3), None, "forgotten");
    assert_eq!(
        streams.ending_of(1),
        Some(Ending::ResetByUs),
        "in a ring of its own"
    );
    assert_eq!(streams.ending_of(1003), None);
}
