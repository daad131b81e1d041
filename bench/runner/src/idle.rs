//! Connections that make one request each and then wait.

use crate::{
    error::{Context as _, Result, fail},
    h1, h2, interrupt, process,
    spec::{Cores, Idle},
};
use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
    thread,
    time::Duration,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens `count` connections, a batch of them at a time: all connect, all ask, all are answered.
pub fn open(
    address: SocketAddr,
    count: usize,
    idle: &Idle,
    client: &Cores,
) -> Result<Vec<TcpStream>> {
    let (batch, protocol) = (idle.batch, Protocol::of(idle, address));
    // On a thread of its own, which alone is pinned.
    let cores = client.cores.clone();
    let opener = thread::spawn(move || {
        process::pin(&cores).context(|| format!("pin to cores {cores:?}"))?;
        let mut connections = Vec::with_capacity(count);
        while connections.len() < count {
            interrupt::check()?;
            let size = batch.min(count - connections.len());
            connections.extend(open_batch(address, size, &protocol)?);
        }
        Ok(connections)
    });
    opener
        .join()
        .unwrap_or_else(|_| Err(fail!("the opening thread panicked")))
}

struct Protocol {
    request: Vec<u8>,
    receive_ok: fn(&mut TcpStream) -> Result<()>,
}

impl Protocol {
    fn of(idle: &Idle, address: SocketAddr) -> Self {
        if idle.http2 {
            Self {
                request: h2::get(address),
                receive_ok: h2::receive_ok,
            }
        } else {
            Self {
                request: h1::get(address),
                receive_ok: h1::receive_ok,
            }
        }
    }
}

fn open_batch(address: SocketAddr, size: usize, protocol: &Protocol) -> Result<Vec<TcpStream>> {
    let mut batch = Vec::with_capacity(size);
    for _ in 0..size {
        batch.push(connect(address).context(|| format!("connect to {address}"))?);
    }
    for stream in &mut batch {
        stream
            .write_all(&protocol.request)
            .context(|| "send a request".into())?;
    }
    for stream in &mut batch {
        (protocol.receive_ok)(stream)?;
    }
    Ok(batch)
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    close_with_reset(&stream)?;
    Ok(stream)
}

/// Thousands of connections in TIME_WAIT would be in the next measurement's way.
fn close_with_reset(stream: &TcpStream) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the option's value outlives the call and its size is given.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
