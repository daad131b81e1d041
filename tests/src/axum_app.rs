//! An axum application with a bit of everything, in the manner of axum's own examples: to-dos, a key-value store, a
//! form with files, server-sent events, errors. It knows nothing of who serves it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Form, Json, Multipart, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response, Sse, sse};
use axum::routing::{get, post};
use axum::{Router, middleware};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default)]
struct App(Arc<Shared>);

#[derive(Default)]
struct Shared {
    todos: Mutex<BTreeMap<u32, Todo>>,
    next: AtomicU32,
    values: Mutex<BTreeMap<String, Bytes>>,
    /// Handlers that were dropped unfinished.
    dropped: AtomicU32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Todo {
    #[serde(default)]
    id: u32,
    text: String,
    #[serde(default)]
    completed: bool,
}

#[derive(Deserialize)]
struct Page {
    offset: Option<usize>,
    limit: Option<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of the application, as a response.
enum AppError {
    NotFound,
    Teapot(String),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            AppError::NotFound => (StatusCode::NOT_FOUND, "no such thing").into_response(),
            AppError::Teapot(why) => (
                StatusCode::IM_A_TEAPOT,
                Json(serde_json::json!({ "error": why })),
            )
                .into_response(),
        }
    }
}

/// The application, with nothing in its stores.
pub fn app() -> Router {
    Router::new()
        .route("/", get(async || Html("<h1>Hello, World!</h1>")))
        .route("/todos", get(list).post(create))
        .route("/todos/{id}", get(show).patch(update).delete(remove))
        .route("/values/{key}", get(value).put(set_value).delete(forget))
        .route("/form", post(async |Form(todo): Form<Todo>| todo.text))
        .route(
            "/upload",
            post(upload).layer(DefaultBodyLimit::max(12 << 20)),
        )
        .route("/digest", post(digest).layer(DefaultBodyLimit::disable()))
        .route("/events", get(events))
        .route("/stream", get(stream))
        .route(
            "/echo",
            post(async |headers: HeaderMap, body: Body| (content_type(&headers), body)),
        )
        .route(
            "/teapot",
            get(async || AppError::Teapot("short and stout".to_owned()).into_response()),
        )
        .route("/never", get(never))
        .route(
            "/dropped",
            get(async |State(app): State<App>| app.0.dropped.load(Ordering::SeqCst).to_string()),
        )
        .route("/panic", get(panics))
        .layer(middleware::from_fn(
            async |request: axum::extract::Request, next: middleware::Next| {
                let path = request.uri().path().to_owned();
                let mut response = next.run(request).await;
                if let Ok(path) = path.parse() {
                    response.headers_mut().insert("x-path", path);
                }
                response
            },
        ))
        .with_state(App::default())
}

fn content_type(headers: &HeaderMap) -> [(header::HeaderName, String); 1] {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    [(
        header::CONTENT_TYPE,
        value.unwrap_or("text/plain").to_owned(),
    )]
}

async fn list(State(app): State<App>, Query(page): Query<Page>) -> Json<Vec<Todo>> {
    let todos = lock(&app.0.todos);
    let some = todos
        .values()
        .skip(page.offset.unwrap_or(0))
        .take(page.limit.unwrap_or(100));
    Json(some.cloned().collect())
}

async fn create(State(app): State<App>, Json(mut todo): Json<Todo>) -> (StatusCode, Json<Todo>) {
    todo.id = app.0.next.fetch_add(1, Ordering::SeqCst) + 1;
    lock(&app.0.todos).insert(todo.id, todo.clone());
    (StatusCode::CREATED, Json(todo))
}

async fn show(State(app): State<App>, Path(id): Path<u32>) -> Result<Json<Todo>, AppError> {
    lock(&app.0.todos)
        .get(&id)
        .cloned()
        .map(Json)
        .ok_or(AppError::NotFound)
}

async fn update(
    State(app): State<App>,
    Path(id): Path<u32>,
    Json(new): Json<Todo>,
) -> Result<Json<Todo>, AppError> {
    let mut todos = lock(&app.0.todos);
    let todo = todos.get_mut(&id).ok_or(AppError::NotFound)?;
    *todo = Todo { id, ..new };
    Ok(Json(todo.clone()))
}

async fn remove(State(app): State<App>, Path(id): Path<u32>) -> StatusCode {
    match lock(&app.0.todos).remove(&id) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

async fn value(State(app): State<App>, Path(key): Path<String>) -> Result<Bytes, AppError> {
    lock(&app.0.values)
        .get(&key)
        .cloned()
        .ok_or(AppError::NotFound)
}

async fn set_value(State(app): State<App>, Path(key): Path<String>, value: Bytes) -> StatusCode {
    match lock(&app.0.values).insert(key, value) {
        None => StatusCode::CREATED,
        Some(_) => StatusCode::NO_CONTENT,
    }
}

async fn forget(State(app): State<App>, Path(key): Path<String>) -> StatusCode {
    lock(&app.0.values).remove(&key);
    StatusCode::NO_CONTENT
}

async fn upload(mut multipart: Multipart) -> Result<String, StatusCode> {
    let mut text = String::new();
    while let Some(mut field) = multipart
        .next_field()
        .await
        .map_err(|_| StatusCode::BAD_REQUEST)?
    {
        let name = field
            .file_name()
            .or(field.name())
            .unwrap_or_default()
            .to_owned();
        let mut bytes = 0;
        while let Some(chunk) = field
            .chunk()
            .await
            .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?
        {
            bytes += chunk.len();
        }
        text.push_str(&format!("{name} {bytes}\n"));
    }
    Ok(text)
}

async fn digest(body: Bytes) -> String {
    format!("{} {:016x}", body.len(), crate::fnv1a(&body))
}

async fn events() -> impl IntoResponse {
    Sse::new(Timed::new(|number| match number {
        0..5 => Some(Ok::<_, std::convert::Infallible>(
            sse::Event::default().event("tick").data(number.to_string()),
        )),
        _ => None,
    }))
}

async fn stream() -> Body {
    Body::from_stream(Timed::new(|number| match number {
        0..20 => Some(Ok::<_, std::convert::Infallible>(Bytes::from(
            crate::pattern(5000),
        ))),
        _ => None,
    }))
}

/// A stream that waits a millisecond before each item.
struct Timed<F> {
    make: F,
    number: u32,
    sleep: std::pin::Pin<Box<tokio::time::Sleep>>,
}

const PAUSE: Duration = Duration::from_millis(1);

impl<F> Timed<F> {
    fn new(make: F) -> Timed<F> {
        Timed {
            make,
            number: 0,
            sleep: Box::pin(tokio::time::sleep(PAUSE)),
        }
    }
}

impl<F: FnMut(u32) -> Option<T> + Unpin, T> futures_core::Stream for Timed<F> {
    type Item = T;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        std::task::ready!(self.sleep.as_mut().poll(cx));
        self.sleep
            .as_mut()
            .reset(tokio::time::Instant::now() + PAUSE);
        self.number += 1;
        let number = self.number - 1;
        std::task::Poll::Ready((self.make)(number))
    }
}

struct Count(App);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

async fn never(State(app): State<App>) {
    let _count = Count(app);
    std::future::pending().await
}

async fn panics() -> &'static str {
    std::panic::resume_unwind(Box::new("on purpose"))
}
