use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ajay_engine::{Method, Response, StatusCode};

use super::{Router, any, get};
use crate::testing::{TestClient, TestResponse};
use crate::{Handler, IntoResponse, Next, PerWorker, Request, RoutesHandler};

fn client(router: Router) -> TestClient<RoutesHandler> {
    TestClient::new(&router.build().expect("no conflict"))
}

/// Says which route a request took, with its parameters.
async fn route(request: Request) -> String {
    let pattern = request.route_pattern().unwrap_or("none").to_owned();
    let params = request.params();
    params.fold(pattern, |text, (name, value)| {
        format!("{text} {name}={value}")
    })
}

fn named(name: &'static str) -> impl Handler + Clone + Send + Sync {
    async move |_: Request| name
}

async fn texts<H: Handler>(client: &TestClient<H>, targets: &[&str]) -> Vec<String> {
    let mut texts = Vec::new();
    for target in targets {
        let response = client.get(target).await;
        texts.push(format!("{} {}", response.status(), response.text()));
    }
    texts
}

#[tokio::test]
async fn the_more_literal_route_is_taken() {
    let client = client(
        Router::new()
            .get("/", route)
            .get("/users/{id}", route)
            .get("/users/me", route)
            .get("/users/{id}/files/{*path}", route)
            .get("/file-{name}", route),
    );
    let targets = [
        "/",
        "/?x=/users/7",
        "/users/7",
        "/users/me",
        "/users/me2?a",
        "/users/7/files/a/b%2Fc",
        "/file-x",
        "/users/",
        "/users",
        "/users/7/files/",
        "http://other/users/8",
    ];
    let expected = [
        "200 /",
        "200 /",
        "200 /users/{id} id=7",
        "200 /users/me",
        "200 /users/{id} id=me2",
        "200 /users/{id}/files/{*path} id=7 path=a/b%2Fc",
        "200 /file-{name} name=x",
        "404 404 Not Found\n",
        "404 404 Not Found\n",
        "404 404 Not Found\n",
        "200 /users/{id} id=8",
    ];
    assert_eq!(texts(&client, &targets).await, expected);
}

#[tokio::test]
async fn parameters_are_decoded_and_parsed() {
    let client = client(
        Router::new()
            .get("/text/{it}", async |request: Request| {
                request
                    .param("it")
                    .map_or("none".to_owned(), |it| it.into_owned())
            })
            .get("/number/{it}", async |request: Request| {
                let number: u32 = request.parse_param("it")?;
                Ok::<_, crate::ParamError>(format!("{number}"))
            })
            .get("/other/{it}", async |request: Request| {
                request.parse_param::<u8>("id").map(|it| it.to_string())
            }),
    );
    let targets = [
        "/text/a%20b",
        "/text/%C3%A9",
        "/text/%FF",
        "/number/42",
        "/number/-1",
        "/number/x",
        "/other/1",
    ];
    let expected = [
        "200 a b",
        "200 é",
        "200 none",
        "200 42",
        "404 404 Not Found\n",
        "404 404 Not Found\n",
        "500 ",
    ];
    assert_eq!(texts(&client, &targets).await, expected);
}

#[tokio::test]
async fn methods_that_are_not_there_are_405_with_allow() {
    let client = client(
        Router::new()
            .get("/a", named("get"))
            .post("/a", named("post"))
            .any("/any", named("any"))
            .route("/both", get(named("get")).any(named("any")))
            .on(Method::OPTIONS, "/options", named("options")),
    );
    let ask = |method: &'static str, path: &'static str| {
        client.request(method.parse().expect("a method"), path)
    };
    let response = ask("DELETE", "/a").await;
    assert_eq!(response.status(), 405);
    assert_eq!(response.field("allow"), Some("GET, HEAD, OPTIONS, POST"));
    let response = ask("OPTIONS", "/a").await;
    assert_eq!(response.status(), 204);
    assert_eq!(response.field("allow"), Some("GET, HEAD, OPTIONS, POST"));
    let response = ask("HEAD", "/a").await;
    assert_eq!((response.status(), response.text()), (200, ""));
    assert_eq!(response.field("content-length"), Some("3"));
    for (method, path, text) in [
        ("POST", "/a", "post"),
        ("BREW", "/any", "any"),
        ("OPTIONS", "/any", "any"),
        ("GET", "/both", "get"),
        ("PUT", "/both", "any"),
        ("OPTIONS", "/options", "options"),
    ] {
        assert_eq!(ask(method, path).await.text(), text, "{method} {path}");
    }
    assert_eq!(ask("OPTIONS", "*").await.status(), 204);
    assert_eq!(ask("HEAD", "/options").await.status(), 405);
}

/// Notes its name before and after what comes next.
fn noting(name: &'static str) -> impl AsyncFn(Request, Next) -> Response + Clone + Send + Sync {
    async move |request: Request, next: Next| {
        let mut response = next.run(request).await;
        let _ = response.append("Via", name);
        response
    }
}

fn vias(response: &TestResponse) -> Vec<String> {
    let lines = response.fields().iter().filter(|(name, _)| *name == "via");
    lines
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

#[tokio::test]
async fn middleware_runs_outermost_first_also_where_nothing_matches() {
    let inner = Router::new()
        .wrap(noting("inner"))
        .route("/a", get(named("a")).wrap(noting("route")))
        .get("/", route);
    let client = client(
        Router::new()
            .get("/early", named("early"))
            .nest("/in/", inner)
            .wrap(noting("first"))
            .wrap(noting("second")),
    );
    for (target, status, expected) in [
        ("/early", 200, &["second", "first"][..]),
        ("/in/a", 200, &["route", "inner", "second", "first"]),
        ("/in", 200, &["inner", "second", "first"]),
        ("/in/nothing/here", 404, &["inner", "second", "first"]),
        ("/nothing", 404, &["second", "first"]),
    ] {
        let response = client.get(target).await;
        assert_eq!(response.status(), status, "{target}");
        assert_eq!(vias(&response), expected, "{target}");
    }
    let response = client.post("/in/a").await;
    assert_eq!(response.status(), 405);
    assert_eq!(vias(&response), ["route", "inner", "second", "first"]);
}

#[tokio::test]
async fn middleware_knows_the_route_and_hands_values_on() {
    #[derive(Clone)]
    struct User(&'static str);
    let sign_in = async |mut request: Request, next: Next| {
        if request.field("authorization").is_none() {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let pattern = request.route_pattern().unwrap_or_default().to_owned();
        request.extensions_mut().insert(User("ada"));
        let response = next.run(request).await;
        response
            .with_field("X-Route", pattern)
            .expect("a valid field")
    };
    let client = client(
        Router::new()
            .get("/me/{n}", async |request: Request| {
                let user = request.extension::<User>().map(|user| user.0);
                user.unwrap_or("nobody")
            })
            .wrap(sign_in),
    );
    assert_eq!(client.get("/me/1").await.status(), 401);
    let response = client.get("/me/1").field("Authorization", "x").await;
    assert_eq!(response.text(), "ada");
    assert_eq!(response.field("x-route"), Some("/me/{n}"));
}

#[tokio::test]
async fn nested_routers_have_fallbacks_and_states_of_their_own() {
    async fn states(request: Request) -> String {
        format!("{} {:?}", request.state::<u8>(), request.try_state::<u16>())
    }
    let inner = Router::new()
        .state(2_u8)
        .state(3_u16)
        .get("/states", states)
        .get("/{id}", route)
        .fallback(named("inner fallback"));
    let client = client(
        Router::new()
            .state(1_u8)
            .get("/states", states)
            .nest("/users/{user}/in", inner)
            .merge(Router::new().get("/merged", states))
            .fallback(states),
    );
    let targets = [
        "/states",
        "/merged",
        "/users/7/in/states",
        "/users/7/in/8",
        "/users/7/in",
        "/users/7/in/8/9",
        "/users/7",
    ];
    let expected = [
        "200 1 None",
        "200 1 None",
        "200 2 Some(3)",
        "200 /users/{user}/in/{id} user=7 id=8",
        "200 inner fallback",
        "200 inner fallback",
        "200 1 None",
    ];
    assert_eq!(texts(&client, &targets).await, expected);
}

#[tokio::test]
async fn hosts_have_routers_of_their_own() {
    let host = |name| Router::new().get("/", named(name));
    let client = client(
        host("default")
            .host("example.com", host("exact"))
            .host("*.example.com", host("below"))
            .host("*.b.example.com", host("further below"))
            .wrap(noting("all")),
    );
    for (name, text) in [
        ("example.com", "exact"),
        ("EXAMPLE.com:8080", "exact"),
        ("example.com.", "exact"),
        ("a.example.com", "below"),
        ("c.d.example.com:1", "below"),
        ("a.b.example.com", "further below"),
        ("notexample.com", "default"),
        ("[::1]:80", "default"),
    ] {
        let response = client.get("/").field("Host", name).await;
        assert_eq!(response.text(), text, "{name}");
        assert_eq!(vias(&response), ["all"]);
    }
}

#[tokio::test]
async fn limits_of_a_route_refuse_before_and_while_content_is_read() {
    async fn length(mut request: Request) -> Response {
        let content = request.content().collect().await;
        content
            .map(|content| content.len().to_string())
            .into_response()
    }
    let client = client(
        Router::new()
            .content_bytes_max(10)
            .route("/large", any(length).content_bytes_max(100))
            .post("/small", length),
    );
    let ask = |target, bytes: usize| client.post(target).content(vec![b'x'; bytes]);
    assert_eq!(ask("/small", 10).await.text(), "10");
    assert_eq!(ask("/small", 11).await.status(), 413);
    assert_eq!(ask("/large", 100).await.text(), "100");
    assert_eq!(ask("/large", 101).await.status(), 413);
    let chunked = "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let content = "b\r\nhello world\r\n0\r\n\r\n";
    let response = client.raw(format!("{chunked}{content}")).await;
    assert_eq!(response.status(), 413, "its length was not known before");
}

#[tokio::test(start_paused = true)]
async fn timeouts_of_a_route_drop_the_handler() {
    struct Note(PerWorker<Rc<RefCell<Vec<&'static str>>>>);
    impl Drop for Note {
        fn drop(&mut self) {
            self.0.get().borrow_mut().push("dropped");
        }
    }
    let notes = PerWorker::new(Rc::<RefCell<Vec<_>>>::default);
    let of = notes.clone();
    let slow = async move |request: Request| {
        let _note = Note(of.clone());
        let seconds = request.parse_param("s").unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        "slept"
    };
    let route = get(slow).timeout(Duration::from_secs(10));
    let client = client(Router::new().route("/sleep/{s}", route));
    assert_eq!(client.get("/sleep/9").await.text(), "slept");
    assert_eq!(client.get("/sleep/11").await.status(), 503);
    assert_eq!(*notes.get().borrow(), ["dropped", "dropped"]);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let router = Router::new()
        .get("/users/{id}", route)
        .post("/users/{user}", route)
        .get("/users/{id}", route)
        .get("relative", route)
        .get("/{a}{b}", route)
        .get("/{*all}/more", route)
        .route("/twice", get(route).get(route))
        .nest("inner", Router::new())
        .host("bad host", Router::new());
    let errors = router.build().expect_err("they conflict");
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "the route /users/{user} stands for the same paths as /users/{id}",
            "GET has two handlers on /users/{id}",
            "\"relative\" is not a route: a pattern begins with a slash",
            "\"/{a}{b}\" is not a route: a segment can have one parameter",
            "\"/{*all}/more\" is not a route: a catch-all stands at the end, after a slash",
            "GET has two handlers on /twice",
            "\"inner\" is not a route: a prefix begins with a slash",
            "\"bad host\" is not a host, or has a router already",
        ]
    );
}
