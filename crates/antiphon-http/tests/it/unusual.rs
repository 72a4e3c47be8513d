use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use antiphon_http::{Client, ErrorKind, Request, RequestPhase};
use bytes::Bytes;
use futures_util::stream;
use tokio::io::AsyncWriteExt;

use crate::raw::{Raw, read_head, reset, stall};

const SHORT: Duration = Duration::from_millis(200);

fn client() -> Client {
    Client::builder()
        .connect_timeout(SHORT)
        .first_byte_timeout(SHORT)
        .idle_timeout(SHORT)
        .max_body(100_000)
        .build()
}

/// Sends one request, reads the whole response and returns its length or the kind of error.
async fn outcome(server: &Raw) -> Result<usize, ErrorKind> {
    let answer = client().send(Request::get(&server.url())).await;
    let whole = match answer {
        Ok(answer) => answer.bytes().await,
        Err(err) => Err(err),
    };
    whole.map(|body| body.len()).map_err(|err| {
        assert!(!format!("{err} {err:?}").contains("topsecret"));
        err.kind()
    })
}

#[tokio::test]
async fn a_reset_before_or_within_the_response_is_an_interruption() {
    let before = Raw::start(async |stream| reset(&stream)).await;
    assert_eq!(outcome(&before).await, Err(ErrorKind::Interrupted));
    let at_once = Raw::start(async |mut stream| {
        read_head(&mut stream).await;
        reset(&stream);
    });
    assert_eq!(outcome(&at_once.await).await, Err(ErrorKind::Interrupted));
    let within = Raw::start(async |mut stream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        reset(&stream);
    });
    assert_eq!(outcome(&within.await).await, Err(ErrorKind::Interrupted));
    let after = Raw::start(async |mut stream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        reset(&stream);
    });
    assert_eq!(outcome(&after.await).await, Ok(5));
}

#[tokio::test]
async fn a_timeout_names_its_phase() {
    let black_hole = Raw::start(async |_stream| stall().await).await;
    assert_eq!(outcome(&black_hole).await, Err(ErrorKind::Timeout { phase: RequestPhase::FirstByte }));
    let half_open = Raw::start(async |mut stream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        stall().await;
    });
    assert_eq!(outcome(&half_open.await).await, Err(ErrorKind::Timeout { phase: RequestPhase::NextByte }));
    // No host has an address reserved for documentation (RFC 5737); a machine without a network fails at once.
    let err = client().send(Request::get("http://192.0.2.1/")).await.unwrap_err();
    assert!(
        matches!(err.kind(), ErrorKind::Timeout { .. } | ErrorKind::Connect | ErrorKind::Interrupted),
        "{err}"
    );
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_fails_in_its_own_phase() {
    let black_hole = Raw::start(async |_stream| stall().await).await;
    let endless = stream::pending::<Result<Bytes, std::io::Error>>();
    let err = client().send(Request::post(&black_hole.url()).stream(endless)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Timeout { phase: RequestPhase::Send });
    let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
    let err = client().send(Request::post(&black_hole.url()).stream(broken)).await.unwrap_err();
    assert_eq!((err.kind(), err.phase()), (ErrorKind::InvalidRequest, RequestPhase::Send));
    let whole = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"x"))]);
    let err = client().send(Request::post(&black_hole.url()).stream(whole)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Timeout { phase: RequestPhase::FirstByte });
}

#[tokio::test]
async fn a_head_that_trickles_times_out() {
    let slow = Raw::start(async |mut stream| {
        read_head(&mut stream).await;
        for byte in b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(outcome(&slow.await).await, Err(ErrorKind::Timeout { phase: RequestPhase::FirstByte }));
}

#[tokio::test]
async fn a_body_that_trickles_is_read_until_the_deadline() {
    let slow = Raw::start(async |mut stream| {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let deadline = antiphon_http::Deadline::after(SHORT * 3);
    let answer = client().send(Request::get(&slow.url()).deadline(deadline)).await.unwrap();
    let begun = tokio::time::Instant::now();
    let err = answer.bytes().await.unwrap_err();
    assert_eq!((err.kind(), err.phase()), (ErrorKind::DeadlineExceeded, RequestPhase::NextByte));
    assert!(begun.elapsed() > SHORT, "pauses shorter than the idle timeout are not a timeout");
}

#[tokio::test]
async fn wrong_lengths_and_chunks_are_errors() {
    let long = Raw::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort").await;
    assert_eq!(outcome(&long).await, Err(ErrorKind::Interrupted));
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let bad_chunk = Raw::answering(format!("{head}zz\r\nwhat\r\n")).await;
    assert!(outcome(&bad_chunk).await.is_err());
    let no_end = Raw::answering(format!("{head}4\r\nhalf\r\n")).await;
    assert_eq!(outcome(&no_end).await, Err(ErrorKind::Interrupted));
    let nonsense = Raw::answering("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    assert_eq!(outcome(&nonsense).await, Err(ErrorKind::InvalidResponse));
    // Without a length the end of the connection is the end of the body.
    let early_close = Raw::answering("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it").await;
    assert_eq!(outcome(&early_close).await, Ok(9));
}

#[tokio::test]
async fn endless_headers_are_an_error() {
    let endless = Raw::start(async |mut stream| {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let line = format!("x-filler: {}\r\n", "y".repeat(1_000));
        while stream.write_all(line.as_bytes()).await.is_ok() {}
    });
    assert_eq!(outcome(&endless.await).await, Err(ErrorKind::InvalidResponse));
}

#[tokio::test]
async fn the_body_limit_counts_decompressed_bytes() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![0; 20_000_000]).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 100_000, "the compressed length is below the limit");
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    let bomb = Raw::answering([head.as_bytes(), &packed].concat()).await;
    assert_eq!(outcome(&bomb).await, Err(ErrorKind::TooLarge { limit: 100_000 }));
}

#[tokio::test]
async fn a_response_before_the_whole_request_was_read_is_returned() {
    let refusing = Raw::answering("HTTP/1.1 413 Content Too Large\r\ncontent-length: 5\r\n\r\nlarge").await;
    let request = Request::post(&refusing.url()).body(vec![b'x'; 200]);
    assert_eq!(client().send(request).await.unwrap().status(), 413);
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_size() {
    let many = "x-a: b\r\n".repeat(101);
    let long = format!("x-a: {}\r\n", "b".repeat(1 << 20));
    for headers in [many, long] {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n");
        let server = Raw::answering(head).await;
        assert_eq!(outcome(&server).await, Err(ErrorKind::InvalidResponse));
    }
}

#[tokio::test]
async fn headers_without_end_are_read_up_to_a_limit() {
    let sent = Arc::new(AtomicU64::new(0));
    for header in ["x-a: ", "x-a: b\r\n"] {
        let count = sent.clone();
        let server = Raw::start(move |mut stream| {
            let count = count.clone();
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
                let more = header.repeat(1_000);
                while stream.write_all(more.as_bytes()).await.is_ok() {
                    count.fetch_add(more.len() as u64, Ordering::Relaxed);
                }
            }
        });
        assert_eq!(outcome(&server.await).await, Err(ErrorKind::InvalidResponse), "{header:?}");
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 16 << 20, "{sent} bytes, with the buffers of two sockets");
}

#[tokio::test]
async fn a_response_has_its_own_limit_and_keeps_its_beginning() {
    let body = format!("HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n{}", "é".repeat(25_000));
    let server = Raw::answering(body).await;
    let get = async || client().get(&server.url()).await.unwrap();
    let err = get().await.limited_to(1_000).bytes().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TooLarge { limit: 1_000 });
    let (text, err) = get().await.limited_to(1_001).beginning().await.unwrap();
    assert_eq!(text, format!("{}\u{fffd}", "é".repeat(500)));
    assert_eq!(err.unwrap().kind(), ErrorKind::TooLarge { limit: 1_001 });
    let (text, err) = get().await.limited_to(50_000).beginning().await.unwrap();
    assert_eq!((text.len(), err.map(|err| err.kind())), (50_000, None));
}
