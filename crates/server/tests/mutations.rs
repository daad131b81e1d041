//! Requests that are nearly right, for all that reads them: whatever they hold, they are answered, and
//! not with 500.

use ajayserver::conditional::{ETag, Validators};
use ajayserver::testing::TestClient;
use ajayserver::{
    FormError, IntoResponse, JsonError, MultipartError, QueryError, Request, Response, Router,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Note {
    text: String,
    #[serde(default)]
    tag: Vec<u32>,
    priority: Option<f64>,
}

impl Note {
    fn show(&self) -> String {
        format!("{} {:?} {:?}", self.text, self.tag, self.priority)
    }
}

async fn json(mut request: Request) -> Result<String, JsonError> {
    Ok(request.json::<Note>().await?.show())
}

async fn form(mut request: Request) -> Result<String, FormError> {
    Ok(request.form::<Note>().await?.show())
}

async fn query(request: Request) -> Result<String, QueryError> {
    Ok(request.query_as::<Note>()?.show())
}

async fn multipart(mut request: Request) -> Result<String, MultipartError> {
    let mut form = request.multipart()?.parts_max(3);
    let mut shown = String::new();
    while let Some(mut part) = form.next_part().await? {
        shown += &format!("{part:?}");
        shown += &part.text().await?;
    }
    Ok(shown)
}

async fn range(request: Request) -> Response {
    let tag = ETag::strong("a").expect("no quotes");
    let changed = std::time::UNIX_EPOCH + std::time::Duration::from_secs(783_459_811);
    let validators = Validators::new().with_etag(tag).with_last_modified(changed);
    validators.respond(&request, "text/plain", "x".repeat(5000))
}

async fn cookies(request: Request) -> impl IntoResponse {
    let count = request.cookies().count();
    format!(
        "{count} {:?} {:?}",
        request.cookie("a"),
        request.last_event_id()
    )
}

const SEEDS: &[&str] = &[
    "POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 52\r\n\r\n\
     {\"text\":\"a\\u00e4\\ud83d\\ude00\",\"tag\":[1,2],\"priority\":1e3}",
    "POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
     Content-Length: 38\r\n\r\ntext=a+%C3%A4&tag=1&tag=2&priority=1.5&",
    "GET /query?text=a%20b&tag=7&priority=0.5 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /multipart HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=\"XX\"\r\n\
     Content-Length: 146\r\n\r\n--XX\r\nContent-Disposition: form-data; name=\"a\\\"b\"; filename=c\r\n\
     Content-Type: text/plain; charset=utf-8\r\n\r\nabc\r\n--XX\r\nContent-Disposition: x\r\n\r\n\r\n--XX--",
    "GET /range HTTP/1.1\r\nHost: a\r\nRange: bytes=0-99, 1000-1099,-5\r\nIf-Range: \"a\"\r\n\r\n",
    "GET /range HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/\"b\", \"a\"\r\nIf-Match: *\r\n\r\n",
    "GET /range HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT\r\n\
     If-Unmodified-Since: Saturday, 29-Oct-94 19:43:31 GMT\r\n\r\n",
    "GET /range HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\nIf-Range: Sat Oct 29 19:43:31 1994\r\n\r\n",
    "GET /cookies HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=\"2\"; c\r\nLast-Event-ID: 7\r\n\r\n",
];

/// Numbers from a seed, the same in each run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// Changes a few bytes after the first line's method: to others, to those from elsewhere in the
    /// request, or to none.
    fn mutate(&mut self, request: &mut Vec<u8>) {
        for _ in 0..self.below(4) + 1 {
            let at = 5 + self.below(request.len() - 5);
            let len = self.below(8).min(request.len() - at);
            match self.below(5) {
                0 => request[at] = self.below(256) as u8,
                1 => request[at] = b"\"=;,&%-/*\r\n 09:"[self.below(15)],
                2 => request.insert(at, self.below(256) as u8),
                3 => {
                    let copied = request[at..at + len].to_vec();
                    let to = 5 + self.below(request.len() - 5);
                    request.splice(to..to, copied);
                }
                _ => drop(request.drain(at..at + len)),
            }
        }
    }

    /// Makes `Content-Length` that of the content, so that more than the framing is tried.
    fn reframe(request: &[u8]) -> Vec<u8> {
        let head_end = request.windows(4).position(|at| at == b"\r\n\r\n");
        let name = b"Content-Length: ";
        let length = request.windows(name.len()).position(|at| at == name);
        let (Some(head_end), Some(length)) = (head_end, length) else {
            return request.to_vec();
        };
        let length = length + name.len();
        let digits = request[length..]
            .iter()
            .take_while(|it| it.is_ascii_digit());
        let rest = length + digits.count();
        let content = (request.len() - head_end - 4).to_string();
        [&request[..length], content.as_bytes(), &request[rest..]].concat()
    }
}

#[tokio::test]
async fn whatever_a_request_holds_it_is_answered_and_not_with_500() {
    let router = Router::new()
        .post("/json", json)
        .post("/form", form)
        .get("/query", query)
        .post("/multipart", multipart)
        .get("/range", range)
        .get("/cookies", cookies);
    let client = TestClient::new(&router.build().expect("no conflicts"));
    for seed in SEEDS {
        let response = client.raw(Random::reframe(seed.as_bytes())).await;
        let expected: &[u16] = match seed.contains("/range") {
            true => &[200, 206, 304],
            false => &[200],
        };
        assert!(expected.contains(&response.status()), "{seed}");
    }
    let (mut random, mut answered) = (Random(3), [0_u32; 2]);
    for _ in 0..40_000 {
        let mut request = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
        random.mutate(&mut request);
        let request = Random::reframe(&request);
        let response = client.raw(&request).await;
        let text = String::from_utf8_lossy(&request);
        assert_ne!(response.status(), 500, "{text:?}");
        assert_eq!(response.broken_off(), None, "{text:?}");
        answered[usize::from(response.status() < 400)] += 1;
    }
    // Some are right in spite of it, and some are not: both ways are walked.
    assert!(answered.iter().all(|count| *count > 4000), "{answered:?}");
}
