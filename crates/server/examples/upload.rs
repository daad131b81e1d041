//! Uploads files and shows how far they are.
//!
//! ```text
//! cargo run --release --features multipart --example upload -- 127.0.0.1:8080
//! curl -F file=@large.bin 'localhost:8080/upload?name=mine' &
//! curl -N localhost:8080/progress/mine
//! ```
//!
//! Or open <http://localhost:8080>. Files are counted and thrown away; with a second argument they
//! are kept in that directory, under names of ours.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ajayserver::{
    BlockingError, Event, Html, IntoResponse, MultipartError, Request, Response, Router, Server,
    Sse, StatusCode, blocking,
};
use tokio::sync::watch;

fn main() -> ajayserver::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let uploads = Uploads {
        directory: arguments.next().map(PathBuf::from),
        running: Mutex::default(),
    };
    let router = Router::new()
        .get("/", async |_: Request| Html(PAGE))
        .get("/progress/{name}", progress)
        .post("/upload", upload)
        .post("/count", count)
        .state(Arc::new(uploads));
    Server::bind(&address)?.run(router.build()?)
}

struct Uploads {
    directory: Option<PathBuf>,
    /// How many bytes have arrived, by the name that the client gave to its upload.
    running: Mutex<HashMap<String, watch::Sender<u64>>>,
}

/// An upload that others may watch; not any more when this is dropped, also with a handler whose
/// client is gone.
struct Running {
    uploads: Arc<Uploads>,
    name: String,
}

impl Uploads {
    fn watch(&self, name: &str) -> watch::Receiver<u64> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody watches any more, and nothing has arrived: clients choose the names.
        running.retain(|_, bytes| bytes.receiver_count() > 0 || *bytes.borrow() > 0);
        let sender = running.entry(name.to_owned()).or_default();
        sender.subscribe()
    }

    fn arrived(&self, name: &str, bytes: u64) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = running.entry(name.to_owned()).or_default();
        sender.send_replace(bytes);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let running = self.uploads.running.lock();
        running
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.name);
    }
}

async fn upload(mut request: Request) -> Result<String, Failure> {
    let uploads = Arc::clone(request.state::<Arc<Uploads>>());
    let name = request.query().and_then(|it| it.strip_prefix("name="));
    let running = Running {
        name: name.unwrap_or_default().to_owned(),
        uploads,
    };
    let mut form = request.multipart()?;
    let (mut files, mut bytes) = (0, 0);
    while let Some(mut part) = form.next_part().await? {
        if part.file_name().is_none() {
            continue;
        }
        files += 1;
        let mut file = create(&running.uploads).await?;
        while let Some(data) = part.data().await? {
            bytes += data.len() as u64;
            if let Some(mut open) = file.take() {
                // The disk may be slow: not on the worker.
                file = blocking(move || open.write_all(&data).map(|()| Some(open))).await??;
            }
            running.uploads.arrived(&running.name, bytes);
        }
    }
    Ok(format!("{files} files, {bytes} bytes\n"))
}

async fn create(uploads: &Uploads) -> Result<Option<fs::File>, Failure> {
    let Some(directory) = uploads.directory.clone() else {
        return Ok(None);
    };
    let created = blocking(move || {
        for number in 1.. {
            let path = directory.join(format!("upload-{number}"));
            match fs::File::create_new(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created,
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    });
    Ok(Some(created.await??))
}

/// All of the content, whatever it is.
async fn count(mut request: Request) -> Result<String, ajayserver::ContentError> {
    let mut bytes = 0;
    while let Some(data) = request.content().data().await {
        bytes += data?.len();
    }
    Ok(format!("{bytes} bytes\n"))
}

async fn progress(request: Request) -> Sse {
    let name = request.param("name").unwrap_or_default();
    let uploads = request.state::<Arc<Uploads>>();
    let mut bytes = uploads.watch(&name);
    Sse::new(async move |mut events| {
        loop {
            let now = *bytes.borrow_and_update();
            // While the client takes this, several changes become one.
            events.send(Event::data(now)).await?;
            if bytes.changed().await.is_err() {
                events.send(Event::data("").name("end")).await?;
                return Ok(());
            }
        }
    })
}

/// Why an upload failed.
enum Failure {
    Form(MultipartError),
    Blocking(BlockingError),
    Io(io::Error),
}

impl From<MultipartError> for Failure {
    fn from(error: MultipartError) -> Failure {
        Failure::Form(error)
    }
}

impl From<BlockingError> for Failure {
    fn from(error: BlockingError) -> Failure {
        Failure::Blocking(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::Form(error) => error.into_response(),
            Failure::Blocking(error) => error.into_response(),
            Failure::Io(error) => {
                eprintln!("a file cannot be written: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

const PAGE: &str = r#"<!doctype html><meta charset=utf-8><title>Upload</title>
<form id=form><input type=file name=file multiple required> <button>Upload</button></form>
<p id=seen></p>
<script>
document.getElementById('form').onsubmit = async event => {
    event.preventDefault();
    const seen = document.getElementById('seen'), name = Math.random().toString(36).slice(2);
    const progress = new EventSource('/progress/' + name);
    progress.onmessage = event => seen.textContent = event.data + ' bytes';
    progress.addEventListener('end', () => progress.close());
    const body = new FormData(event.target);
    const response = await fetch('/upload?name=' + name, { method: 'POST', body });
    progress.close();
    seen.textContent = await response.text();
};
</script>
"#;
