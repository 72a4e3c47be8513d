use std::time::Duration;

use antiphon_http::{Client, Deadline, ErrorKind, Request, RequestPhase};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use wiremock::matchers::{body_json, body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[tokio::test]
async fn each_method_has_a_shorthand() {
    let server = MockServer::start().await;
    for (name, status) in [("GET", 200), ("POST", 201), ("PUT", 202), ("DELETE", 203)] {
        let answer = ResponseTemplate::new(status).set_body_json(json!({"method": name}));
        Mock::given(method(name)).and(path("/it")).respond_with(answer).mount(&server).await;
    }
    let (client, url) = (Client::default(), format!("{}/it", server.uri()));
    let sent = json!({"a": 1});
    let answers = [
        client.get(&url).await,
        client.post(&url, &sent).await,
        client.put(&url, &sent).await,
        client.delete(&url).await,
    ];
    for (answer, expected) in answers.into_iter().zip(["GET", "POST", "PUT", "DELETE"]) {
        let answer = answer.unwrap();
        assert_eq!(answer.attempts(), 1);
        assert_eq!(answer.json::<Value>().await.unwrap(), json!({"method": expected}));
    }
}

#[tokio::test]
async fn the_method_headers_and_body_that_were_set_are_sent() {
    let server = MockServer::start().await;
    Mock::given(method("PATCH"))
        .and(header("idempotency-key", "job-7"))
        .and(header("x-request-id", "mine"))
        .and(header("user-agent", "test/1"))
        .and(body_json(json!([1, 2])))
        .respond_with(ResponseTemplate::new(204).insert_header("x-request-id", "theirs"))
        .expect(1)
        .mount(&server)
        .await;
    let client = Client::builder().user_agent("test/1").build();
    let request =
        Request::new("PATCH", &server.uri()).idempotency_key("job-7").request_id("mine").json(&[1, 2]);
    let answer = client.send(request).await.unwrap();
    assert_eq!((answer.status(), answer.request_id()), (204, Some("theirs")));
    assert_eq!(answer.bytes().await.unwrap(), Bytes::new());
}

#[tokio::test]
async fn a_body_can_be_streamed() {
    let server = MockServer::start().await;
    Mock::given(body_string("one two"))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    let pieces = ["one ", "two"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
    let request = Request::post(&server.uri()).stream(stream::iter(pieces));
    assert_eq!(Client::default().send(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn every_method_returns_any_status_and_error_for_status_checks_it() {
    let server = MockServer::start().await;
    let answer =
        ResponseTemplate::new(404).insert_header("request-id", "r-9").insert_header("retry-after", "7");
    Mock::given(path("/none")).respond_with(answer.set_body_string("no such thing")).mount(&server).await;
    let (client, url) = (Client::default(), format!("{}/none?key=topsecret", server.uri()));
    for answer in [
        client.get(&url).await,
        client.post(&url, "x").await,
        client.put(&url, "x").await,
        client.delete(&url).await,
        client.send(Request::get(&url)).await,
    ] {
        let answer = answer.unwrap();
        let err = answer.error_for_status_ref().unwrap_err();
        assert_eq!((err.kind(), err.status()), (ErrorKind::Status { status: 404 }, Some(404)));
        assert_eq!((err.phase(), err.index()), (RequestPhase::FirstByte, None), "the body was not read");
        assert_eq!((err.attempts(), err.request_id()), (1, Some("r-9")));
        assert_eq!(err.retry_after(), Some(Duration::from_secs(7)));
        assert!(err.host().starts_with("127.0.0.1:"));
        assert!(err.to_string().ends_with(": status 404 (Not Found) (request r-9)"), "{err}");
        assert_eq!(answer.text().await.unwrap(), "no such thing", "the body can be read after the check");
    }
    let err = client.get(&url).await.unwrap().error_for_status().unwrap_err();
    assert_eq!((err.kind(), err.method()), (ErrorKind::Status { status: 404 }, "GET"));
}

#[tokio::test]
async fn error_for_status_returns_successes_and_refuses_redirects() {
    let server = MockServer::start().await;
    for status in [200, 204, 299, 302, 399, 500] {
        let answer = ResponseTemplate::new(status);
        Mock::given(path(format!("/{status}"))).respond_with(answer).mount(&server).await;
    }
    for (status, is_success) in
        [(200, true), (204, true), (299, true), (302, false), (399, false), (500, false)]
    {
        let answer = Client::default().get(&format!("{}/{status}", server.uri())).await.unwrap();
        assert_eq!(answer.error_for_status_ref().is_ok(), is_success, "{status}");
        let checked = answer.error_for_status().map(|answer| answer.status()).map_err(|err| err.kind());
        let expected = if is_success { Ok(status) } else { Err(ErrorKind::Status { status }) };
        assert_eq!(checked, expected);
    }
}

#[tokio::test]
async fn an_error_has_the_status_of_the_response_whose_body_failed() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(203).insert_header("request-id", "r-9").set_body_string("{}");
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let err = Client::default().get(&server.uri()).await.unwrap().json::<Vec<u8>>().await.unwrap_err();
    assert_eq!(
        (err.kind(), err.status(), err.request_id()),
        (ErrorKind::InvalidJson, Some(203), Some("r-9"))
    );
    let small = Client::builder().max_body(1).build();
    let err = small.get(&server.uri()).await.unwrap().bytes().await.unwrap_err();
    assert_eq!((err.kind(), err.status()), (ErrorKind::TooLarge { limit: 1 }, Some(203)));
    assert_eq!(Client::default().get("nonsense").await.unwrap_err().status(), None);
}

#[tokio::test]
async fn redirects_are_off_by_default_and_drop_keys_for_another_host() {
    let (from, to) = (MockServer::start().await, MockServer::start().await);
    let moved = |to: &str| ResponseTemplate::new(302).insert_header("location", to);
    Mock::given(path("/near")).respond_with(moved("/far")).mount(&from).await;
    Mock::given(path("/far")).respond_with(moved(&to.uri())).mount(&from).await;
    Mock::given(path("/round")).respond_with(moved("/round")).mount(&from).await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200)).mount(&to).await;
    let client = Client::builder().max_redirects(5).build();
    let get = |path: &str| Request::get(&format!("{}{path}", from.uri())).header("x-api-key", "k");
    assert_eq!(client.send(get("/near")).await.unwrap().status(), 200);
    let [far, there] = [from.received_requests().await.unwrap(), to.received_requests().await.unwrap()];
    assert!(far[1].headers.contains_key("x-api-key"), "the same host receives the key");
    assert!(!there[0].headers.contains_key("x-api-key"));
    assert_eq!(client.send(get("/round")).await.unwrap().status(), 302, "the sixth redirect is the response");
    let post = client.send(Request::post(&format!("{}/near", from.uri()))).await.unwrap();
    assert_eq!((post.status(), Client::default().send(get("/near")).await.unwrap().status()), (302, 302));
}

#[tokio::test]
async fn invalid_json_and_bodies_that_are_too_large_are_errors() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string("<html>"))
        .mount(&server)
        .await;
    let err = Client::default().get(&server.uri()).await.unwrap().json::<Value>().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidJson);
    let small = Client::builder().max_body(5).build();
    let err = small.get(&server.uri()).await.unwrap().bytes().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TooLarge { limit: 5 });
}

#[tokio::test]
async fn a_deadline_covers_everything() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(30));
    Mock::given(method("GET")).respond_with(slow).mount(&server).await;
    let within =
        |millis| Request::get(&server.uri()).deadline(Deadline::after(Duration::from_millis(millis)));
    let err = Client::default().send(within(500)).await.unwrap_err();
    assert_eq!((err.kind(), err.phase()), (ErrorKind::DeadlineExceeded, RequestPhase::FirstByte));
    assert!(err.to_string().ends_with("the deadline passed before the answer began"), "{err}");
    let one = Client::builder().max_connections(1).build();
    // The first request holds the connection for longer than the second one waits.
    let (_, second) = tokio::join!(one.send(within(2_000)), one.send(within(50)));
    let err = second.unwrap_err();
    assert_eq!((err.kind(), err.phase()), (ErrorKind::DeadlineExceeded, RequestPhase::Queue));
    let client = Client::builder().timeout(Duration::from_millis(50)).build();
    assert_eq!(client.get(&server.uri()).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}

#[tokio::test]
async fn a_custom_client_is_used() {
    let server = MockServer::start().await;
    Mock::given(header("user-agent", "theirs"))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let theirs =
        reqwest::Client::builder().tls_backend_preconfigured(tls).user_agent("theirs").build().unwrap();
    assert_eq!(Client::from_reqwest(theirs).get(&server.uri()).await.unwrap().status(), 200);
}
