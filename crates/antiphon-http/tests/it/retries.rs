use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use antiphon_http::{Client, Deadline, ErrorKind, HttpRetry, Request, RetryPolicy};
use tokio::io::AsyncWriteExt;

use crate::raw::{Raw, read_head, reset};

fn quick() -> RetryPolicy {
    RetryPolicy::default().base(Duration::ZERO, Duration::ZERO)
}

/// Starts a server that responds to the first `bad` requests with `answer`, and to all others with 200.
async fn bad_at_first(bad: usize, answer: &str) -> Raw {
    let (answer, asked) = (answer.to_owned(), Arc::new(AtomicUsize::new(0)));
    Raw::start(move |mut stream| {
        let (answer, asked) = (answer.clone(), asked.clone());
        async move {
            while !read_head(&mut stream).await.is_empty() {
                let good = asked.fetch_add(1, Ordering::Relaxed) >= bad;
                let answer = if good { "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" } else { &answer };
                if answer.is_empty() {
                    return reset(&stream);
                }
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

const BROKEN: &str = "HTTP/1.1 500 Broken\r\ncontent-length: 4\r\n\r\nsigh";

#[tokio::test]
async fn a_server_that_always_fails_sees_one_request_more_than_the_retries() {
    for retries in [0, 1, 3] {
        let server = antiphon_tests::Server::start([antiphon_tests::Reply::new(500, "text/plain", "sigh")]);
        let client = Client::builder().retry(quick().max_retries(retries)).build();
        let answer = client.get(&server.url("/")).await.unwrap();
        let err = answer.error_for_status_ref().unwrap_err();
        assert_eq!((server.requests().len(), err.attempts()), (retries as usize + 1, retries + 1));
        assert_eq!(
            (answer.status(), answer.text().await.unwrap().as_str()),
            (500, "sigh"),
            "the last response"
        );
    }
    let server = antiphon_tests::Server::start([antiphon_tests::Reply::new(500, "text/plain", "sigh")]);
    assert_eq!(Client::default().post(&server.url("/"), "x").await.unwrap().attempts(), 1);
    assert_eq!(server.requests().len(), 1, "retries are off by default");
}

#[tokio::test]
async fn a_retry_that_succeeds_returns_the_response() {
    for (answer, request) in [
        (BROKEN, Request::post as fn(&str) -> Request),
        ("HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n", Request::post),
        ("", Request::get),
        ("SSH-2.0-OpenSSH\r\n\r\n", Request::put),
    ] {
        let server = bad_at_first(2, answer).await;
        let sent = Client::builder().retry(quick()).build().send(request(&server.url())).await.unwrap();
        assert_eq!((sent.status(), sent.attempts()), (200, 3), "{answer:?}");
        assert_eq!(sent.text().await.unwrap(), "ok");
    }
    let server = bad_at_first(2, BROKEN).await;
    Client::builder().retry(quick()).build().get(&server.url()).await.unwrap();
    assert_eq!(server.connections(), 1, "the connection of an error is reused");
}

#[tokio::test]
async fn a_request_with_an_unknown_outcome_is_retried_only_with_an_idempotency_key() {
    let client = Client::builder().retry(quick()).build();
    let server = bad_at_first(1, "").await;
    let err = client.send(Request::post(&server.url())).await.unwrap_err();
    assert_eq!((err.kind(), err.attempts()), (ErrorKind::Interrupted, 1));
    let server = bad_at_first(1, "").await;
    let named = Request::post(&server.url()).idempotency_key("job-7");
    assert_eq!(client.send(named).await.unwrap().attempts(), 2);
    let refused = Request::post(&antiphon_tests::refusing_url("/"));
    assert_eq!(client.send(refused).await.unwrap_err().attempts(), 4, "nothing was sent");
    let server = bad_at_first(1, BROKEN).await;
    let once =
        Request::post(&server.url()).stream(futures_util::stream::empty::<Result<_, std::io::Error>>());
    assert_eq!(client.send(once).await.unwrap().status(), 500, "a stream cannot be sent again");
}

#[tokio::test]
async fn retry_after_is_honoured_unless_it_passes_the_deadline() {
    let server =
        bad_at_first(1, "HTTP/1.1 503 Busy\r\nretry-after-ms: 150\r\ncontent-length: 0\r\n\r\n").await;
    let client = Client::builder().retry(quick()).build();
    let begun = Instant::now();
    assert_eq!(client.get(&server.url()).await.unwrap().attempts(), 2);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    let server = bad_at_first(1, "HTTP/1.1 429 Busy\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n").await;
    let request = Request::get(&server.url()).deadline(Deadline::after(Duration::from_secs(5)));
    let answer = client.send(request).await.unwrap();
    assert_eq!((answer.status(), answer.attempts()), (429, 1));
    assert_eq!(answer.limits().retry_after, Some(Duration::from_secs(60)), "returned to the caller");
}

#[tokio::test]
async fn a_hosts_budget_ends_its_retries() {
    let server = antiphon_tests::Server::start([antiphon_tests::Reply::new(500, "text/plain", "")]);
    let client = Client::builder().retry(HttpRetry::new(quick()).budget(28)).build();
    for _ in 0..3 {
        assert_eq!(client.get(&server.url("/")).await.unwrap().status(), 500);
    }
    assert_eq!(server.requests().len(), 3 + 2);
}

/// Returns the number of requests that a server receives which always responds with a status.
async fn requests_for(retry: impl Into<HttpRetry>, status: u16) -> usize {
    let server = antiphon_tests::Server::start([antiphon_tests::Reply::new(status, "text/plain", "")]);
    let answer = Client::builder().retry(retry).build().get(&server.url("/")).await.unwrap();
    assert_eq!((answer.status(), answer.attempts() as usize), (status, server.requests().len()));
    server.requests().len()
}

#[tokio::test]
async fn the_statuses_that_are_retried_are_a_documented_default_and_can_be_changed() {
    let once = || quick().max_retries(1);
    assert_eq!(HttpRetry::from(once()).statuses, HttpRetry::DEFAULT_STATUSES);
    for status in [408, 429, 500, 502, 503, 504, 529] {
        assert_eq!(requests_for(once(), status).await, 2, "{status}");
    }
    for status in [200, 302, 400, 401, 404, 409, 425, 501, 507] {
        assert_eq!(requests_for(once(), status).await, 1, "{status}");
    }
    let other = HttpRetry::new(once()).statuses([404, 425]);
    assert_eq!((requests_for(other.clone(), 404).await, requests_for(other.clone(), 425).await), (2, 2));
    assert_eq!(requests_for(other, 500).await, 1);
    assert_eq!(requests_for(HttpRetry::new(once()).statuses([]), 503).await, 1);
}
