use std::time::Duration;

use super::{client, hello};
use crate::middleware::Cors;
use crate::router::get;
use crate::testing::{TestClient, TestResponse};
use crate::{Handler, Method, Request, Response, Router};

const ORIGIN: &str = "https://shop.example";

async fn preflight<H: Handler>(
    client: &TestClient<H>,
    target: &str,
    origin: &str,
    fields: &[(&str, &str)],
) -> TestResponse {
    let mut request = client.request(Method::OPTIONS, target);
    request = request.field("Origin", origin);
    for (name, value) in fields {
        request = request.field(name, value);
    }
    request.field("Access-Control-Request-Method", "PUT").await
}

fn allowed(response: &TestResponse) -> [Option<&str>; 4] {
    ["Origin", "Methods", "Headers", "Credentials"]
        .map(|it| response.field(&format!("Access-Control-Allow-{it}")))
}

#[tokio::test]
async fn a_preflight_is_answered_before_any_handler() {
    let cors = Cors::new()
        .origin("https://a.example")
        .origin(ORIGIN)
        .methods([Method::PUT, Method::DELETE])
        .headers(["Content-Type", "X-A"])
        .credentials(true)
        .max_age(Duration::from_secs(600));
    let never = async |_: Request| -> Response { panic!("a handler was asked") };
    let router = Router::new().put("/", never).any("/any", never);
    let client = client(router.fallback(never).wrap(cors));
    for target in ["/", "/any", "/nowhere"] {
        let response = preflight(&client, target, ORIGIN, &[]).await;
        assert_eq!(response.status(), 204, "{target}");
        let expected = [ORIGIN, "PUT, DELETE", "Content-Type, X-A", "true"];
        assert_eq!(allowed(&response), expected.map(Some));
        assert_eq!(response.field("Access-Control-Max-Age"), Some("600"));
        assert_eq!(response.field("Vary"), Some("Origin"));
        assert_eq!(response.field("Allow"), None);
    }
    for origin in [
        "https://other.example",
        "https://shop.example.evil",
        "null",
        "http://shop.example",
    ] {
        let response = preflight(&client, "/", origin, &[]).await;
        assert_eq!(response.status(), 204);
        assert_eq!(allowed(&response), [None; 4], "{origin}");
        assert_eq!(response.field("Access-Control-Max-Age"), None);
        assert_eq!(response.field("Vary"), Some("Origin"));
    }
}

#[tokio::test]
async fn other_requests_reach_their_handlers() {
    let own = async |_: Request| {
        Response::ok("own")
            .with_field("Access-Control-Allow-Origin", "*")
            .and_then(|it| it.with_field("Vary", "Accept"))
    };
    let cors = Cors::new().origin(ORIGIN).expose(["X-Total"]);
    let client = client(Router::new().get("/", hello).get("/own", own).wrap(cors));
    let response = client.get("/").field("Origin", ORIGIN).await;
    assert_eq!(response.text(), "hello");
    assert_eq!(allowed(&response), [Some(ORIGIN), None, None, None]);
    assert_eq!(
        response.field("Access-Control-Expose-Headers"),
        Some("X-Total")
    );
    assert_eq!(response.field("Vary"), Some("Origin"));
    let response = client.get("/own").field("Origin", ORIGIN).await;
    assert_eq!(allowed(&response)[0], Some(ORIGIN));
    assert_eq!(response.field("Vary"), Some("Accept, Origin"));
    let lines = response.fields().iter();
    let name = "access-control-allow-origin";
    assert_eq!(
        lines
            .filter(|(it, _)| it.eq_ignore_ascii_case(name))
            .count(),
        1
    );
    // Of another origin, of none, and what is no preflight.
    let response = client.get("/").field("Origin", "https://b.example").await;
    assert_eq!((response.text(), allowed(&response)), ("hello", [None; 4]));
    assert_eq!(response.field("Vary"), Some("Origin"));
    assert_eq!(response.field("Access-Control-Expose-Headers"), None);
    let response = client.get("/").await;
    assert_eq!(allowed(&response), [None; 4]);
    assert_eq!(response.field("Vary"), Some("Origin"));
    let options = client
        .request(Method::OPTIONS, "/")
        .field("Origin", ORIGIN)
        .await;
    assert_eq!(options.field("Allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(allowed(&options)[0], Some(ORIGIN));
    // Errors can be read as well.
    let response = client.get("/nowhere").field("Origin", ORIGIN).await;
    assert_eq!(
        (response.status(), allowed(&response)[0]),
        (404, Some(ORIGIN))
    );
}

#[tokio::test]
async fn any_and_mirrored() {
    let any = Cors::new()
        .any_origin()
        .any_method()
        .any_header()
        .expose_any();
    let any = client(Router::new().get("/", hello).wrap(any));
    let asked = [("Access-Control-Request-Headers", "x-a,x-b")];
    let response = preflight(&any, "/", "null", &asked).await;
    assert_eq!(allowed(&response), [Some("*"), Some("*"), Some("*"), None]);
    assert_eq!(response.field("Vary"), None);
    let response = any.get("/").field("Origin", ORIGIN).await;
    assert_eq!(response.field("Access-Control-Expose-Headers"), Some("*"));
    assert_eq!(response.field("Vary"), None);

    let mirror = Cors::new().mirror_origin().mirror_method().mirror_headers();
    let mirror = client(Router::new().get("/", hello).wrap(mirror.credentials(true)));
    let response = preflight(&mirror, "/", ORIGIN, &asked).await;
    let expected = [ORIGIN, "PUT", "x-a,x-b", "true"];
    assert_eq!(allowed(&response), expected.map(Some));
    let vary = "Origin, access-control-request-method, access-control-request-headers";
    assert!(
        response
            .field("Vary")
            .is_some_and(|it| it.eq_ignore_ascii_case(vary))
    );
    assert_eq!(
        allowed(&preflight(&mirror, "/", "null", &asked).await),
        [None; 4]
    );

    let chosen = Cors::new()
        .origin_if(|origin, request| request.path() == "/" && origin.ends_with(".shop.example"));
    let chosen = client(Router::new().get("/", hello).get("/b", hello).wrap(chosen));
    let origin = "https://a.shop.example";
    assert_eq!(
        allowed(&chosen.get("/").field("Origin", origin).await)[0],
        Some(origin)
    );
    assert_eq!(
        allowed(&chosen.get("/b").field("Origin", origin).await)[0],
        None
    );
}

#[tokio::test]
async fn preflights_get_to_what_wraps_a_route_or_a_nested_router() {
    let cors = Cors::new().origin(ORIGIN).methods([Method::PUT]);
    let inner = Router::new().get("/a", hello).wrap(cors.clone());
    let router = Router::new()
        .route("/route", get(hello).wrap(cors))
        .get("/plain", hello)
        .nest("/inner", inner);
    let client = client(router);
    for (target, origin) in [
        ("/route", Some(ORIGIN)),
        ("/inner/a", Some(ORIGIN)),
        ("/inner/nowhere", Some(ORIGIN)),
        ("/plain", None),
    ] {
        let response = preflight(&client, target, ORIGIN, &[]).await;
        assert_eq!(
            (response.status(), allowed(&response)[0]),
            (204, origin),
            "{target}"
        );
    }
}

#[test]
fn what_browsers_would_not_take_is_refused() {
    let refused: [fn() -> Cors; 12] = [
        || Cors::new().any_origin().credentials(true),
        || Cors::new().credentials(true).any_origin(),
        || Cors::new().credentials(true).any_method(),
        || Cors::new().any_header().credentials(true),
        || Cors::new().credentials(true).expose_any(),
        || Cors::new().origin("https://a.example/"),
        || Cors::new().origin("https://A.example"),
        || Cors::new().origin("https://a.example:443"),
        || Cors::new().origin("a.example"),
        || Cors::new().origin("*"),
        || Cors::new().headers(["X A"]),
        || Cors::new().expose(["*"]),
    ];
    for (number, cors) in refused.into_iter().enumerate() {
        assert!(std::panic::catch_unwind(cors).is_err(), "{number}");
    }
    let _ = Cors::new().origin("http://[::1]:8080").origin("null");
    let _ = Cors::new().any_origin().credentials(false);
}
