//! The server: a listener on the loopback interface, and a task for each connection.
//!
//! The tasks belong to the handle. A [`JoinSet`] has the task that accepts; that task has a [`JoinSet`] of the
//! connections. A dropped set aborts its tasks, so that dropping the handle closes the listener and every connection.
//! The streams of an HTTP/2 connection are tasks of hyper, which end when their connection is closed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::faults::Faults;
use crate::limit::Limit;
use crate::scenario::Scenario;
use crate::service::serve;
use crate::shared::Shared;
use crate::stats::Stats;
use crate::verdict::ClientVerdict;

/// A simulated vendor on `127.0.0.1`, which serves in a background task of the Tokio runtime. Dropping the handle stops
/// the server and closes every connection.
///
/// HTTP/1.1 with keep-alive and HTTP/2 with prior knowledge are served on one port, without TLS. The number of
/// connections is not limited. All methods can be called while clients are connected: a change applies to requests that
/// arrive later.
///
/// Latencies and limits use Tokio's clock. A test must not pause it (`start_paused`), since the sockets are real: a
/// paused clock jumps to the next timer while the test waits for bytes.
///
/// # Examples
/// ```
/// use antiphon_sim::{Faults, Limit, Scenario, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = Server::start(Scenario::default().models(["small", "large"]), 0).await?;
/// let base_url = format!("{}/v1", server.url()); // for clients of OpenAI's formats
/// assert!(base_url.ends_with("/v1"));
/// // The vendor begins to limit its clients, and later has an outage:
/// server.change_limits(Some(Limit::per_second(5.0, 5)), None);
/// server.change_faults(Faults::default().overloaded(1.0));
/// server.reset();
/// assert_eq!(server.stats().requests, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    /// The address, with the port that was selected.
    address: SocketAddr,
    shared: Arc<Shared>,
    /// The task that accepts connections. Aborted when the server is dropped.
    tasks: JoinSet<()>,
}

/// The pause after a failed `accept`, which fails while the process has no free file descriptor.
const ACCEPT_RETRY: Duration = Duration::from_millis(10);

impl Server {
    /// Starts a server on `port`; 0 selects a free port, which [`url`](Self::url) returns.
    ///
    /// Clients can connect as soon as the call returns. The server runs on the current runtime: a current-thread
    /// runtime serves only while something else on it waits.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, or in one without its I/O driver, by Tokio's own check. Latencies need the time driver.
    ///
    /// # Errors
    /// The operating system's error if the port cannot be bound, such as `AddrInUse`.
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing running.
    pub async fn start(scenario: Scenario, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let max_streams = scenario.max_streams;
        let shared = Arc::new(Shared::new(scenario));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared.clone(), max_streams));
        Ok(Self { address, shared, tasks })
    }

    /// Returns the base URL, such as `http://127.0.0.1:4010`. The paths below it are those of the vendors; many clients
    /// of OpenAI's formats expect the prefix `/v1` as a part of their base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the counts since the start or the last reset: a consistent snapshot.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Returns the verdict on the clients' retries since the start or the last reset.
    #[must_use]
    pub fn verdict(&self) -> ClientVerdict {
        self.shared.verdict()
    }

    /// Changes the rate limits of requests and of tokens, for tests of adaptive clients. `None` removes a limit.
    /// [`reset`](Self::reset) restores the limits of the scenario.
    ///
    /// The bucket of a limit that existed before keeps its level, up to the new burst. The bucket of a new limit is
    /// full.
    pub fn change_limits(&self, requests: Option<Limit>, tokens: Option<Limit>) {
        self.shared.change(requests, tokens);
    }

    /// Changes the faults of requests that arrive from now on. [`reset`](Self::reset) restores those of the scenario.
    pub fn change_faults(&self, faults: Faults) {
        self.shared.change_faults(faults);
    }

    /// Resets the statistics, the verdict and the random generator, restores the limits and faults of the scenario, and
    /// fills their token buckets. Requests in flight continue and are not counted.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Serves until the future is dropped, for a program that has nothing else to do. Other callers only keep the
    /// handle.
    ///
    /// # Cancel safety
    /// Dropping the future stops the server.
    pub async fn run(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Accepts connections until it is dropped, and drops the connections with itself.
async fn accept(listener: TcpListener, shared: Arc<Shared>, max_streams: u32) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    shared.connected();
                    connections.spawn(connection(stream, shared.clone(), max_streams));
                }
                Err(_) => sleep(ACCEPT_RETRY).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves the requests of one connection until the client closes it, or a fault resets it.
async fn connection(stream: TcpStream, shared: Arc<Shared>, max_streams: u32) {
    // Small writes are sent at once, without Nagle's delay.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(max_streams);
    let service = service_fn(move |request| serve(shared.clone(), request));
    // The connection's result adds nothing: each request has reported its own end.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::Server;
    use crate::{Faults, Limit, LimitSignal, Scenario};

    /// Sends a chat request over a new connection; returns the bytes until the connection ends, or those of half a
    /// second.
    async fn ask(server: &Server, body: &str) -> String {
        // The fields that every request of the format needs.
        let body = match body.strip_prefix('{') {
            Some("}") => r#"{"messages":[{}]}"#.to_owned(),
            Some(fields) => format!(r#"{{"messages":[{{}}],{fields}"#),
            None => body.to_owned(),
        };
        ask_at(server, "/v1/chat/completions", &body).await
    }

    /// Sends a request to a path, as [`ask`] does.
    async fn ask_at(server: &Server, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read: io::Result<usize> =
            timeout(Duration::from_millis(500), stream.read_to_end(&mut answer)).await.unwrap_or(Ok(0));
        // The bytes before a reset are still checked.
        drop(read);
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn server(scenario: Scenario) -> Server {
        Server::start(scenario, 0).await.unwrap()
    }

    #[tokio::test]
    async fn answers_are_whole_or_streamed() {
        let server = server(Scenario::default().answer_tokens(4)).await;
        let whole = ask(&server, r#"{"model":"a\"b"}"#).await;
        assert!(
            whole.contains(r#""content":"The quick brown fox ""#) && whole.contains(r#""model":"a\"b""#),
            "{whole}"
        );
        let pieces =
            ask(&server, r#"{"stream":true,"stream_options":{"include_usage":true},"max_tokens":2}"#).await;
        assert_eq!(pieces.matches("\"content\":").count(), 2, "{pieces}");
        assert!(
            pieces.contains(r#""finish_reason":"length""#) && pieces.contains(r#""completion_tokens":2"#),
            "{pieces}"
        );
        assert!(pieces.contains("data: [DONE]"), "{pieces}");
        let stats = server.stats();
        assert_eq!((stats.requests, stats.answered, stats.in_flight, stats.hung_up), (2, 2, 0, 0));
    }

    #[tokio::test]
    async fn events_of_responses_are_numbered_without_a_gap() {
        for faults in [Faults::default(), Faults::default().refusal(1.0)] {
            let server = server(Scenario::default().answer_tokens(3).faults(faults)).await;
            let events =
                ask_at(&server, "/v1/responses", r#"{"model":"m","input":"hi","stream":true}"#).await;
            let behind = events.split("\"sequence_number\":").skip(1);
            let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
            let numbers: Vec<usize> = behind.map(|text| digits(text).parse().unwrap()).collect();
            assert!(
                numbers.len() > 7 && numbers.iter().copied().eq(0..numbers.len()),
                "{numbers:?} {events}"
            );
        }
    }

    #[tokio::test]
    async fn each_fault_has_its_effect() {
        let faulty = async |faults: Faults, body: &str| {
            let server = server(Scenario::default().faults(faults)).await;
            (ask(&server, body).await, server.stats())
        };
        let stream = r#"{"stream":true}"#;
        let (answer, stats) = faulty(Faults::default().error(1.0), "{}").await;
        assert!(answer.starts_with("HTTP/1.1 500") && stats.errors == 1 && stats.hung_up == 0, "{answer}");
        let (answer, stats) = faulty(Faults::default().reset(1.0), "{}").await;
        assert_eq!((answer.as_str(), stats.resets), ("", 1));
        let (answer, stats) = faulty(Faults::default().half(1.0), stream).await;
        assert!(answer.ends_with("0\r\n\r\n") && !answer.contains("[DONE]") && stats.halves == 1, "{answer}");
        let (answer, stats) = faulty(Faults::default().stall(1.0), stream).await;
        assert!(answer.contains("quick") && !answer.contains("[DONE]") && stats.stalls == 1, "{answer}");
        let (answer, stats) = faulty(Faults::default().garbage(1.0), stream).await;
        assert!(answer.contains("[{\"del\n") && stats.garbage == 1, "{answer}");
    }

    #[tokio::test]
    async fn stats_can_be_read_and_reset_over_http() {
        let server = server(Scenario::default().answer_tokens(400).tokens_per_second(1_000.0)).await;
        ask(&server, r#"{"stream":true,"max_tokens":3}"#).await;
        ask(&server, "no JSON").await;
        let get = async |method: &str, path: &str| {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let request = format!("{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let stats = get("GET", "/_sim/stats").await;
        assert!(stats.contains(r#""requests":2,"answered":1"#) && stats.contains(r#""errors":1"#), "{stats}");
        assert!(get("GET", "/_sim/verdict").await.contains(r#""clean":true"#));
        assert!(get("GET", "/v1/models").await.contains("sim-1"));
        assert!(get("GET", "/v1/other").await.starts_with("HTTP/1.1 404"));
        get("POST", "/_sim/reset").await;
        assert_eq!((server.stats().requests, server.stats().connections), (0, 0));
        server.reset();
    }

    #[tokio::test]
    async fn a_request_larger_than_the_burst_can_never_succeed() {
        let server = server(Scenario::default().tokens(Limit::per_second(1.0, 10))).await;
        let answer = ask(&server, r#"{"max_tokens":1000}"#).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("context_length_exceeded"), "{answer}");
        ask(&server, r#"{"max_tokens":1000}"#).await;
        assert_eq!(server.verdict().hopeless, 1);
    }

    #[tokio::test]
    async fn limits_are_enforced_reported_and_judged() {
        let scenario = Scenario::default().requests(Limit::per_second(0.5, 1));
        let server = server(scenario.clone()).await;
        let answer = ask(&server, "{}").await;
        assert!(
            answer.contains("x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 2s"),
            "{answer}"
        );
        let refusal = ask(&server, r#"{"model":"x"}"#).await;
        assert!(refusal.starts_with("HTTP/1.1 429") && refusal.contains("retry-after: "), "{refusal}");
        assert!(server.verdict().clean);
        ask(&server, r#"{"model":"x"}"#).await;
        ask(&server, "{}").await;
        let verdict = server.verdict();
        assert_eq!((verdict.clean, verdict.too_early, verdict.repeated), (false, 1, 1));
        let silent = Server::start(scenario.limit_signal(LimitSignal::None), 0).await.unwrap();
        ask(&silent, "{}").await;
        assert!(!ask(&silent, "{}").await.contains("retry-after"));
    }
}
