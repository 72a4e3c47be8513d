//! A planted secret in every place that can hold one: no `Debug` or `Display` of a public type repeats it.

use std::fmt::{Debug, Display};
use std::time::Duration;

use antiphon_http::{
    Client, Error, ErrorKind, HttpRetry, NetworkPolicy, Request, RequestPhase, Response, RetryPolicy,
    SecretString, ndjson, sse,
};
use antiphon_tests::{Reply, Server};
use futures_util::{StreamExt, stream};

use crate::raw::{Raw, stall};

/// The secret, planted in user, password, path, query, fragment, headers and bodies.
const SECRET: &str = "topsecret";

#[track_caller]
fn check(shown: &impl Debug) {
    let text = format!("{shown:?} {shown:#?}");
    // A list of bytes would hide it from the search for a word.
    let bytes = format!("{:?}", SECRET.as_bytes());
    assert!(!text.contains(SECRET) && !text.contains(bytes.trim_matches(['[', ']'])), "{text}");
}

#[track_caller]
fn check_error(err: &(impl Debug + Display)) {
    check(err);
    let text = err.to_string();
    assert!(!text.contains(SECRET), "{text}");
}

fn url(server: &Server) -> String {
    let url = server.url(&format!("/{SECRET}/{SECRET}?{SECRET}={SECRET}#{SECRET}"));
    url.replacen("http://", &format!("http://{SECRET}:{SECRET}@"), 1)
}

fn request(server: &Server) -> Request {
    let request = Request::post(&url(server)).header("x-key", SECRET).bearer(&SecretString::from(SECRET));
    request.idempotency_key(SECRET).request_id(SECRET).json(SECRET)
}

/// Starts a server whose response has the secret in its headers and its body.
fn server(status: u16, body: &str) -> Server {
    let headers = format!("x-key: {SECRET}\r\nset-cookie: {SECRET}\r\nlocation: /{SECRET}\r\n");
    Server::start([Reply::with_headers(status, &headers, body)])
}

/// Returns a response with its server, which is stopped when it is dropped.
async fn response(status: u16, body: &str) -> (Server, Response) {
    let server = server(status, body);
    let answer = Client::default().send(request(&server)).await.unwrap();
    (server, answer)
}

#[tokio::test]
async fn requests_responses_and_their_streams() {
    check(&request(&server(200, SECRET)));
    let (_server, answer) = response(200, SECRET).await;
    check(&answer);
    assert!(
        format!("{answer:?}").contains("POST 127.0.0.1:") && format!("{answer:?}").contains("status: 200")
    );
    check(&answer.endpoint());
    check(&answer.limits());
    let (_server, answer) = response(200, SECRET).await;
    let mut chunks = answer.chunks();
    check(&chunks);
    assert_eq!(chunks.next().await.unwrap().unwrap(), SECRET);
    check(&chunks);
    let text = format!("id: {SECRET}\nevent: {SECRET}\ndata: {SECRET}\n\n").repeat(2);
    let (_server, answer) = response(200, &text).await;
    let mut events = answer.events();
    let event = events.next().await.unwrap().unwrap();
    assert_eq!((event.data.as_str(), events.last_event_id(), events.retry()), (SECRET, SECRET, None));
    check(&event);
    check(&events);
    let (_server, answer) = response(200, &format!("{SECRET}\n{SECRET}\n{SECRET}")).await;
    let mut lines = answer.lines();
    assert_eq!(lines.next().await.unwrap().unwrap(), SECRET);
    check(&lines);
    check(&lines.end());
}

#[test]
fn decoders_and_their_errors() {
    let (mut decoder, mut events) = (sse::SseDecoder::new(100), Vec::new());
    decoder
        .push(
            format!("id: {SECRET}\ndata: {SECRET}\nevent: {SECRET}\ndata: {SECRET}").as_bytes(),
            &mut events,
        )
        .unwrap();
    check(&decoder);
    let left = decoder.finish().unwrap_err();
    assert_eq!((left.event.data.as_str(), left.line), (SECRET, format!("data: {SECRET}")));
    check_error(&decoder_left());
    check_error(&sse::SseDecoder::new(1).push(SECRET.as_bytes(), &mut events).unwrap_err());
    let mut lines = ndjson::NdjsonDecoder::new(20);
    lines.push(SECRET.as_bytes(), &mut Vec::new()).unwrap();
    check(&lines);
    check_error(&lines.push(&[b'x'; 20], &mut Vec::new()).unwrap_err());
}

/// Returns what is left of an event with the secret in each field.
fn decoder_left() -> sse::Incomplete {
    let mut decoder = sse::SseDecoder::new(100);
    let text = format!("id: {SECRET}\nevent: {SECRET}\ndata: {SECRET}\n{SECRET}");
    decoder.push(text.as_bytes(), &mut Vec::new()).unwrap();
    decoder.finish().unwrap_err()
}

#[tokio::test]
async fn clients_and_their_options() {
    let options = Client::builder().user_agent(SECRET).add_root_certificate(SECRET);
    let options = options.network_policy(NetworkPolicy::Any).retry(HttpRetry::new(RetryPolicy::never()));
    check(&options);
    let client = options.build();
    client.send(request(&server(200, SECRET))).await.unwrap();
    check(&client);
}

/// Returns one error of each kind that a request, a response or its body can end with.
async fn errors() -> Vec<Error> {
    let client = Client::default();
    let mut errors = Vec::new();
    for status in [302, 401, 404, 500] {
        errors.push(response(status, SECRET).await.1.error_for_status().unwrap_err());
    }
    for body in [format!("\"{SECRET}\""), SECRET.to_owned(), format!("{{\"{SECRET}\": 1}}")] {
        errors.push(response(200, &body).await.1.json::<Row>().await.unwrap_err());
    }
    let broken =
        Reply::raw(&format!("HTTP/1.1 200 OK\r\nx-key: {SECRET}\r\ncontent-length: 99\r\n\r\n{SECRET}"));
    let broken = Server::start([broken]);
    errors.push(client.send(request(&broken)).await.unwrap().bytes().await.unwrap_err());
    let nonsense = Server::start([Reply::raw(&format!("{SECRET} {SECRET}\r\n\r\n"))]);
    errors.push(client.send(request(&nonsense)).await.unwrap_err());
    let tiny = Client::builder().max_body(3).build();
    errors.push(tiny.send(request(&server(200, SECRET))).await.unwrap().bytes().await.unwrap_err());
    let silent = Server::start([Reply::raw("").and_stall()]);
    let hasty = Client::builder().first_byte_timeout(Duration::from_millis(20)).build();
    errors.push(hasty.send(request(&silent)).await.unwrap_err());
    let hasty = Client::builder().timeout(Duration::from_millis(20)).build();
    errors.push(hasty.send(request(&silent)).await.unwrap_err());
    let refusing = antiphon_tests::refusing_url(&format!("/{SECRET}?{SECRET}"));
    errors.push(client.send(Request::get(&refusing).header("x-key", SECRET)).await.unwrap_err());
    let cut = response(200, &format!("data: {SECRET}\ndata: {SECRET}")).await.1.events().next().await;
    errors.push(cut.unwrap().unwrap_err());
    errors.push(client.get(&url(&server(200, SECRET)).replacen("http:", "https:", 1)).await.unwrap_err());
    errors
}

#[derive(Debug, serde::Deserialize)]
struct Row {
    #[serde(rename = "name")]
    _name: u32,
}

#[tokio::test]
async fn errors_of_requests_and_responses() {
    for err in errors().await {
        check_error(&err);
        assert!(err.to_string().contains("127.0.0.1"), "{err}");
    }
}

/// A value that cannot be serialised, with the secret in its error.
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(SECRET))
    }
}

#[tokio::test]
async fn errors_of_requests_that_are_not_valid() {
    let url = format!("http://127.0.0.1/{SECRET}?{SECRET}");
    let key = SecretString::from(format!("{SECRET}\n"));
    for request in [
        Request::get(SECRET),
        Request::get(&format!("{SECRET}://h/{SECRET}")),
        Request::get(&format!("{SECRET}:{SECRET}@h/x")),
        Request::get(&format!("http://{SECRET}:{SECRET}@:80/{SECRET}")),
        Request::get(&format!("http://h:{SECRET}/")),
        // Arguments in the wrong order.
        Request::new(&url, "GET"),
        Request::get(&url).header(&format!("Bearer {SECRET}"), "authorization"),
        Request::get(&url).header("x-key", &format!("{SECRET}\n")),
        Request::get(&url).bearer(&key),
        Request::post(&url).json(&Unwritable),
    ] {
        check(&request);
        let err = Client::default().send(request).await.unwrap_err();
        assert_eq!((err.kind(), err.phase()), (ErrorKind::InvalidRequest, RequestPhase::Queue));
        check_error(&err);
    }
    let broken = stream::iter([Err::<bytes::Bytes, _>(std::io::Error::other("gone"))]);
    let silent = Raw::start(async |_stream| stall().await).await;
    let sent = Request::post(&silent.url()).header("x-key", SECRET).stream(broken);
    check(&sent);
    check_error(&Client::default().send(sent.clone()).await.unwrap_err());
    check_error(&Client::default().send(sent).await.unwrap_err());
}

#[cfg(feature = "transfer")]
mod transfer {
    use antiphon_fs::temp_dir;
    use antiphon_http::{FetchRequest, fetch};
    use tokio_util::sync::CancellationToken;

    use super::{Client, SECRET, check, check_error, request, server, url};

    #[tokio::test]
    async fn batches_downloads_uploads_and_fetched_files() {
        let (good, bad, client) = (server(200, SECRET), server(404, SECRET), Client::default());
        let batch = client.batch([request(&good), request(&bad)], 1).await;
        check(batch[0].as_ref().unwrap());
        check_error(batch[1].as_ref().unwrap_err());
        check_error(&batch[0].as_ref().unwrap().json::<u32>().unwrap_err());
        let folder = temp_dir().unwrap();
        let target = folder.path().join("file");
        let download = client.download(&url(&good), &target).header("x-key", SECRET).sha256(SECRET);
        check(&download);
        let download = client.download(&url(&good), &target).header("x-key", SECRET);
        check(&download.run().await.unwrap());
        check_error(&client.download(&url(&bad), folder.path().join("none")).run().await.unwrap_err());
        let upload = client.upload(&url(&good), &target).header("x-key", SECRET).text(SECRET, SECRET);
        check(&upload);
        check(&upload.run().await.unwrap());
        let fetching = FetchRequest::new([url(&good), url(&bad)], folder.path().join("fetched"));
        check(&fetching);
        let fetched = fetch(&client, &fetching, |_| {}, CancellationToken::new()).await.unwrap();
        fetched.iter().for_each(|fetched| check(fetched));
        check_error(fetched[1].result.as_ref().unwrap_err());
    }
}
