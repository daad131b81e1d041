//! A chat: what one says, all hear, by server-sent events.
//!
//! ```text
//! cargo run --release --features forms --example chat -- 127.0.0.1:8080
//! curl -N localhost:8080/events &
//! curl -d name=Ada -d text=Hello localhost:8080/say
//! ```
//!
//! Or open <http://localhost:8080> in two windows. A client that was away for a while gets what it
//! has missed, as long as it is among the last 100 messages.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use ajayserver::{Event, FormError, Html, Request, Router, Server, Sse, StatusCode};
use tokio::sync::broadcast::{self, error::RecvError};

fn main() -> ajayserver::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let router = Router::new()
        .get("/", async |_: Request| Html(PAGE))
        .get("/events", events)
        .post("/say", say)
        .state(Room::new());
    Server::bind(&address)?.run(router.build()?)
}

/// What has been said lately, and who listens.
struct Room {
    lately: Mutex<Lately>,
    listeners: broadcast::Sender<(u64, Event)>,
}

#[derive(Default)]
struct Lately {
    count: u64,
    messages: VecDeque<(u64, Event)>,
}

const KEPT: usize = 100;

impl Room {
    fn new() -> Room {
        Room {
            lately: Mutex::default(),
            // One who is further behind misses some.
            listeners: broadcast::channel(KEPT).0,
        }
    }

    fn say(&self, text: String) {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.count += 1;
        let id = lately.count;
        // Written once, and shared by all who listen.
        let event = Event::data(text).id(id);
        lately.messages.push_back((id, event.clone()));
        if lately.messages.len() > KEPT {
            lately.messages.pop_front();
        }
        // Under the lock, so that the order is the same for everybody. Nobody may be listening.
        let _ = self.listeners.send((id, event));
    }

    /// What has been said after this message, and what will be said.
    fn listen(&self, seen: u64) -> (Vec<Event>, broadcast::Receiver<(u64, Event)>) {
        let lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = lately.messages.iter().filter(|(id, _)| *id > seen);
        let missed = missed.map(|(_, event)| event.clone()).collect();
        (missed, self.listeners.subscribe())
    }
}

#[derive(serde::Deserialize)]
struct Message {
    name: String,
    text: String,
}

async fn say(mut request: Request) -> Result<StatusCode, FormError> {
    let message: Message = request.form().await?;
    let room: &Room = request.state();
    room.say(format!("{}: {}", message.name, message.text));
    Ok(StatusCode::NO_CONTENT)
}

async fn events(request: Request) -> Sse {
    let seen = request.last_event_id().and_then(|id| id.parse().ok());
    let (missed, mut listener) = request.state::<Room>().listen(seen.unwrap_or(0));
    let said = Sse::new(async move |mut events| {
        for event in missed {
            events.send(event).await?;
        }
        loop {
            match listener.recv().await {
                Ok((_, event)) => events.send(event).await?,
                // Slower than the others talk: it goes on with what is still there.
                Err(RecvError::Lagged(missed)) => {
                    let text = format!("(and {missed} messages more)");
                    events.send(Event::data(text)).await?;
                }
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    });
    // A server that stops need not wait for clients who come back anyway.
    said.ends_at_drain()
}

const PAGE: &str = r#"<!doctype html><meta charset=utf-8><title>Chat</title>
<form id=say><input name=name placeholder=name required> <input name=text required autofocus>
<button>Say</button></form>
<ul id=said></ul>
<script>
new EventSource('/events').onmessage = event => {
    const line = document.createElement('li');
    line.textContent = event.data;
    document.getElementById('said').prepend(line);
};
document.getElementById('say').onsubmit = event => {
    event.preventDefault();
    fetch('/say', { method: 'POST', body: new URLSearchParams(new FormData(event.target)) });
    event.target.elements.text.value = '';
};
</script>
"#;
