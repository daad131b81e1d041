use super::*;
use crate::testing::{TestClient, TestResponse};

const TYPE: &str = "multipart/form-data; boundary=XX";

fn part(head: &str, data: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n{data}\r\n")
}

async fn show(request: &mut Request) -> Result<String, MultipartError> {
    let mut form = request.multipart()?.part_bytes_max(2 << 20);
    let mut shown = String::new();
    while let Some(mut part) = form.next_part().await? {
        let (name, file_name) = (part.name.clone(), part.file_name.clone());
        let content_type = part.content_type().unwrap_or("-").to_owned();
        if name.as_deref() == Some("skipped") {
            continue;
        }
        let data = part.text().await?;
        shown += &format!(
            "{name:?} {file_name:?} {content_type} {}:{data:.20}\n",
            data.len()
        );
    }
    Ok(shown)
}

async fn send(content_type: &str, content: impl Into<Bytes>) -> TestResponse {
    let handler = async |mut request: Request| show(&mut request).await;
    let client = TestClient::new(&handler);
    let request = client.post("/").content(content);
    request.field("Content-Type", content_type).await
}

#[tokio::test]
async fn parts_come_with_their_names_and_data() {
    let content = [
        "a preamble\r\n",
        &part("name=\"text\"", "Hello\r\n--X\r\n"),
        &part(
            "name=\"file\"; filename=\"a b.txt\"\r\nContent-Type: text/plain; charset=utf-8",
            "",
        ),
        &part("name=\"skipped\"", &"x".repeat(100_000)),
        &part("name=\"ä\"; filename=\"../../etc/passwd\"", "\r\n"),
        "--XX--\r\nan epilogue",
    ]
    .concat();
    let response = send(TYPE, content).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert_eq!(
        response.text(),
        "Some(\"text\") None - 12:Hello\r\n--X\r\n\n\
         Some(\"file\") Some(\"a b.txt\") text/plain; charset=utf-8 0:\n\
         Some(\"ä\") Some(\"../../etc/passwd\") - 2:\r\n\n"
    );
    let response = send(TYPE, "--XX--\r\n").await;
    assert_eq!((response.status(), response.text()), (200, ""));
    let quoted = "Multipart/Form-Data; charset=utf-8; boundary=\"XX\"";
    let response = send(quoted, part("name=a", "1") + "--XX--").await;
    assert_eq!(response.text(), "Some(\"a\") None - 1:1\n");
}

#[tokio::test]
async fn what_is_wrong_has_its_status() {
    let long = format!("multipart/form-data; boundary={}", "X".repeat(71));
    let head = part(&format!("name=\"{}\"", "x".repeat(200_000)), "1") + "--XX--";
    let large = part("name=a", &"x".repeat((2 << 20) + 1)) + "--XX--";
    let many = part("name=a", "1").repeat(PARTS_MAX + 1) + "--XX--";
    let one = part("name=a", "1");
    for (content_type, content, status, text) in [
        ("text/plain", "", 415, "the content has to be a form"),
        ("", "", 415, "the content has to be a form"),
        (
            "multipart/mixed; boundary=XX",
            "",
            415,
            "the content has to",
        ),
        (
            "multipart/form-data",
            "",
            400,
            "the content type has no boundary",
        ),
        (&long, "", 400, "the content type has no boundary"),
        (TYPE, "", 400, "the content is not multipart/form-data"),
        (TYPE, "junk", 400, "the content is not multipart/form-data"),
        (TYPE, "--XX", 400, "the content is not multipart/form-data"),
        (
            TYPE,
            "--XX\r\n",
            400,
            "the content is not multipart/form-data",
        ),
        (
            TYPE,
            "--XX\r\n: x\r\n\r\n",
            400,
            "the content is not multipart",
        ),
        (TYPE, "--XXjunk\r\n", 400, "the content is not multipart"),
        (TYPE, &one, 400, "the content is not multipart/form-data"),
        (
            TYPE,
            &one[..one.len() - 3],
            400,
            "the content is not multipart",
        ),
        (TYPE, &head, 200, "Some"),
        (TYPE, &large, 413, "a part is larger than allowed"),
        (TYPE, &many, 413, "there are more parts than allowed"),
    ] {
        let response = send(content_type, content.to_owned()).await;
        let found = response.text();
        assert_eq!(
            response.status(),
            status,
            "{content_type}, {content:.30}: {found:.60}"
        );
        assert!(
            found.starts_with(text),
            "{content_type}, {content:.30}: {found:.60}"
        );
    }
    let response = send(
        TYPE,
        [b"--XX\r\na: b\r\n\r\n\xff".as_slice(), b"\r\n--XX--"].concat(),
    )
    .await;
    assert_eq!(
        (response.status(), response.text()),
        (400, "a part is not UTF-8\n")
    );
}

#[tokio::test]
async fn after_a_failure_nothing_more_is_read() {
    let handler = async |mut request: Request| {
        let mut form = request.multipart()?.part_bytes_max(3);
        let failure = Err(MultipartError::PartTooLarge);
        if let Some(mut part) = form.next_part().await? {
            assert_eq!(part.data().await, failure);
            assert_eq!(part.data().await, failure);
        }
        assert_eq!(
            form.next_part().await.map(|_| ()),
            failure.map(|_: Option<Bytes>| ())
        );
        Ok::<_, MultipartError>("the same\n")
    };
    let client = TestClient::new(&handler);
    let content = part("name=a", "1234") + &part("name=b", "1") + "--XX--";
    let request = client.post("/").content(content);
    let response = request.field("Content-Type", TYPE).await;
    assert_eq!((response.status(), response.text()), (200, "the same\n"));
}
