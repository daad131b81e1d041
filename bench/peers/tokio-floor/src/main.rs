//! tokio, one `current_thread` runtime per core and a task per connection, no parsing: what is
//! left to spend above the runtime we build on.
//!
//! The read buffer and the responses belong to the thread; an idle connection owns only its task.

use peer_common::{Args, Canned, Framing, listen, on_threads, raise_descriptor_limit};
use std::{cell::RefCell, future::poll_fn, io, net::SocketAddr, rc::Rc};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{self, LocalOptions},
    task,
};

const READ_BYTES: usize = 16 * 1024;

fn main() {
    let args = Args::from_env();
    raise_descriptor_limit().expect("raise the descriptor limit");
    on_threads(args.threads, || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .build_local(LocalOptions::default())
            .expect("build a runtime");
        runtime.block_on(serve(args.listen)).expect("serve");
    });
}

/// What the connections of a thread share; borrowed within one turn, never over an `await`.
struct Worker {
    buffer: Vec<u8>,
    canned: Canned,
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::from_std(listen(address)?)?;
    let worker = Rc::new(RefCell::new(Worker {
        buffer: vec![0; READ_BYTES],
        canned: Canned::default(),
    }));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that goes away is no news here: nobody looks at the task's result.
        drop(task::spawn_local(answer(stream, Rc::clone(&worker))));
    }
}

async fn answer(stream: TcpStream, worker: Rc<RefCell<Worker>>) -> io::Result<()> {
    let mut framing = Framing::default();
    loop {
        // Unlike `readable()` this needs no room in the task.
        poll_fn(|context| stream.poll_read_ready(context)).await?;
        let outcome = turn(&stream, &mut framing, &mut worker.borrow_mut());
        match outcome {
            Ok(Turn::Answered) => {}
            Ok(Turn::Unsent { bytes, close }) => {
                Box::pin(send_rest(&stream, &bytes)).await?;
                if close {
                    return Ok(());
                }
            }
            Ok(Turn::Ended) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}

enum Turn {
    Answered,
    /// The socket did not take all of the answer, or did not want to.
    Unsent {
        bytes: Vec<u8>,
        close: bool,
    },
    Ended,
}

/// One read and the answer to what it completed.
fn turn(stream: &TcpStream, framing: &mut Framing, worker: &mut Worker) -> io::Result<Turn> {
    let count = stream.try_read(&mut worker.buffer)?;
    if count == 0 {
        return Ok(Turn::Ended);
    }
    let Ok(turn) = framing.receive(&worker.buffer[..count]) else {
        return Ok(Turn::Ended);
    };
    worker.canned.refresh();
    if turn.close {
        let bytes = worker.canned.closing(turn.requests);
        return Ok(match write(stream, &bytes)? {
            sent if sent == bytes.len() => Turn::Ended,
            sent => Turn::Unsent {
                bytes: bytes[sent..].to_vec(),
                close: true,
            },
        });
    }
    let mut unsent = Vec::new();
    let mut left = turn.requests;
    while left > 0 {
        let (bytes, count) = worker.canned.keep_alive(left);
        let sent = if unsent.is_empty() {
            write(stream, bytes)?
        } else {
            0
        };
        unsent.extend_from_slice(&bytes[sent..]);
        left -= count;
    }
    Ok(if unsent.is_empty() {
        Turn::Answered
    } else {
        Turn::Unsent {
            bytes: unsent,
            close: false,
        }
    })
}

/// How many bytes the socket took; 0 when it is full.
fn write(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.try_write(bytes) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}

async fn send_rest(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        bytes = &bytes[write(stream, bytes)?..];
    }
    Ok(())
}
