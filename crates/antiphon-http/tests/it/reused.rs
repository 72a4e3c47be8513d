//! Connections that the server closes while they are idle, against new ones that it closes after it has read a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon_http::{Client, Error, ErrorKind, Request, RequestPhase, Response, RetryPolicy};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::raw::{Raw, read_head, stall};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The way in which a connection ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// The server responds to every request.
    Answers,
    /// The server closes the connection at once after its first response.
    AtOnce,
    /// The server closes it when the second request is on its way, without reading it: a reset.
    Crossing,
    /// As `Crossing`, but only the server's half is closed: the end of the stream.
    CrossingHalf,
    /// The server reads the second request, too, and closes the connection without a response: it died of the request.
    AfterReadingAgain,
    /// The server reads the first request and closes the connection.
    AfterReading,
}

/// Starts a server whose connections end as listed, the last one's way for all further ones. Returns the number of requests that
/// it has read, too.
async fn server(ends: &'static [End]) -> (Raw, Arc<AtomicUsize>) {
    let (read, at) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = read.clone();
    let server = Raw::start(move |stream| {
        let end = ends[at.fetch_add(1, Ordering::Relaxed).min(ends.len() - 1)];
        connection(stream, end, count.clone())
    });
    (server.await, read)
}

async fn connection(mut stream: TcpStream, end: End, read: Arc<AtomicUsize>) {
    while !read_head(&mut stream).await.is_empty() {
        let earlier = read.fetch_add(1, Ordering::Relaxed);
        let dies = end == End::AfterReading || (end == End::AfterReadingAgain && earlier > 0);
        if dies || stream.write_all(OK).await.is_err() || end == End::AtOnce {
            return;
        }
        if matches!(end, End::Crossing | End::CrossingHalf) {
            stream.peek(&mut [0]).await.unwrap();
            if end == End::CrossingHalf {
                stream.shutdown().await.unwrap();
                stall().await;
            }
            return;
        }
    }
}

/// A time for which a connection is idle that no other request was on it.
const IDLE: Duration = Duration::from_millis(1_050);

/// Sends two requests without a body, with a pause between them.
async fn twice(
    client: &Client,
    server: &Raw,
    request: fn(&str) -> Request,
    idle: Duration,
) -> Result<Response, Error> {
    let first = client.send(request(&server.url())).await.unwrap();
    assert_eq!(first.text().await.unwrap(), "ok");
    tokio::time::sleep(idle).await;
    client.send(request(&server.url())).await
}

/// Returns a request that is not idempotent, but for its key.
fn post_with_key(url: &str) -> Request {
    Request::post(url).idempotency_key("order-7")
}

#[tokio::test]
async fn an_idempotent_request_on_a_connection_that_was_closed_while_it_was_idle_is_sent_once_more() {
    for closed in
        [&[End::AtOnce, End::Answers], &[End::Crossing, End::Answers], &[End::CrossingHalf, End::Answers]]
    {
        for request in [Request::get as fn(&str) -> Request, post_with_key] {
            let (server, read) = server(closed).await;
            let answer = twice(&Client::default(), &server, request, Duration::ZERO).await.unwrap();
            assert_eq!((answer.status(), answer.attempts()), (200, 1), "{closed:?}");
            assert_eq!(answer.text().await.unwrap(), "ok");
            assert_eq!((server.connections(), read.load(Ordering::Relaxed)), (2, 2), "{closed:?}");
        }
    }
}

#[tokio::test]
async fn a_post_of_which_nothing_was_written_is_sent_on_another_connection() {
    let (server, read) = server(&[End::AtOnce, End::Answers]).await;
    let answer = twice(&Client::default(), &server, Request::post, IDLE).await.unwrap();
    assert_eq!((answer.status(), answer.attempts()), (200, 1));
    assert_eq!((server.connections(), read.load(Ordering::Relaxed)), (2, 2));
}

#[tokio::test]
async fn a_post_that_was_written_is_not_sent_again_however_long_its_connection_was_idle() {
    for (end, requests) in [(&[End::AfterReadingAgain, End::Answers], 2), (&[End::Crossing, End::Answers], 1)]
    {
        let (server, read) = server(end).await;
        let err = twice(&Client::default(), &server, Request::post, IDLE).await.unwrap_err();
        assert_eq!((err.kind(), err.phase()), (ErrorKind::Interrupted, RequestPhase::FirstByte), "{end:?}");
        assert_eq!((server.connections(), read.load(Ordering::Relaxed)), (1, requests), "{end:?}");
    }
}

#[tokio::test]
async fn with_a_retry_policy_the_second_try_is_no_attempt_either() {
    let (server, read) = server(&[End::Crossing, End::Answers]).await;
    let client = Client::builder().retry(RetryPolicy::default().base(Duration::ZERO, Duration::ZERO)).build();
    assert_eq!(twice(&client, &server, Request::get, Duration::ZERO).await.unwrap().attempts(), 1);
    assert_eq!(read.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_post_on_a_busy_connection_that_the_server_closes_is_not_sent_again() {
    let (server, _) = server(&[End::Crossing, End::Answers]).await;
    let client = Client::default();
    client.get(&server.url()).await.unwrap().text().await.unwrap();
    let err = client.post(&server.url(), "x").await.unwrap_err();
    assert_eq!((err.kind(), server.connections()), (ErrorKind::Interrupted, 1), "it may have been read");
}

#[tokio::test]
async fn a_new_connection_that_is_closed_after_the_request_was_read_is_an_error() {
    let (server, read) = server(&[End::AfterReading]).await;
    let err = Client::default().send(Request::post(&server.url())).await.unwrap_err();
    assert_eq!((err.kind(), err.phase()), (ErrorKind::Interrupted, RequestPhase::FirstByte));
    assert_eq!((err.attempts(), server.connections(), read.load(Ordering::Relaxed)), (1, 1, 1));
}

#[tokio::test]
async fn the_request_is_sent_only_once_more() {
    let (server, read) = server(&[End::Crossing, End::AfterReading]).await;
    let client = Client::default();
    client.get(&server.url()).await.unwrap().text().await.unwrap();
    let err = client.put(&server.url(), "x").await.unwrap_err();
    assert_eq!((err.kind(), err.attempts()), (ErrorKind::Interrupted, 1));
    assert_eq!((server.connections(), read.load(Ordering::Relaxed)), (2, 2));
}

#[tokio::test]
async fn a_body_that_is_a_stream_is_not_sent_again() {
    let (server, _) = server(&[End::Crossing, End::Answers]).await;
    let client = Client::default();
    client.get(&server.url()).await.unwrap().text().await.unwrap();
    let body = futures_util::stream::iter([Ok::<_, std::io::Error>("x".into())]);
    let err = client.send(Request::post(&server.url()).stream(body)).await.unwrap_err();
    assert_eq!((err.kind(), server.connections()), (ErrorKind::Interrupted, 1));
}
