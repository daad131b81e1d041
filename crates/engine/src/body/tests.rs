use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What one poll of a body gives, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Given {
    Nothing,
    Data(&'static str),
    Trailers(usize),
    Error(String),
    End,
}

fn give(body: &mut Body, wakes: &Arc<Wakes>) -> Given {
    let waker = Waker::from(Arc::clone(wakes));
    match body.poll_piece(&mut Context::from_waker(&waker)) {
        Poll::Pending => Given::Nothing,
        Poll::Ready(None) => Given::End,
        Poll::Ready(Some(Ok(Piece::Data(data)))) => {
            Given::Data(String::from_utf8_lossy(&data).into_owned().leak())
        }
        Poll::Ready(Some(Ok(Piece::Trailers(section)))) => Given::Trailers(section.len()),
        Poll::Ready(Some(Err(error))) => Given::Error(error.to_string()),
    }
}

#[test]
fn a_writer_runs_one_piece_ahead_and_no_more() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let mut body = Body::stream(async move |mut writer| {
        for piece in ["a", "b", "c"] {
            count.fetch_add(1, Ordering::SeqCst);
            writer.write(piece).await?;
        }
        writer.finish();
        Ok::<_, StreamClosed>(())
    });
    let wakes = Arc::default();
    assert_eq!(
        written.load(Ordering::SeqCst),
        0,
        "nothing runs before it is asked"
    );
    assert_eq!(give(&mut body, &wakes), Given::Data("a"));
    assert_eq!(written.load(Ordering::SeqCst), 1);
    assert_eq!(give(&mut body, &wakes), Given::Data("b"));
    assert_eq!(give(&mut body, &wakes), Given::Data("c"));
    assert_eq!(give(&mut body, &wakes), Given::End);
    assert_eq!(give(&mut body, &wakes), Given::End);
}

#[test]
fn empty_writes_are_not_pieces() {
    let mut body = Body::stream(async |mut writer| {
        writer.write("").await?;
        writer.write("x").await?;
        writer.finish();
        Ok::<_, StreamClosed>(())
    });
    let wakes = Arc::default();
    assert_eq!(give(&mut body, &wakes), Given::Data("x"));
    assert_eq!(give(&mut body, &wakes), Given::End);
}

#[test]
fn a_writer_dropped_unfinished_is_an_error_and_not_an_end() {
    let mut body = Body::stream(async |mut writer| {
        writer.write("half").await?;
        Ok::<_, StreamClosed>(())
    });
    let wakes = Arc::default();
    assert_eq!(give(&mut body, &wakes), Given::Data("half"));
    assert!(matches!(give(&mut body, &wakes), Given::Error(_)));
}

#[test]
fn the_functions_own_error_is_told() {
    let mut body = Body::stream(async |mut writer| {
        writer
            .write("half")
            .await
            .map_err(|error| error.to_string())?;
        Err::<(), _>("the database went away".to_owned())
    });
    let wakes = Arc::default();
    assert_eq!(give(&mut body, &wakes), Given::Data("half"));
    assert_eq!(
        give(&mut body, &wakes),
        Given::Error("the database went away".to_owned())
    );
}

#[test]
fn trailers_come_before_the_end() {
    let mut body = Body::stream(async |mut writer| {
        writer.write("x").await?;
        let mut trailers = FieldSection::new();
        trailers.append("Digest", "1").expect("valid");
        writer.finish_with_trailers(trailers);
        Ok::<_, StreamClosed>(())
    });
    let wakes = Arc::default();
    assert_eq!(give(&mut body, &wakes), Given::Data("x"));
    assert_eq!(give(&mut body, &wakes), Given::Trailers(1));
    assert_eq!(give(&mut body, &wakes), Given::End);
}

#[test]
fn a_writer_in_another_thread_wakes_the_connection_and_learns_of_its_end() {
    let (hand_over, take) = std::sync::mpsc::channel();
    let mut body = Body::stream(async move |writer| {
        hand_over.send(writer).expect("the test waits for it");
        Ok::<_, StreamClosed>(())
    });
    let wakes = Arc::<Wakes>::default();
    assert_eq!(give(&mut body, &wakes), Given::Nothing);
    let mut writer = take.recv().expect("the writer");
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);

    let unwoken = Waker::from(Arc::<Wakes>::default());
    let mut cx = Context::from_waker(&unwoken);
    {
        let mut write = std::pin::pin!(writer.write("from afar"));
        assert!(
            write.as_mut().poll(&mut cx).is_pending(),
            "nobody has taken it"
        );
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(give(&mut body, &wakes), Given::Data("from afar"));
        assert_eq!(write.poll(&mut cx), Poll::Ready(Ok(())));
    }
    drop(body);
    let write = std::pin::pin!(writer.write("to nobody"));
    assert_eq!(write.poll(&mut cx), Poll::Ready(Err(StreamClosed)));
}

#[test]
fn lengths_are_known_where_they_are() {
    assert_eq!(Body::empty().exact_len(), Some(0));
    assert_eq!(Body::from("four").exact_len(), Some(4));
    assert_eq!(Body::from(String::from("four")).exact_len(), Some(4));
    assert_eq!(Body::from(vec![0; 9]).exact_len(), Some(9));
    let stream = Body::stream(async |writer| {
        writer.finish();
        Ok::<_, StreamClosed>(())
    });
    assert_eq!(stream.exact_len(), None);
    let content = crate::Content::ready(Bytes::from_static(b"12345"), None, 10);
    assert_eq!(Body::from_http_body(content).exact_len(), Some(5));
}

fn frame_of(body: &mut Body) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    let mut cx = Context::from_waker(Waker::noop());
    http_body::Body::poll_frame(Pin::new(body), &mut cx)
}

#[test]
fn a_body_is_one_of_the_ecosystem() {
    use http_body::Body as _;
    let large = vec![7; PIECE_BYTES_MAX + 1];
    for mut body in [Body::from(large.clone()), Body::from_static(large.leak())] {
        assert_eq!(body.size_hint().exact(), Some(PIECE_BYTES_MAX as u64 + 1));
        for left in [1, 0] {
            assert!(!body.is_end_stream());
            assert!(matches!(frame_of(&mut body), Poll::Ready(Some(Ok(frame))) if frame.is_data()));
            assert_eq!(body.size_hint().exact(), Some(left));
        }
        assert!(body.is_end_stream());
        assert!(matches!(frame_of(&mut body), Poll::Ready(None)));
    }
    assert!(Body::empty().is_end_stream());

    let mut trailers = FieldSection::new();
    trailers.append("X-Sum", "7").expect("a field");
    let mut body = Body::stream(async |mut writer| {
        writer.write("a").await?;
        writer.finish_with_trailers(trailers);
        Ok::<_, StreamClosed>(())
    });
    assert!(!body.is_end_stream());
    assert_eq!(body.size_hint().exact(), None);
    let Poll::Ready(Some(Ok(data))) = frame_of(&mut body) else {
        panic!("no data");
    };
    assert_eq!(data.into_data().expect("data"), "a");
    let Poll::Ready(Some(Ok(last))) = frame_of(&mut body) else {
        panic!("no trailers");
    };
    assert_eq!(last.into_trailers().expect("trailers")["x-sum"], "7");
    assert!(matches!(frame_of(&mut body), Poll::Ready(None)));
}

#[test]
fn only_a_stream_is_not_here() {
    assert_eq!(Body::empty().try_into_bytes().expect("here"), "");
    assert_eq!(Body::from_static(b"a").try_into_bytes().expect("here"), "a");
    assert_eq!(
        Body::from(String::from("a"))
            .try_into_bytes()
            .expect("here"),
        "a"
    );
    let stream = Body::stream(async |_| Ok::<_, StreamClosed>(()));
    assert!(stream.try_into_bytes().is_err());
}
