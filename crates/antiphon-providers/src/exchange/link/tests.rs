use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon_llm::{Billed, CallContext, Deadline, Error, ErrorKind, TimeoutPhase, Verdict};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Link;
use crate::exchange::Endpoint;

/// The way in which a connection of the test's server ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// All requests are answered.
    Answers,
    /// The second request arrives at a server that closes the connection without reading it.
    ClosedWhileIdle,
    /// The server closes the connection after its first answer, at once.
    ClosedAtOnce,
    /// The first request is read, and the connection is closed.
    AfterReading,
    /// The request is read and never answered.
    Silent,
    /// The server answers in the clear, whatever it receives.
    InTheClear,
}

/// A server that is stopped when it is dropped.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts a server whose connections end as listed.
    async fn start(ends: &'static [End]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (connections, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        let count = connections.clone();
        tasks.spawn(async move {
            let mut handlers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let at = count.fetch_add(1, Ordering::Relaxed).min(ends.len() - 1);
                handlers.spawn(serve(stream, ends[at]));
            }
        });
        Self { url, connections, _tasks: tasks }
    }

    fn link(&self) -> Link {
        Link::new(endpoint(&self.url))
    }
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new("test", url, Duration::from_secs(60), |_, _, _| None)
}

async fn serve(mut stream: TcpStream, end: End) {
    let mut buffer = [0; 4_096];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) && end != End::AfterReading {
        if end == End::Silent {
            continue;
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let closes = matches!(end, End::InTheClear | End::ClosedAtOnce);
        if stream.write_all(answer).await.is_err() || closes {
            return;
        }
        if end == End::ClosedWhileIdle {
            let _ = stream.peek(&mut [0]).await;
            return;
        }
    }
}

async fn post(link: &Link) -> Result<Value, Error> {
    let context = CallContext::default();
    let response = link.post("/x", &json!({}), &context).await?;
    link.json(response, &context).await
}

#[tokio::test]
async fn a_call_on_an_idle_connection_whose_end_is_known_succeeds_on_another_one() {
    let server = Server::start(&[End::ClosedAtOnce, End::Answers]).await;
    let link = server.link();
    for _ in 0..2 {
        assert_eq!(post(&link).await.unwrap(), json!({}));
        // The end of the connection arrives.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_call_that_was_written_on_a_connection_that_was_idle_is_possibly_billed_and_not_sent_again() {
    let server = Server::start(&[End::ClosedWhileIdle, End::Answers]).await;
    let link = server.link();
    assert_eq!(post(&link).await.unwrap(), json!({}));
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let err = post(&link).await.unwrap_err();
    assert_eq!((err.kind(), err.billed(), err.attempts()), (ErrorKind::Unavailable, Billed::Maybe, 1));
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_deadline_before_the_connection_is_open_costs_nothing_and_one_after_it_may() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // Its queue is filled, and no one accepts.
    let listener = socket.listen(1).unwrap();
    let (address, mut queued) = (listener.local_addr().unwrap(), Vec::new());
    while let Ok(stream) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    let hung = Link::new(endpoint(&format!("http://{address}")));
    let silent = Server::start(&[End::Silent]).await;
    for (link, billed) in [(hung, Billed::No), (silent.link(), Billed::Maybe)] {
        let context = CallContext::default().deadline(Deadline::after(Duration::from_millis(100)));
        let err = link.post("/x", &json!({}), &context).await.unwrap_err();
        let too_late = ErrorKind::Timeout { phase: TimeoutPhase::Total };
        assert_eq!((err.kind(), err.billed()), (too_late, billed), "{err}");
    }
}

#[tokio::test]
async fn a_call_that_a_new_connection_has_read_is_possibly_billed_and_not_sent_again() {
    let server = Server::start(&[End::AfterReading]).await;
    let err = post(&server.link()).await.unwrap_err();
    assert_eq!((err.kind(), err.billed(), err.attempts()), (ErrorKind::Unavailable, Billed::Maybe, 1));
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_tls_error_of_a_handshake_is_not_billed_and_not_retried() {
    let server = Server::start(&[End::InTheClear]).await;
    let link =
        server.link().with(|endpoint| endpoint.base_url = endpoint.base_url.replacen("http:", "https:", 1));
    let err = post(&link).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.billed(), err.verdict()),
        (ErrorKind::Tls, Billed::No, Verdict::Stop),
        "{err}"
    );
}
