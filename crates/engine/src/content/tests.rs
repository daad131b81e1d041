use std::pin::pin;
use std::task::Wake;

use super::*;
use crate::exchange::Slots;
use crate::reactor::Token;
use crate::wake::WakeQueue;

const MAX: usize = 100;

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// A feed, its reader, and the queue that the worker would look into.
struct Rig {
    feed: Arc<Feed>,
    content: Content,
    queue: Arc<WakeQueue>,
    slots: Slots<std::future::Pending<()>>,
    held: Held,
}

impl Rig {
    fn new() -> Rig {
        let queue = Arc::<WakeQueue>::default();
        let mut slots = Slots::new(Arc::clone(&queue));
        let slot = slots.acquire(Token {
            index: 0,
            generation: 0,
        });
        let held = Held::default();
        let feed = Feed::new(slots.get(slot).signal(), 10, false, held.clone());
        let content = Content::fed(Arc::clone(&feed), MAX);
        Rig {
            feed,
            content,
            queue,
            slots,
            held,
        }
    }

    /// Whether the worker was asked to look at the slot since the last call.
    fn worker_was_woken(&mut self) -> bool {
        let mut woken = Vec::new();
        self.queue.take(&mut woken);
        woken
            .iter()
            .filter(|slot| self.slots.woken(**slot).is_some())
            .count()
            > 0
    }

    fn data(&mut self) -> Poll<Option<Result<Bytes, ContentError>>> {
        poll(self.content.data())
    }
}

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    let waker = Waker::from(Arc::new(Nobody));
    pin!(future).poll(&mut Context::from_waker(&waker))
}

fn piece(text: &'static str) -> Poll<Option<Result<Bytes, ContentError>>> {
    Poll::Ready(Some(Ok(Bytes::from_static(text.as_bytes()))))
}

#[test]
fn pieces_come_in_order_and_then_the_end_with_its_trailers() {
    let mut rig = Rig::new();
    rig.feed.push(&[b'1'; PIECE_BYTES]);
    rig.feed.push(b"two");
    let mut trailers = FieldSection::new();
    trailers.append("Digest", "x").expect("valid");
    rig.feed.end(Ok(()), Some(Box::new(trailers)));
    let first = rig.data();
    let Poll::Ready(Some(Ok(first))) = first else {
        panic!("{first:?}")
    };
    assert_eq!(first, [b'1'; PIECE_BYTES][..]);
    assert_eq!(rig.data(), piece("two"));
    assert!(rig.content.trailers().is_none(), "not before the end");
    assert_eq!(rig.data(), Poll::Ready(None));
    let trailers = rig.content.trailers().expect("trailers");
    assert_eq!(trailers.get_name("digest"), Some(&b"x"[..]));
    assert_eq!(rig.data(), Poll::Ready(None), "the end stays the end");
}

#[test]
fn what_broke_it_off_comes_after_what_arrived() {
    let mut rig = Rig::new();
    rig.feed.push(b"half");
    rig.feed.end(Err(ContentError::Incomplete), None);
    rig.feed.push(b"too late");
    rig.feed.end(Ok(()), None);
    assert_eq!(rig.data(), piece("half"));
    assert_eq!(rig.data(), Poll::Ready(Some(Err(ContentError::Incomplete))));
    assert_eq!(rig.data(), Poll::Ready(None));
}

#[test]
fn a_limit_of_the_application_ends_it() {
    let mut rig = Rig::new();
    rig.content.limit(7);
    rig.feed.push(b"1234");
    assert_eq!(rig.data(), piece("1234"));
    rig.feed.push(b"567");
    assert_eq!(rig.data(), piece("567"));
    rig.feed.push(b"8");
    assert_eq!(rig.data(), Poll::Ready(Some(Err(ContentError::TooLarge))));
    assert_eq!(rig.data(), Poll::Ready(None));
    assert!(!rig.feed.has_reader(), "nothing more is read for it");
}

#[test]
fn the_smaller_of_two_limits_holds() {
    for limits in [[3, 100], [100, 3]] {
        let mut rig = Rig::new();
        for bytes in limits {
            rig.content.limit(bytes);
        }
        rig.feed.push(b"1234");
        assert_eq!(rig.data(), Poll::Ready(Some(Err(ContentError::TooLarge))));
    }
}

#[test]
fn the_first_question_wakes_the_worker_and_later_ones_do_not() {
    let mut rig = Rig::new();
    assert!(!rig.feed.is_awaited());
    assert_eq!(rig.data(), Poll::Pending);
    assert!(rig.worker_was_woken(), "100 Continue may be due");
    assert!(rig.feed.is_awaited());
    assert_eq!(rig.data(), Poll::Pending);
    assert!(!rig.worker_was_woken());
    rig.feed.push(b"x");
    assert!(!rig.feed.is_awaited());
}

#[test]
fn a_full_feed_stops_the_worker_until_there_is_room() {
    let mut rig = Rig::new();
    rig.feed.push(b"01234");
    assert!(rig.feed.wants_more());
    rig.feed.push(b"56789");
    assert!(!rig.feed.wants_more());
    assert_eq!(rig.data(), piece("0123456789"));
    assert!(rig.feed.wants_more());
    assert!(rig.worker_was_woken());
    rig.feed.push(b"0");
    assert_eq!(rig.data(), piece("0"));
    assert!(!rig.worker_was_woken(), "it was not full any more");
}

#[test]
fn a_reader_that_goes_away_wants_nothing_and_holds_nothing() {
    let mut rig = Rig::new();
    rig.feed.push(b"unread");
    drop(std::mem::take(&mut rig.content));
    assert!(rig.worker_was_woken());
    assert!(!rig.feed.wants_more());
    rig.feed.push(b"more");
    assert_eq!(rig.feed.lock().take(), None);
}

#[test]
fn many_small_pieces_become_few() {
    let mut rig = Rig::new();
    for _ in 0..3 * PIECE_BYTES {
        rig.feed.push(b"x");
    }
    assert!(rig.feed.lock().pieces.len() <= 3);
    rig.feed.end(Ok(()), None);
    let mut total = 0;
    while let Poll::Ready(Some(Ok(data))) = rig.data() {
        total += data.len();
    }
    assert_eq!(total, 3 * PIECE_BYTES);
}

#[test]
fn content_kept_after_its_exchange_learns_that_it_is_over() {
    let mut rig = Rig::new();
    rig.feed.abandon();
    assert_eq!(rig.data(), Poll::Ready(Some(Err(ContentError::Closed))));
}

#[test]
fn collecting_is_bounded_by_the_byte() {
    for (pieces, expected) in [
        (vec![], Ok(0)),
        (vec![MAX], Ok(MAX)),
        (vec![MAX + 1], Err(ContentError::TooLarge)),
        (vec![MAX, 1], Err(ContentError::TooLarge)),
        (vec![40, 40, 20], Ok(MAX)),
        (vec![40, 40, 21], Err(ContentError::TooLarge)),
    ] {
        let mut rig = Rig::new();
        pieces
            .iter()
            .for_each(|len| assert!(rig.feed.push(&vec![b'x'; *len])));
        rig.feed.end(Ok(()), None);
        let collected = poll(rig.content.collect()).map_ok(|bytes| bytes.len());
        assert_eq!(collected, Poll::Ready(expected), "{pieces:?}");
    }
}

#[test]
fn collecting_reports_what_broke_the_content_off() {
    let mut rig = Rig::new();
    rig.feed.push(b"1");
    rig.feed.push(b"2");
    rig.feed.end(Err(ContentError::TimedOut), None);
    assert_eq!(
        poll(rig.content.collect()),
        Poll::Ready(Err(ContentError::TimedOut))
    );
}

#[test]
fn ready_content_is_one_piece() {
    let mut content = Content::ready(Bytes::from_static(b"all"), None, MAX);
    assert!(!content.is_end());
    assert_eq!(poll(content.data()), piece("all"));
    assert!(content.is_end());
    assert!(Content::ready(Bytes::new(), None, MAX).is_end());
    assert!(Content::default().is_end());
}

/// What waits is counted while it waits, however it goes.
#[test]
fn what_is_held_is_given_back() {
    let mut rig = Rig::new();
    rig.feed.push(&[1; 7]);
    rig.feed.push(&[2; 5]);
    assert_eq!(rig.held.bytes(), 12);
    assert!(matches!(rig.data(), Poll::Ready(Some(Ok(data))) if data.len() == 12));
    assert_eq!(rig.held.bytes(), 0);

    rig.feed.push(&[3; 9]);
    assert_eq!(rig.held.bytes(), 9);
    rig.content = Content::default();
    assert_eq!(rig.held.bytes(), 0, "the reader is gone");
    rig.feed.push(&[4; 9]);
    assert_eq!(rig.held.bytes(), 0, "nobody will read that");
}

#[test]
fn a_block_stands_behind_what_came_before() {
    let mut rig = Rig::new();
    assert!(rig.feed.push(b"ab"));
    assert!(rig.feed.push_block(b"cd".to_vec()));
    assert!(rig.feed.push(b"ef"));
    assert_eq!(rig.held.bytes(), 6);
    assert_eq!(rig.data(), piece("ab"));
    assert_eq!(rig.data(), piece("cd"));
    assert_eq!(rig.data(), piece("ef"));
    assert_eq!(rig.held.bytes(), 0);

    rig.content = Content::default();
    assert!(!rig.feed.push_block(b"gh".to_vec()), "nobody reads");
    assert_eq!(rig.held.bytes(), 0);
}
