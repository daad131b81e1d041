//! A list of things to do, as JSON, kept in SQLite.
//!
//! ```text
//! cargo run --release --features json --example todo -- 127.0.0.1:8080 todo.db
//! curl -H 'Content-Type: application/json' -d '{"text":"buy milk"}' localhost:8080/todos
//! curl -X PATCH -H 'Content-Type: application/json' -d '{"done":true}' localhost:8080/todos/1
//! curl localhost:8080/todos
//! curl -X DELETE localhost:8080/todos/1
//! ```

use std::path::PathBuf;
use std::time::Duration;

use ajayserver::{
    IntoResponse, Json, JsonError, ParamError, PerWorker, Request, Response, Router, Server,
    StatusCode,
};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

fn main() -> ajayserver::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let path = arguments.next().unwrap_or_else(|| "todo.db".to_owned());
    let router = Router::new()
        .get("/todos", list)
        .post("/todos", create)
        .get("/todos/{id}", show)
        .patch("/todos/{id}", change)
        .delete("/todos/{id}", remove)
        .state(Database::new(path.into()));
    Server::bind(&address)?.run(router.build()?)
}

/// A pool of connections for each worker: a connection belongs to the runtime that opened it.
struct Database(PerWorker<SqlitePool>);

impl Database {
    fn new(path: PathBuf) -> Database {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(5));
        Database(PerWorker::new(move || {
            let table = "CREATE TABLE IF NOT EXISTS todos \
                (id INTEGER PRIMARY KEY, text TEXT NOT NULL, done BOOLEAN NOT NULL DEFAULT FALSE)";
            SqlitePoolOptions::new()
                .max_connections(2)
                .after_connect(move |connection, _| {
                    Box::pin(async move {
                        sqlx::query(table).execute(connection).await?;
                        Ok(())
                    })
                })
                .connect_lazy_with(options.clone())
        }))
    }
}

fn pool(request: &Request) -> SqlitePool {
    let database: &Database = request.state();
    SqlitePool::clone(&database.0.get())
}

#[derive(Serialize)]
struct Todo {
    id: i64,
    text: String,
    done: bool,
}

type Row = (i64, String, bool);

impl From<Row> for Todo {
    fn from((id, text, done): Row) -> Todo {
        Todo { id, text, done }
    }
}

#[derive(Deserialize)]
struct NewTodo {
    text: String,
}

#[derive(Deserialize)]
struct Change {
    text: Option<String>,
    done: Option<bool>,
}

async fn list(request: Request) -> Result<Json<Vec<Todo>>, Failure> {
    let rows = sqlx::query_as("SELECT id, text, done FROM todos ORDER BY id LIMIT 1000");
    let rows: Vec<Row> = rows.fetch_all(&pool(&request)).await?;
    Ok(Json(rows.into_iter().map(Todo::from).collect()))
}

async fn create(mut request: Request) -> Result<impl IntoResponse, Failure> {
    let new: NewTodo = request.json().await?;
    let insert = sqlx::query_as("INSERT INTO todos (text) VALUES (?) RETURNING id, text, done");
    let row: Row = insert.bind(new.text).fetch_one(&pool(&request)).await?;
    let location = format!("/todos/{}", row.0);
    let todo = Json(Todo::from(row));
    Ok((StatusCode::CREATED, [("Location", location)], todo))
}

async fn show(request: Request) -> Result<Json<Todo>, Failure> {
    let id: i64 = request.parse_param("id")?;
    let query = sqlx::query_as("SELECT id, text, done FROM todos WHERE id = ?");
    found(query.bind(id).fetch_optional(&pool(&request)).await?)
}

async fn change(mut request: Request) -> Result<Json<Todo>, Failure> {
    let id: i64 = request.parse_param("id")?;
    let change: Change = request.json().await?;
    let query = sqlx::query_as(
        "UPDATE todos SET text = coalesce(?, text), done = coalesce(?, done) WHERE id = ? \
         RETURNING id, text, done",
    );
    let query = query.bind(change.text).bind(change.done).bind(id);
    found(query.fetch_optional(&pool(&request)).await?)
}

async fn remove(request: Request) -> Result<StatusCode, Failure> {
    let id: i64 = request.parse_param("id")?;
    let query = sqlx::query("DELETE FROM todos WHERE id = ?").bind(id);
    match query.execute(&pool(&request)).await?.rows_affected() {
        0 => Err(Failure::NotFound),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

fn found(row: Option<Row>) -> Result<Json<Todo>, Failure> {
    match row {
        Some(row) => Ok(Json(row.into())),
        None => Err(Failure::NotFound),
    }
}

/// Why a request has no answer; what a client may know of it.
enum Failure {
    Json(JsonError),
    Param(ParamError),
    NotFound,
    Database(sqlx::Error),
}

impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Failure {
        Failure::Json(error)
    }
}

impl From<ParamError> for Failure {
    fn from(error: ParamError) -> Failure {
        Failure::Param(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure::Database(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::Json(error) => error.into_response(),
            Failure::Param(error) => error.into_response(),
            Failure::NotFound => (StatusCode::NOT_FOUND, "there is no such todo\n").into_response(),
            Failure::Database(error) => {
                eprintln!("the database failed: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
