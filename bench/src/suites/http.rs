use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use antiphon_http::{
    BreakerPolicy, CircuitBreaker, Client, ClientBuilder, Rate, RateLimiter, RateLimits, Request,
    RetryPolicy, sse,
};
use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures::{StreamExt, stream};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::two_threads;
use crate::harness::{Measured, Row, wall};
use crate::server::Process;

const POSTS: u64 = 20_000;
const AT_ONCE: usize = 64;
const ROUNDS: usize = 15;
const HELD: u64 = 8_000;
const STREAMS: u64 = 500;
const WORDS: u32 = 200;
const SPREAD: u64 = 10_000;
const AT_ONCE_SPREAD: u64 = 1_000;

pub(super) fn rows() -> Result<Vec<Measured>, String> {
    let row = |row, baseline, ops, target| Row { suite: "http", row, baseline, ops, target };
    let mut rows = Vec::new();
    let server = Process::start(0, 16, 100)?;
    let runtime = two_threads();
    let (bare, plain) = (reqwest_client(false), Client::builder().build());
    let guarded = guarded().build();
    let theirs = || cpu(&runtime, their_posts(&bare, &server.url));
    rows.push(row("20,000 posts, 64 at once, CPU", "bare reqwest", POSTS, 1.1).measure_rounds(
        ROUNDS,
        || cpu(&runtime, our_posts(&plain, &server.url)),
        theirs,
    ));
    rows.push(row("the same, retry + breaker + limiter, CPU", "bare reqwest", POSTS, 1.15).measure_rounds(
        ROUNDS,
        || cpu(&runtime, our_posts(&guarded, &server.url)),
        theirs,
    ));
    let (before, ours) = (server.cpu()?, our_posts(&plain, &server.url));
    runtime.block_on(ours);
    let each = (server.cpu()? - before) / POSTS as u32;
    rows.push(row("the simulator's CPU for a request", "25 µs", 1, 1.0).measure_rounds(
        1,
        || each,
        || Duration::from_micros(25),
    ));
    drop(server);
    rows.push(held(row("8,000 in flight, HTTP/1.1, peak memory", "bare reqwest", HELD, 1.1), "http1")?);
    rows.push(held(row("8,000 in flight, HTTP/2, peak memory", "bare reqwest", HELD, 1.1), "http2")?);
    let events = events();
    rows.push(
        row("SSE decoder, 1 KiB pieces", "eventsource-stream", 100_000, 0.3)
            .measure(|| our_events(&events), || their_events(&events)),
    );
    let streaming = Process::start(0, WORDS, 100)?;
    // On one thread: the hand-overs between two depend on the reader's speed, and cost more than reading.
    let alone = Builder::new_current_thread().enable_all().build().map_err(|err| err.to_string())?;
    let (bare_reader, reader) = (reqwest_client(false), Client::builder().build());
    rows.push(
        row("500 streams x 200 events, CPU", "reqwest bytes_stream", STREAMS * u64::from(WORDS), 1.05)
            .measure_rounds(
                ROUNDS,
                || cpu(&alone, our_streams(&reader, &streaming.url)),
                || cpu(&alone, their_streams(&bare_reader, &streaming.url)),
            ),
    );
    drop(streaming);
    let slow = Process::start(50, 16, 100)?;
    let http2 = Client::builder().http2_prior_knowledge().build();
    rows.push(row("10,000 of 50 ms, 1,000 at once, HTTP/2", "the ideal 0.5 s", SPREAD, 1.25).measure_rounds(
        3,
        || wall(|| runtime.block_on(spread(&http2, &slow.url))),
        || Duration::from_millis(500),
    ));
    Ok(rows)
}

/// Returns the CPU time that this process spends on `work`.
pub(crate) fn cpu(runtime: &Runtime, work: impl Future<Output = ()>) -> Duration {
    let now = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("less than a second"))
    };
    let before = now();
    runtime.block_on(work);
    now() - before
}

/// Creates a reqwest client without any middleware.
pub(crate) fn reqwest_client(http2: bool) -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls =
        tls.expect("versions").with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    let client = if http2 { client.http2_prior_knowledge() } else { client };
    client.build().expect("a client")
}

pub(crate) fn body(number: usize) -> Value {
    json!({ "model": "sim-1", "user": number, "messages": [{ "role": "user", "content": "Name a bakery." }] })
}

pub(crate) fn post(url: &str, number: usize) -> Request {
    Request::post(url).json(&body(number))
}

fn guarded() -> ClientBuilder {
    let limits = RateLimits::default().requests(Rate::per_second(10_000_000)).max_concurrency(10_000);
    Client::builder()
        .retry(RetryPolicy::default())
        .breaker(CircuitBreaker::new(BreakerPolicy::default()))
        .rate_limiter(RateLimiter::new(limits))
}

async fn our_posts(client: &Client, url: &str) {
    let answers = stream::iter(0..POSTS as usize).map(async |number| {
        let answer = client.send(post(url, number)).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("a body").len()
    });
    assert!(answers.buffer_unordered(AT_ONCE).fold(0, async |sum, len| sum + len).await > 0);
}

async fn their_posts(client: &reqwest::Client, url: &str) {
    let answers = stream::iter(0..POSTS as usize).map(async |number| {
        let answer = client.post(url).json(&body(number)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("a body").len()
    });
    assert!(answers.buffer_unordered(AT_ONCE).fold(0, async |sum, len| sum + len).await > 0);
}

/// Measures peak memory as if it were time: a nanosecond for each byte.
fn held(row: Row, version: &str) -> Result<Measured, String> {
    let server = Process::start(2_000, 16, 10_000)?;
    let program = std::env::current_exe().map_err(|err| format!("this program: {err}"))?;
    let peak = |who: &str, count: u64| -> Result<u64, String> {
        let output =
            Command::new(&program).args(["hold", who, version, &server.url, &count.to_string()]).output();
        let output = output.map_err(|err| format!("hold: {err}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let why = || format!("hold {who} {version}: {}", String::from_utf8_lossy(&output.stderr));
        said.trim().parse::<u64>().map_err(|_| why())
    };
    // The memory of a program with one request is subtracted.
    let (ours_alone, theirs_alone) = (peak("ours", 1)?, peak("reqwest", 1)?);
    let bytes = |who: &str, alone: u64| {
        let kib = peak(who, HELD).expect("it was measured once").saturating_sub(alone);
        Duration::from_nanos(kib * 1024)
    };
    peak("ours", HELD)?;
    Ok(row.measure_rounds(2, || bytes("ours", ours_alone), || bytes("reqwest", theirs_alone)))
}

/// Returns server-sent events as models send them, in pieces of 1 KiB.
fn events() -> Vec<Bytes> {
    let event = |number: usize| {
        format!(
            "data: {{\"id\":\"sim-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"word{number} \"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    let text: String = (0..100_000).map(event).collect();
    let text = Bytes::from(text);
    (0..text.len()).step_by(1024).map(|from| text.slice(from..text.len().min(from + 1024))).collect()
}

fn our_events(pieces: &[Bytes]) -> Duration {
    wall(|| {
        let (mut decoder, mut events, mut count) = (sse::SseDecoder::new(1 << 20), Vec::new(), 0);
        for piece in pieces {
            decoder.push(piece, &mut events).expect("small events");
            count += events.drain(..).map(|event| event.data.len()).sum::<usize>();
        }
        assert!(count > 0);
    })
}

fn their_events(pieces: &[Bytes]) -> Duration {
    wall(|| {
        futures::executor::block_on(async {
            let pieces = stream::iter(pieces.iter().cloned().map(Ok::<_, std::convert::Infallible>));
            let mut events = pieces.eventsource();
            let mut count = 0;
            while let Some(event) = events.next().await {
                count += event.expect("an event").data.len();
            }
            assert!(count > 0);
        });
    })
}

fn streaming(number: usize) -> Value {
    json!({ "model": "sim-1", "messages": [{ "role": "user", "content": number.to_string() }], "stream": true })
}

async fn our_streams(client: &Client, url: &str) {
    let streams = stream::iter(0..STREAMS as usize).map(async |number| {
        let request = Request::post(url).json(&streaming(number));
        let mut events = client.send(request).await.expect("an answer").events();
        let mut bytes = 0;
        while let Some(event) = events.next().await {
            bytes += event.expect("an event").data.len();
        }
        bytes
    });
    assert!(streams.buffer_unordered(AT_ONCE).fold(0, async |sum, len| sum + len).await > 0);
}

async fn their_streams(client: &reqwest::Client, url: &str) {
    let streams = stream::iter(0..STREAMS as usize).map(async |number| {
        let answer = client.post(url).json(&streaming(number)).send().await.expect("an answer");
        let mut pieces = answer.bytes_stream();
        let mut bytes = 0;
        while let Some(piece) = pieces.next().await {
            bytes += piece.expect("a piece").len();
        }
        bytes
    });
    assert!(streams.buffer_unordered(AT_ONCE).fold(0, async |sum, len| sum + len).await > 0);
}

/// Runs a thousand tasks on both threads, each with its share of the requests, sequentially.
async fn spread(client: &Client, url: &str) {
    let mut tasks = JoinSet::new();
    for task in 0..AT_ONCE_SPREAD {
        let (client, url) = (client.clone(), url.to_owned());
        tasks.spawn(async move {
            for number in 0..SPREAD / AT_ONCE_SPREAD {
                let number = usize::try_from(task * 1_000 + number).expect("a small number");
                let answer = client.send(post(&url, number)).await.expect("an answer");
                assert_eq!(answer.version(), "HTTP/2.0");
                assert!(!answer.bytes().await.expect("a body").is_empty());
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic");
    }
}
