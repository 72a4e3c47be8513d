use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon_llm::{Billed, Error, ErrorKind, Verdict};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Link;
use crate::exchange::Endpoint;

/// The way in which a connection of the test's server ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// All requests are answered.
    Answers,
    /// The second request arrives at a server that closes the connection without reading it.
    ClosedWhileIdle,
    /// The first request is read, and the connection is closed.
    AfterReading,
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
        Link::new(Endpoint::new("test", &self.url, Duration::from_secs(60), |_, _, _| None))
    }
}

async fn serve(mut stream: TcpStream, end: End) {
    let mut buffer = [0; 4_096];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) && end != End::AfterReading {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        if stream.write_all(answer).await.is_err() || end == End::InTheClear {
            return;
        }
        if end == End::ClosedWhileIdle {
            let _ = stream.peek(&mut [0]).await;
            return;
        }
    }
}

async fn post(link: &Link) -> Result<Value, Error> {
    let response = link.post("/x", &json!({})).await?;
    link.json(response).await
}

#[tokio::test]
async fn a_call_on_a_connection_that_was_closed_while_it_was_idle_succeeds() {
    let server = Server::start(&[End::ClosedWhileIdle, End::Answers]).await;
    let link = server.link();
    assert_eq!(post(&link).await.unwrap(), json!({}));
    // A POST is sent again only on a connection that was idle for a second.
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(post(&link).await.unwrap(), json!({}));
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
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
