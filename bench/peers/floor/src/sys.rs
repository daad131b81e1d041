//! The system calls of the floor: accept, epoll, recv, send.

use std::{io, ptr};

/// Level-triggered: a turn is then one `recv` and one `send`; edge-triggered needs a second
/// `recv` to see that nothing is left.
pub const READABLE: u32 = libc::EPOLLIN as u32;
pub const WRITABLE: u32 = libc::EPOLLOUT as u32;

/// A connected, non-blocking socket, closed when dropped.
pub struct Socket(i32);

impl Socket {
    /// The next connection, or `None` when none waits.
    pub fn accept(listener: i32) -> io::Result<Option<Self>> {
        // SAFETY: no address is asked for, so both pointers may be null.
        let fd = unsafe {
            libc::accept4(
                listener,
                ptr::null_mut(),
                ptr::null_mut(),
                libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            )
        };
        if fd < 0 {
            return match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
                e if e.raw_os_error() == Some(libc::ECONNABORTED) => Ok(None),
                e => Err(e),
            };
        }
        let socket = Self(fd);
        let on: libc::c_int = 1;
        // SAFETY: `on` outlives the call and its size is given.
        unsafe {
            libc::setsockopt(
                fd,
                libc::IPPROTO_TCP,
                libc::TCP_NODELAY,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            );
        }
        Ok(Some(socket))
    }

    pub fn fd(&self) -> i32 {
        self.0
    }

    /// Bytes read, 0 at the end of the stream, `None` when nothing is there.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // SAFETY: the kernel writes at most `buffer.len()` bytes into `buffer`.
        let count = unsafe { libc::recv(self.0, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        would_block_is_none(count)
    }

    /// How many bytes the socket took; 0 when it is full.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the kernel reads at most `bytes.len()` bytes of `bytes`.
        let count = unsafe {
            libc::send(
                self.0,
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        would_block_is_none(count).map(Option::unwrap_or_default)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the descriptor is owned by this value and not used afterwards.
        unsafe { libc::close(self.0) };
    }
}

fn would_block_is_none(count: isize) -> io::Result<Option<usize>> {
    match usize::try_from(count) {
        Ok(count) => Ok(Some(count)),
        Err(_) => match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            e => Err(e),
        },
    }
}

/// An epoll instance and the events of its last wake-up. It lives as long as the program.
pub struct Epoll {
    fd: i32,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub fn new(events: usize) -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; events];
        Ok(Self { fd, events })
    }

    pub fn add(&self, fd: i32, interest: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, interest)
    }

    pub fn change(&self, fd: i32, interest: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, interest)
    }

    fn control(&self, operation: i32, fd: i32, interest: u32) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: interest,
            u64: u64::try_from(fd).expect("a descriptor"),
        };
        // SAFETY: `event` outlives the call.
        let result = unsafe { libc::epoll_ctl(self.fd, operation, fd, &raw mut event) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Waits for events and says how many there are.
    pub fn wait(&mut self) -> io::Result<usize> {
        let room = i32::try_from(self.events.len()).expect("a few hundred");
        loop {
            // SAFETY: the kernel writes at most `room` events into `self.events`.
            let count = unsafe { libc::epoll_wait(self.fd, self.events.as_mut_ptr(), room, -1) };
            if let Ok(count) = usize::try_from(count) {
                return Ok(count);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// The descriptor of an event of the last wake-up, and whether it can be written (a connection
    /// waits for one of the two, never for both).
    pub fn event(&self, index: usize) -> (i32, bool) {
        let event = self.events[index];
        let fd = i32::try_from(event.u64).expect("a descriptor");
        (fd, event.events & WRITABLE != 0)
    }
}
