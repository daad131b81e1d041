use super::*;

/// A notifier, and where its messages arrive.
fn notifier() -> (Notifier, UnixDatagram) {
    let (ours, theirs) = UnixDatagram::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("nonblocking");
    (Notifier::new(Some(ours)), theirs)
}

/// The first line of each message.
fn received(theirs: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 512];
    std::iter::from_fn(|| {
        let length = theirs.recv(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(text.contains("\nSTATUS="), "{text}");
        text.lines().next().map(str::to_owned)
    })
    .collect()
}

#[test]
fn ready_once_and_stopping_once() {
    let (notifier, theirs) = notifier();
    assert_eq!(received(&theirs), [""; 0]);
    notifier.ready("here");
    notifier.ready("here");
    assert_eq!(received(&theirs), ["READY=1"]);
    notifier.stopping();
    notifier.stopping();
    assert_eq!(received(&theirs), ["STOPPING=1"]);
}

#[test]
fn never_ready_after_stopping() {
    let (notifier, theirs) = notifier();
    notifier.stopping();
    notifier.ready("here");
    assert_eq!(received(&theirs), ["STOPPING=1"]);
}

#[test]
fn names_in_the_abstract_namespace() {
    let name = format!("ajay-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let theirs = UnixDatagram::bind_addr(&address).expect("bind");
    let socket = connect(&format!("@{name}")).expect("connect");
    socket.send(b"hello").expect("send");
    let mut buffer = [0; 16];
    assert_eq!(theirs.recv(&mut buffer).expect("receive"), 5);
    connect(&format!("@{name}-other")).expect_err("nobody listens there");
}
