//! A loopback server for tests, which answers from a script and records its requests.
//!
//! It writes plain bytes, not HTTP: so it can also truncate an answer, stall in the middle of it, or send garbage.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a test crate: blocking and panics are free"
)]

pub mod conformance;
pub mod guide;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// A server on a free loopback port, which runs until the process ends.
#[derive(Debug)]
pub struct Server {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    script: VecDeque<Reply>,
    /// The closure that answers in place of the script.
    answers: Option<Answers>,
    requests: Vec<Received>,
    in_flight: usize,
    max_in_flight: usize,
    sent: u64,
}

/// The slots of an engine: so many pieces of work are done at a time, and the rest waits.
#[derive(Debug)]
pub struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    /// Creates free slots.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self { free: Mutex::new(slots), freed: Condvar::new() }
    }

    /// Does work in a slot, once one is free.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        drop(free);
        let done = work();
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.freed.notify_one();
        done
    }
}

/// A closure that answers requests.
type Answers = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("requests", &self.requests.len()).finish_non_exhaustive()
    }
}

/// The answer of a server to one request.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pieces: Vec<(Duration, Vec<u8>)>,
    stays_open: bool,
    /// Bytes that are repeated after the pieces until the client hangs up.
    endless: Vec<u8>,
}

/// A request that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method and the path, such as `POST /v1/chat/completions`.
    pub line: String,
    /// The header lines.
    pub headers: Vec<String>,
    /// The body as JSON; null if it is not JSON.
    pub body: Value,
    /// The body as it was received.
    pub bytes: Vec<u8>,
}

impl Server {
    /// Starts a server that answers requests in the order of the script; the last reply is repeated.
    ///
    /// # Panics
    /// If no port is free, or the script is empty.
    #[must_use]
    pub fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script: VecDeque<Reply> = script.into_iter().collect();
        assert!(!script.is_empty(), "a script has at least one reply");
        Self::over(Shared { script, ..Shared::default() })
    }

    /// Starts a server whose answers are made by a closure, which may block: each request has its own thread.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn answering(answers: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::over(Shared { answers: Some(Arc::new(answers)), ..Shared::default() })
    }

    fn over(shared: Shared) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("the port").port();
        let shared = Arc::new(Mutex::new(shared));
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = for_thread.clone();
                // In many tests the client hangs up early.
                std::thread::spawn(move || drop(serve(connection, &shared)));
            }
        });
        Self { port, shared }
    }

    /// Returns `http://127.0.0.1:PORT` followed by `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the greatest number of requests that were in flight at the same time.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        lock(&self.shared).max_in_flight
    }

    /// Returns the number of bytes that were written to clients. Those of an endless reply are counted by its repetition.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        lock(&self.shared).sent
    }

    /// Returns the requests so far, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.shared).requests.clone()
    }
}

/// Returns a URL whose port refuses connections.
///
/// # Panics
/// If no port is free.
#[must_use]
pub fn refusing_url(path: &str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("the port").port();
    drop(listener);
    format!("http://127.0.0.1:{port}{path}")
}

impl Reply {
    /// Creates a complete answer with a content type and a body.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: &str) -> Self {
        Self::with_headers(status, &format!("content-type: {content_type}\r\n"), body)
    }

    /// Creates a complete answer with header lines, each terminated by CR LF.
    #[must_use]
    pub fn with_headers(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        Self::raw(&head)
    }

    /// Creates a JSON answer.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", &body.to_string())
    }

    /// Creates a stream of server-sent events that ends after the last one, whether or not they are a complete answer.
    #[must_use]
    pub fn events<'a>(events: impl IntoIterator<Item = &'a str>) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req-1\r\nconnection: close\r\n\r\n";
        events
            .into_iter()
            .fold(Self::raw(head), |reply, event| reply.then(Duration::ZERO, &format!("data: {event}\n\n")))
    }

    /// Creates a complete chat completion with usage, streamed in pieces of 24 characters.
    #[must_use]
    pub fn chat(text: &str, finish: &str) -> Self {
        let letters: Vec<char> = text.chars().collect();
        let mut events: Vec<String> = letters
            .chunks(24)
            .map(|piece| serde_json::json!({ "model": "served-1", "choices": [{ "delta": { "content": String::from_iter(piece) } }] }))
            .map(|event| event.to_string())
            .collect();
        events.push(serde_json::json!({ "choices": [{ "delta": {}, "finish_reason": finish }] }).to_string());
        events.push(serde_json::json!({ "choices": [], "usage": { "prompt_tokens": 1000, "completion_tokens": 200 } }).to_string());
        events.push("[DONE]".to_owned());
        Self::events(events.iter().map(String::as_str))
    }

    /// Creates an answer of these bytes, without a head.
    #[must_use]
    pub fn raw(bytes: &str) -> Self {
        Self { pieces: vec![(Duration::ZERO, bytes.as_bytes().to_vec())], ..Self::default() }
    }

    /// Replaces the status 200 in the head by another one.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        if let Some((_, head)) = self.pieces.first_mut() {
            let text =
                String::from_utf8_lossy(head).replacen("HTTP/1.1 200", &format!("HTTP/1.1 {status}"), 1);
            *head = text.into_bytes();
        }
        self
    }

    /// Adds bytes that are sent after a delay.
    #[must_use]
    pub fn then(mut self, after: Duration, bytes: &str) -> Self {
        self.pieces.push((after, bytes.as_bytes().to_vec()));
        self
    }

    /// Adds the bytes of another reply.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        Self { stays_open: other.stays_open, endless: other.endless, ..self }
    }

    /// Repeats these bytes after the last piece until the client hangs up.
    #[must_use]
    pub fn and_endlessly(mut self, bytes: &str) -> Self {
        // Few large writes: a test is not to wait for system calls.
        self.endless = bytes.repeat((16_384 / bytes.len().max(1)).max(1)).into_bytes();
        self
    }

    /// Keeps the connection open after the last byte, until the client hangs up.
    #[must_use]
    pub fn and_stall(mut self) -> Self {
        self.stays_open = true;
        self
    }
}

fn serve(connection: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let received = read_request(&mut reader)?;
    let (scripted, answers) = {
        let mut shared = lock(shared);
        shared.requests.push(received.clone());
        shared.in_flight += 1;
        shared.max_in_flight = shared.max_in_flight.max(shared.in_flight);
        let scripted = match shared.script.len() {
            1 => shared.script[0].clone(),
            _ => shared.script.pop_front().unwrap_or_default(),
        };
        (scripted, shared.answers.clone())
    };
    // Without the lock: the closure may wait.
    let reply = answers.map_or(scripted, |answers| answers(&received));
    let mut connection = reader.into_inner();
    let mut pieces = reply.pieces.iter();
    let written = pieces.try_for_each(|(after, bytes)| {
        std::thread::sleep(*after);
        connection.write_all(bytes)?;
        lock(shared).sent += bytes.len() as u64;
        connection.flush()
    });
    while written.is_ok() && !reply.endless.is_empty() && connection.write_all(&reply.endless).is_ok() {
        lock(shared).sent += reply.endless.len() as u64;
    }
    lock(shared).in_flight -= 1;
    written?;
    if reply.stays_open {
        // This returns when the client hangs up.
        let _ = connection.read(&mut [0]);
    }
    connection.shutdown(Shutdown::Both)
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let length =
        lines.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let headers = lines.split_off(1.min(lines.len()));
    let line = lines.pop().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    Ok(Received { line, headers, body: serde_json::from_slice(&body).unwrap_or_default(), bytes: body })
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The examples of the README, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The examples of a guide, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/from-python.md")]
pub struct FromPython;

/// The examples of a guide, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/patterns.md")]
pub struct Patterns;

/// The examples of a guide, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/portfolio.md")]
pub struct Portfolio;

/// The examples of a guide, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/personas.md")]
pub struct Personas;

/// The examples of a guide, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/services.md")]
pub struct Services;

/// The examples of a guide, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/testing.md")]
pub struct Testing;

/// The examples of a guide, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/migration.md")]
pub struct Migration;

/// The examples of a guide, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/observability.md")]
pub struct Observability;
