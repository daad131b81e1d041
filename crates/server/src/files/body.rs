//! The content of a file as a body.

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ajay_engine::{BlockingError, Body, BoxError, blocking};
use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::conditional::{ReadRange, Segments};

/// The body of a part of a file, or all of it.
pub(super) fn file_body(file: File, range: Range<u64>) -> Body {
    Body::from_http_body(Segments::single(FileReader::new(file), range))
}

/// So much is read at a time: what leaves in one send.
const PIECE_BYTES_MAX: u64 = 64 * 1024;

/// Reads at once what is in the page cache, and all else in the blocking pool.
pub(super) struct FileReader {
    file: Arc<File>,
    reading: Option<Reading>,
}

type Reading = Pin<Box<dyn Future<Output = Result<Bytes, BoxError>>>>;

impl FileReader {
    pub(super) fn new(file: File) -> FileReader {
        FileReader {
            file: Arc::new(file),
            reading: None,
        }
    }
}

impl ReadRange for FileReader {
    type Error = BoxError;

    fn poll_read(
        &mut self,
        range: &mut Range<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, BoxError>> {
        let data = match &mut self.reading {
            Some(reading) => ready!(reading.as_mut().poll(cx)),
            None => {
                let len = (range.end - range.start).min(PIECE_BYTES_MAX) as usize;
                match read_cached(&self.file, range.start, len) {
                    Some(data) => data.map_err(BoxError::from),
                    None => {
                        let file = Arc::clone(&self.file);
                        let reading = Box::pin(read_aside(file, range.start, len));
                        let reading: &mut Reading = self.reading.insert(reading);
                        ready!(reading.as_mut().poll(cx))
                    }
                }
            }
        };
        self.reading = None;
        let data = data?;
        if data.is_empty() {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter");
            return Poll::Ready(Err(error.into()));
        }
        range.start += data.len() as u64;
        Poll::Ready(Ok(data))
    }
}

/// None where it would have to wait, or the file system cannot say.
fn read_cached(file: &File, offset: u64, len: usize) -> Option<io::Result<Bytes>> {
    let mut data = BytesMut::zeroed(len);
    let mut slices = [IoSliceMut::new(&mut data)];
    match preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
        Ok(len) => {
            data.truncate(len);
            Some(Ok(data.freeze()))
        }
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => None,
        Err(error) => Some(Err(error.into())),
    }
}

async fn read_aside(file: Arc<File>, offset: u64, len: usize) -> Result<Bytes, BoxError> {
    let again = Arc::clone(&file);
    let data = match blocking(move || read(&file, offset, len)).await {
        Ok(data) => data,
        // In tests without a server there is no pool, and nobody whom it would keep waiting.
        Err(BlockingError::NotOnWorker) => read(&again, offset, len),
        Err(error) => return Err(error.into()),
    };
    Ok(data?)
}

fn read(file: &File, offset: u64, len: usize) -> io::Result<Bytes> {
    let mut data = BytesMut::zeroed(len);
    loop {
        match file.read_at(&mut data, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(len) => {
                data.truncate(len);
                return Ok(data.freeze());
            }
        }
    }
}
