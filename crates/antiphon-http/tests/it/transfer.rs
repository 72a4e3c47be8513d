use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_fs::{read, temp_dir, write};
use antiphon_http::{Client, ErrorKind, FetchRequest, Request, RetryPolicy, fetch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::raw::{Raw, read_head};

/// Returns 300 kB without repetitions.
fn content() -> Vec<u8> {
    (0..300_000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).take(300_000).collect()
}

/// A server of the content under an `ETag` that closes the connection after `most` bytes of body, and records the ranges.
struct Files {
    server: Raw,
    ranges: Arc<Mutex<Vec<String>>>,
}

impl Files {
    async fn start(tag: &'static str, most: usize) -> Self {
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let asked = ranges.clone();
        let server = Raw::start(move |mut stream| {
            let asked = asked.clone();
            async move {
                let head = read_head(&mut stream).await;
                let value = |name: &str| {
                    head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned()
                };
                let (range, if_range) = (value("range:"), value("if-range:"));
                asked.lock().unwrap().push(range.clone());
                let content = content();
                let from = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
                let from: usize = from.filter(|_| if_range == tag).map_or(0, |from| from.parse().unwrap());
                let total = content.len();
                let (status, extra) = match from {
                    0 => ("200 OK", String::new()),
                    from if from >= total => ("416 No", format!("content-range: bytes */{total}\r\n")),
                    from => ("206 Part", format!("content-range: bytes {from}-{}/{total}\r\n", total - 1)),
                };
                let body = &content[from.min(total)..];
                let head = format!(
                    "HTTP/1.1 {status}\r\netag: {tag}\r\n{extra}content-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body[..body.len().min(most)]).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        Self { server, ranges }
    }

    fn ranges(&self) -> Vec<String> {
        self.ranges.lock().unwrap().clone()
    }
}

fn quick() -> Client {
    Client::builder().retry(RetryPolicy::default().base(Duration::ZERO, Duration::ZERO)).build()
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const SHA256: &str = "5b8f1d5eb1be0bc2c5b5a3c2a0e9a7b0";

#[tokio::test]
async fn a_broken_download_resumes() {
    let folder = temp_dir().unwrap();
    let target = folder.path().join("file.bin");
    let files = Files::start("\"v1\"", 120_000).await;
    let reported = Arc::new(Mutex::new(Vec::new()));
    let report = reported.clone();
    let download = quick()
        .download(&files.server.url(), &target)
        .on_progress(move |done, total| report.lock().unwrap().push((done, total)));
    let done = download.run().await.unwrap();
    assert_eq!((done.bytes, done.resumed_from), (300_000, 0));
    assert_eq!(files.ranges(), ["", "bytes=120000-", "bytes=240000-"]);
    assert_eq!(read(&target).await.unwrap(), content());
    assert_eq!(names(folder.path()), ["file.bin"]);
    assert_eq!(reported.lock().unwrap().last(), Some(&(300_000, Some(300_000))));
}

#[tokio::test]
async fn an_attempt_with_progress_restores_all_retries() {
    let folder = temp_dir().unwrap();
    let one = RetryPolicy::default().max_retries(1).base(Duration::ZERO, Duration::ZERO);
    let client = Client::builder().retry(one).build();
    let files = Files::start("\"v1\"", 70_000).await;
    let done = client.download(&files.server.url(), folder.path().join("file.bin")).run().await.unwrap();
    assert_eq!((done.bytes, files.ranges().len()), (300_000, 5));
    let empty = Files::start("\"v1\"", 0).await;
    client.download(&empty.server.url(), folder.path().join("x")).run().await.unwrap_err();
    assert_eq!(empty.ranges().len(), 2);
}

#[tokio::test]
async fn a_later_run_resumes_if_the_content_is_still_the_same() {
    let folder = temp_dir().unwrap();
    let target = folder.path().join("file.bin");
    write(&target, "older").await.unwrap();
    let files = Files::start("\"v1\"", 120_000).await;
    let once = || Client::default().download(&files.server.url(), &target);
    assert_eq!(once().run().await.unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(read(&target).await.unwrap(), b"older", "the old file stays until the new one is complete");
    assert_eq!(names(folder.path()), ["file.bin", "file.bin.part", "file.bin.part.json"]);
    once().run().await.unwrap_err();
    let done = once().run().await.unwrap();
    assert_eq!((done.resumed_from, files.ranges().last().unwrap().as_str()), (240_000, "bytes=240000-"));
    assert_eq!(read(&target).await.unwrap(), content());

    // A part of another version, and a part without metadata, start over.
    for (part, notes) in [("part", Some("\"v0\"")), ("part", None)] {
        write(PathBuf::from(format!("{}.part", target.display())), part).await.unwrap();
        if let Some(tag) = notes {
            let source = done_source(&files);
            let notes = serde_json::json!({"source": source, "validator": tag}).to_string();
            write(PathBuf::from(format!("{}.part.json", target.display())), notes).await.unwrap();
        }
        assert_eq!(quick().download(&files.server.url(), &target).run().await.unwrap().bytes, 300_000);
        assert_eq!(read(&target).await.unwrap(), content());
    }
}

/// Returns the digest of the address, as in the metadata.
fn done_source(files: &Files) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(files.server.url()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_complete_part_is_published_without_another_download() {
    let folder = temp_dir().unwrap();
    let target = folder.path().join("file.bin");
    let files = Files::start("\"v1\"", 0).await;
    write(folder.path().join("file.bin.part"), content()).await.unwrap();
    let notes = serde_json::json!({"source": done_source(&files), "validator": "\"v1\""}).to_string();
    write(folder.path().join("file.bin.part.json"), notes).await.unwrap();
    let done = Client::default().download(&files.server.url(), &target).run().await.unwrap();
    assert_eq!((done.bytes, done.resumed_from), (300_000, 300_000));
    assert_eq!(read(&target).await.unwrap(), content());
}

#[tokio::test]
async fn a_file_with_a_wrong_checksum_is_discarded() {
    let folder = temp_dir().unwrap();
    let target = folder.path().join("file.bin");
    let files = Files::start("\"v1\"", usize::MAX).await;
    let download = || Client::default().download(&files.server.url(), &target);
    let err = download().sha256(SHA256).run().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::ChecksumMismatch);
    assert_eq!(names(folder.path()), Vec::<String>::new());
    let digest = download().run().await.unwrap().sha256;
    download().sha256(digest.to_uppercase()).run().await.unwrap();
}

#[tokio::test]
async fn cancelling_keeps_the_received_bytes() {
    let folder = temp_dir().unwrap();
    let target = folder.path().join("file.bin");
    let stalls = Raw::start(async |mut stream| {
        read_head(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\netag: \"v1\"\r\ncontent-length: 300000\r\n\r\n";
        stream.write_all(&[head.as_bytes(), &content()[..1_000]].concat()).await.unwrap();
        crate::raw::stall().await;
    });
    let (stalls, token) = (stalls.await, CancellationToken::new());
    let cancel = token.clone();
    let download =
        quick().download(&stalls.url(), &target).cancelled_by(token).on_progress(move |done, _| {
            if done == 1_000 {
                cancel.cancel();
            }
        });
    assert_eq!(download.run().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(read(folder.path().join("file.bin.part")).await.unwrap(), &content()[..1_000]);
}

#[tokio::test]
async fn errors_leave_no_file_and_name_the_path_that_failed() {
    let folder = temp_dir().unwrap();
    let missing = antiphon_tests::Server::start([antiphon_tests::Reply::new(404, "text/plain", "gone")]);
    let err = quick().download(&missing.url("/x"), folder.path().join("x")).run().await.unwrap_err();
    assert_eq!((err.status(), names(folder.path()).len()), (Some(404), 0));
    let files = Files::start("\"v1\"", usize::MAX).await;
    let err = quick().download(&files.server.url(), folder.path().join("no/x")).run().await.unwrap_err();
    assert!(err.kind() == ErrorKind::File && err.to_string().contains("no/x.part"), "{err}");
}

#[tokio::test]
async fn an_upload_is_a_form_and_is_read_again_for_each_attempt() {
    let folder = temp_dir().unwrap();
    let file = folder.path().join("notes.txt");
    write(&file, content()).await.unwrap();
    let (seen, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let server = Raw::start({
        let seen = seen.clone();
        move |mut stream| {
            let (seen, asked) = (seen.clone(), asked.clone());
            async move {
                let head = read_head(&mut stream).await;
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                let mut body = vec![0; length.parse().unwrap()];
                stream.read_exact(&mut body).await.unwrap();
                seen.lock().unwrap().push((head, body));
                let first = {
                    let mut asked = asked.lock().unwrap();
                    *asked += 1;
                    *asked == 1
                };
                let status = if first { "503 Busy" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await;
    let reported = Arc::new(Mutex::new((0, None)));
    let report = reported.clone();
    let upload = quick()
        .upload(&server.url(), &file)
        .field("document")
        .text("kind", "notes")
        .on_progress(move |done, total| *report.lock().unwrap() = (done, total));
    assert_eq!(upload.run().await.unwrap().attempts(), 2);
    let (seen, content) = (seen.lock().unwrap().clone(), content());
    for (head, body) in &seen {
        assert!(head.contains("multipart/form-data; boundary="), "{head}");
        let text = String::from_utf8_lossy(body);
        assert!(text.contains("name=\"document\"; filename=\"notes.txt\"") && text.contains("name=\"kind\""));
        assert!(body.windows(content.len()).any(|window| window == content));
    }
    assert_eq!((seen.len(), *reported.lock().unwrap()), (2, (300_000, Some(300_000))));
    let err = quick().upload(&server.url(), folder.path()).run().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::File);
}

#[tokio::test]
async fn a_batch_is_bounded_and_ordered_and_one_failure_does_not_affect_the_others() {
    let server = MockServer::start().await;
    for number in 0..20_u64 {
        let answer = match number {
            7 => ResponseTemplate::new(500),
            // Later requests are done first.
            _ => ResponseTemplate::new(200)
                .set_body_json(number)
                .set_delay(Duration::from_millis(60 - 3 * number)),
        };
        Mock::given(method("GET")).and(path(format!("/{number}"))).respond_with(answer).mount(&server).await;
    }
    let requests = (0..20).map(|number| Request::get(&format!("{}/{number}", server.uri())));
    let outcomes = Client::default().batch(requests, 5).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(answer) => assert_eq!(answer.json::<usize>().unwrap(), number),
            Err(err) => assert_eq!((number, err.status()), (7, Some(500))),
        }
    }
    let bounded = antiphon_tests::Server::start([antiphon_tests::Reply::new(200, "text/plain", "x")]);
    let requests = (0..30).map(|_| Request::get(&bounded.url("/")));
    assert_eq!(Client::default().batch(requests, 3).await.len(), 30);
    assert!(bounded.max_in_flight() <= 3);
}

/// Starts a server that sends these responses in turn, and repeats the last one.
async fn scripted(answers: &'static [&'static str]) -> (Raw, Arc<Mutex<Vec<String>>>) {
    let (heads, at) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let seen = heads.clone();
    let server = Raw::start(move |mut stream| {
        let (seen, at) = (seen.clone(), at.clone());
        async move {
            loop {
                let head = read_head(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                seen.lock().unwrap().push(head);
                let answer = {
                    let mut at = at.lock().unwrap();
                    *at += 1;
                    answers[(*at - 1).min(answers.len() - 1)]
                };
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (server, heads)
}

#[tokio::test]
async fn short_ranges_are_requested_until_the_file_is_complete() {
    let folder = temp_dir().unwrap();
    let target = folder.path().join("file");
    let (server, heads) = scripted(&[
        "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 10\r\nconnection: close\r\n\r\n0123",
        "HTTP/1.1 206 Part\r\netag: \"1\"\r\ncontent-range: bytes 4-6/10\r\ncontent-length: 3\r\n\r\n456",
        "HTTP/1.1 206 Part\r\netag: \"1\"\r\ncontent-range: bytes 7-9/10\r\ncontent-length: 3\r\n\r\n789",
    ])
    .await;
    // The first response never ends.
    let client = Client::builder()
        .retry(RetryPolicy::default().base(Duration::ZERO, Duration::ZERO))
        .idle_timeout(Duration::from_millis(100))
        .build();
    let done = client.download(&server.url(), &target).run().await.unwrap();
    assert_eq!((done.bytes, read(&target).await.unwrap().as_slice()), (10, &b"0123456789"[..]));
    assert!(heads.lock().unwrap()[2].contains("range: bytes=7-"));
}

#[tokio::test]
async fn a_range_of_other_content_is_not_appended_even_with_one_connection() {
    let folder = temp_dir().unwrap();
    let target = folder.path().join("file");
    let (server, _) = scripted(&[
        "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 10\r\n\r\n0123",
        "HTTP/1.1 206 Part\r\netag: \"2\"\r\ncontent-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\nEFGHIJ",
        "HTTP/1.1 200 OK\r\netag: \"2\"\r\ncontent-length: 10\r\n\r\nABCDEFGHIJ",
    ])
    .await;
    let client = Client::builder()
        .retry(RetryPolicy::default().base(Duration::ZERO, Duration::ZERO))
        .idle_timeout(Duration::from_millis(100))
        .max_connections(1)
        .build();
    client.download(&server.url(), &target).run().await.unwrap();
    assert_eq!(read(&target).await.unwrap(), b"ABCDEFGHIJ");
}

#[tokio::test]
async fn folders_are_not_replaced_and_a_failing_server_sees_only_the_policys_retries() {
    let folder = temp_dir().unwrap();
    let files = Files::start("\"v1\"", usize::MAX).await;
    let err = quick().download(&files.server.url(), folder.path()).run().await.unwrap_err();
    assert!(err.kind() == ErrorKind::File && files.ranges().is_empty(), "{err}");
    let (server, heads) = scripted(&["HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n"]).await;
    quick().download(&server.url(), folder.path().join("x")).run().await.unwrap_err();
    assert_eq!(heads.lock().unwrap().len(), 4);
    // A body that breaks off before its first byte counts as a failed attempt.
    let empty = Files::start("\"v1\"", 0).await;
    quick().download(&empty.server.url(), folder.path().join("x")).run().await.unwrap_err();
    assert_eq!(empty.ranges().len(), 4);
    let dead = Raw::start(async |stream| crate::raw::reset(&stream)).await;
    quick().download(&dead.url(), folder.path().join("x")).run().await.unwrap_err();
    assert_eq!(dead.connections(), 4);
}

#[tokio::test]
async fn sending_an_upload_may_take_longer_than_the_first_byte_timeout() {
    let folder = temp_dir().unwrap();
    let file = folder.path().join("large");
    write(&file, vec![7_u8; 16 << 20]).await.unwrap();
    let server = Raw::start(async |mut stream| {
        let mut buffer = vec![0; 64 << 10];
        let mut left = 16 << 20;
        while left > 0 {
            let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
            left -= left.min(read);
            // Slow while the client still sends. The rest is in the system's buffers, and a busy machine would need longer
            // to drain them than the timeout allows.
            if left > 10 << 20 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let hasty = Client::builder().first_byte_timeout(Duration::from_millis(800)).build();
    let begun = std::time::Instant::now();
    assert_eq!(hasty.upload(&server.url(), &file).run().await.unwrap().status(), 200);
    assert!(begun.elapsed() > Duration::from_millis(800), "longer than the first-byte timeout");
}

fn sendable<T: Send>(future: T) -> T {
    future
}

#[tokio::test]
async fn many_files_are_fetched_in_order_under_unique_names_and_kept_by_the_next_call() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(200).set_body_string("slow").set_delay(Duration::from_millis(50));
    Mock::given(path("/a/x.txt")).respond_with(slow).mount(&server).await;
    Mock::given(path("/b/x.txt"))
        .respond_with(ResponseTemplate::new(200).set_body_string("fast"))
        .mount(&server)
        .await;
    let folder = temp_dir().unwrap();
    let urls = ["/a/x.txt?key=topsecret", "/b/x.txt", "/none"].map(|path| format!("{}{path}", server.uri()));
    let request = FetchRequest::new(urls, folder.path());
    let (client, done) = (Client::builder().build(), Mutex::new(Vec::new()));
    let report = |fetched: &antiphon_http::Fetched| done.lock().unwrap().push(fetched.number);
    let fetched = sendable(fetch(&client, &request, report, CancellationToken::new())).await.unwrap();
    assert_eq!(fetched.iter().map(|fetched| fetched.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(done.lock().unwrap().last(), Some(&1), "each is reported when it is done");
    assert_eq!(read(folder.path().join("x-2.txt")).await.unwrap(), b"fast");
    let again = fetch(&client, &request, |_| {}, CancellationToken::new()).await.unwrap();
    let document = serde_json::to_value(&again).unwrap();
    assert_eq!((&document[0]["outcome"], &document[0]["bytes"]), (&"there_already".into(), &4.into()));
    assert_eq!((&document[2]["outcome"], &document[2]["status"]), (&"failed".into(), &404.into()));
    assert!(!format!("{document} {again:?} {request:?}").contains("topsecret"));
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let none = fetch(&client, &request.fresh(true), |_| {}, cancelled).await.unwrap();
    assert_eq!(none[0].http_error().map(antiphon_http::Error::kind), Some(ErrorKind::Cancelled));
}
