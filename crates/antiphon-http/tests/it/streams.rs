use antiphon_http::{Client, ErrorKind, StreamEnd};
use antiphon_sim::{Faults, Scenario, Server};
use futures_util::StreamExt;

use crate::raw::Raw;

const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

async fn raw(body: &str) -> antiphon_http::Response {
    // Each character is a chunk, so that no chunk is a whole item.
    let chunks: String = body.chars().map(|c| format!("{:x}\r\n{c}\r\n", c.len_utf8())).collect();
    let server = Raw::answering(format!("{HEAD}{chunks}0\r\n\r\n")).await;
    Client::default().get(&server.url()).await.unwrap()
}

#[tokio::test]
async fn streams_end_complete_truncated_or_failed() {
    let mut events = raw("data: a\n\ndata: b\n\n").await.events();
    let data: Vec<_> = events.by_ref().map(|event| event.unwrap().data).collect().await;
    assert_eq!((data, events.end()), (vec!["a".to_owned(), "b".to_owned()], Some(StreamEnd::Complete)));

    let mut events = raw("data: a\n\ndata: b").await.events();
    assert_eq!(events.next().await.unwrap().unwrap().data, "a");
    assert_eq!(events.end(), None);
    assert_eq!(events.next().await.unwrap().unwrap_err().kind(), ErrorKind::Truncated);
    assert!(events.next().await.is_none());
    assert_eq!(events.end(), Some(StreamEnd::Truncated));

    let broken = Raw::answering(format!("{HEAD}2\r\n1\n\r\n")).await;
    let mut lines = Client::default().get(&broken.url()).await.unwrap().lines();
    assert_eq!(lines.next().await.unwrap().unwrap(), "1");
    assert_eq!(lines.next().await.unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(lines.end(), Some(StreamEnd::Truncated));

    let server = Raw::answering(format!("{HEAD}8\r\n12345678\r\n0\r\n\r\n")).await;
    let mut lines = Client::builder().max_body(4).build().get(&server.url()).await.unwrap().lines();
    assert_eq!(lines.next().await.unwrap().unwrap_err().kind(), ErrorKind::TooLarge { limit: 4 });
    assert_eq!(lines.end(), Some(StreamEnd::Failed));
}

#[tokio::test]
async fn lines_and_chunks_return_the_whole_body() {
    let mut lines = raw("{\"a\": 1}\r\n\n{\"b\": 2}").await.lines();
    let all: Vec<_> = lines.by_ref().map(Result::unwrap).collect().await;
    assert_eq!(
        (all, lines.end()),
        (vec!["{\"a\": 1}".to_owned(), "{\"b\": 2}".to_owned()], Some(StreamEnd::Complete))
    );
    let mut chunks = raw("h\u{e9}y").await.chunks();
    let all: Vec<u8> = chunks.by_ref().map(|chunk| chunk.unwrap().to_vec()).concat().await;
    assert_eq!((all.as_slice(), chunks.end()), ("h\u{e9}y".as_bytes(), Some(StreamEnd::Complete)));
}

#[tokio::test]
async fn a_cut_stream_is_distinguishable_from_a_complete_one() {
    let ask = async |faults: Faults| {
        let server = Server::start(Scenario::default().faults(faults), 0).await.unwrap();
        let client = Client::builder().idle_timeout(std::time::Duration::from_millis(100)).build();
        let url = format!("{}/v1/chat/completions", server.url());
        let mut events =
            client.post(&url, &serde_json::json!({"stream": true, "messages": [{}]})).await.unwrap().events();
        let mut last = Ok(String::new());
        while let Some(event) = events.next().await {
            last = event.map(|event| event.data).map_err(|err| err.kind());
        }
        (last, events.end().unwrap())
    };
    assert_eq!(ask(Faults::default()).await, (Ok("[DONE]".to_owned()), StreamEnd::Complete));
    let (last, end) = ask(Faults::default().half(1.0)).await;
    assert!(
        last.is_ok_and(|last| last != "[DONE]") && end == StreamEnd::Complete,
        "only the missing [DONE] shows that the stream was cut"
    );
    let (last, end) = ask(Faults::default().stall(1.0)).await;
    assert!(matches!(last, Err(ErrorKind::Timeout { .. })) && end == StreamEnd::Failed);
}

#[tokio::test]
async fn dropping_a_stream_closes_the_connection() {
    let scenario = Scenario::default().tokens_per_second(20.0).answer_tokens(1_000);
    let server = Server::start(scenario, 0).await.unwrap();
    let url = format!("{}/v1/chat/completions", server.url());
    let mut events = Client::default()
        .post(&url, &serde_json::json!({"stream": true, "messages": [{}]}))
        .await
        .unwrap()
        .events();
    events.next().await.unwrap().unwrap();
    drop(events);
    while server.stats().hung_up == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.stats().in_flight, 0);
}

#[tokio::test]
async fn complete_items_come_before_the_error() {
    let body = "data: a\n\ndata: b\n\ndata: too large for the limit\n\n";
    let server =
        Raw::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    let client = Client::builder().max_body(12).build();
    let mut events = client.get(&server.url()).await.unwrap().events();
    let all: Vec<_> =
        events.by_ref().map(|event| event.map(|event| event.data).map_err(|err| err.kind())).collect().await;
    assert_eq!(all, [Ok("a".to_owned()), Ok("b".to_owned()), Err(ErrorKind::TooLarge { limit: 12 })]);
    assert_eq!(events.end(), Some(StreamEnd::Failed));
}

#[tokio::test]
async fn a_cut_error_body_is_an_error_after_the_last_retry() {
    let server = Raw::answering("HTTP/1.1 500 Broken\r\ncontent-length: 100\r\n\r\nhalf").await;
    let policy = antiphon_http::RetryPolicy::never();
    let client = Client::builder().retry(policy).build();
    let answer = client.send(antiphon_http::Request::get(&server.url())).await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.bytes().await.unwrap_err().kind(), ErrorKind::Interrupted);
}
