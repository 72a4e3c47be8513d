use std::time::Duration;

use antiphon_http::{Client, ErrorKind, Request, RequestPhase, SecretString};
use antiphon_tests::{Reply, Server, refusing_url};
use futures_util::StreamExt;

fn client() -> Client {
    let short = Duration::from_millis(300);
    Client::builder().first_byte_timeout(short).idle_timeout(short).max_body(1000).build()
}

async fn text(reply: Reply) -> Result<String, ErrorKind> {
    let server = Server::start([reply]);
    let sent = client().send(Request::get(&server.url("/x"))).await.map_err(|err| err.kind())?;
    sent.text().await.map_err(|err| err.kind())
}

#[tokio::test]
async fn each_failure_of_a_server_has_its_kind() {
    let stalls = Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").and_stall();
    let breaks = Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    let large = Reply::new(200, "text/plain", &"x".repeat(1001));
    assert_eq!(text(Reply::new(200, "text/plain", "whole")).await, Ok("whole".to_owned()));
    assert_eq!(
        text(Reply::raw("").and_stall()).await,
        Err(ErrorKind::Timeout { phase: RequestPhase::FirstByte })
    );
    assert_eq!(text(stalls).await, Err(ErrorKind::Timeout { phase: RequestPhase::NextByte }));
    assert_eq!(text(breaks).await, Err(ErrorKind::Interrupted));
    assert_eq!(text(large).await, Err(ErrorKind::TooLarge { limit: 1000 }));
    assert_eq!(text(Reply::raw("what is this?\r\n\r\n")).await, Err(ErrorKind::InvalidResponse));
}

#[tokio::test]
async fn a_refused_connection_names_the_host_and_no_secret() {
    let url = refusing_url("/path?key=topsecret");
    let request = Request::get(&url).bearer(&SecretString::from("topsecret"));
    assert!(!format!("{request:?}").contains("topsecret"));
    let err = client().send(request).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Connect);
    assert!(err.to_string().starts_with("GET 127.0.0.1:") && err.to_string().contains("refused"), "{err}");
    assert!(!format!("{err:?} {err}").contains("topsecret"));
}

#[tokio::test]
async fn a_server_without_tls_is_an_error() {
    let server = Server::start([Reply::new(200, "text/plain", "in the clear")]);
    let url = server.url("/x").replacen("http:", "https:", 1);
    // Whether the server answers in the clear or hangs up first depends on how it reads the TLS greeting.
    let kind = client().send(Request::get(&url)).await.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::Tls | ErrorKind::Connect), "{kind:?}");
}

#[tokio::test]
async fn a_body_can_be_read_in_pieces_with_the_http_version() {
    let server = Server::start([Reply::new(200, "text/plain", "whole")]);
    let mut sent = client().send(Request::get(&server.url("/x")).header("x-one", "1")).await.unwrap();
    assert_eq!((sent.version(), sent.header("content-type")), ("HTTP/1.1", Some("text/plain")));
    assert_eq!(sent.chunk().await.unwrap().as_deref(), Some(b"whole".as_slice()));
    assert_eq!(sent.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Server::start([Reply::with_headers(302, "location: /elsewhere\r\n", "")]);
    let sent = client().send(Request::get(&server.url("/x"))).await.unwrap();
    assert_eq!((sent.status(), server.requests().len()), (302, 1));
}

#[tokio::test]
async fn events_are_decoded_and_a_broken_stream_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let reply = Reply::raw(head)
        .then(Duration::ZERO, "8\r\ndata: on\r\n")
        .then(Duration::ZERO, "b\r\ne\n\ndata: tw\r\n");
    let server = Server::start([reply]);
    let sent = client().send(Request::get(&server.url("/x"))).await.unwrap();
    let events: Vec<_> = sent.events().collect().await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].as_ref().unwrap().data, "one");
    assert_eq!(events[1].as_ref().unwrap_err().kind(), ErrorKind::Interrupted);
}

#[tokio::test]
async fn bad_addresses_and_headers_are_refused_before_anything_is_sent() {
    for request in [
        Request::get("nonsense"),
        Request::get("file:///etc/passwd"),
        Request::get("http://h/").header("a", "b\nc"),
    ] {
        assert_eq!(client().send(request).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    }
}
