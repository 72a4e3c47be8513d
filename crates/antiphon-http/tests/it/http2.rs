use std::time::Duration;

use antiphon_http::{Client, Request};
use antiphon_sim::{Latency, Scenario, Server};
use futures_util::future::join_all;
use serde_json::json;

async fn server(max_streams: u32) -> (Server, String) {
    let latency = Latency::Fixed(Duration::from_millis(100));
    let server =
        Server::start(Scenario::default().latency(latency).max_streams(max_streams), 0).await.unwrap();
    let url = format!("{}/v1/chat/completions", server.url());
    (server, url)
}

fn prompt(number: u32) -> serde_json::Value {
    json!({ "model": "sim-1", "messages": [{ "role": "user", "content": number.to_string() }] })
}

#[tokio::test]
async fn http2_requests_are_spread_over_connections() {
    let (server, url) = server(10).await;
    let client = Client::builder().http2_prior_knowledge().max_streams_per_connection(10).build();
    let ask = async |number: u32| {
        let response = client.send(Request::post(&url).json(&prompt(number))).await.unwrap();
        assert_eq!((response.status(), response.version()), (200, "HTTP/2.0"));
        response.bytes().await.unwrap();
    };
    join_all((0..40).map(ask)).await;
    let stats = server.stats();
    assert_eq!((stats.http2, stats.connections, stats.most_in_flight), (40, 4, 40));
    assert!(server.verdict().clean);
}

#[tokio::test]
async fn http1_keeps_to_the_connection_limit_and_reuses_connections() {
    let (server, url) = server(10).await;
    let client = Client::builder().max_connections(5).build();
    let ask = async |number: u32| {
        let response = client.send(Request::post(&url).json(&prompt(number))).await.unwrap();
        assert_eq!(response.version(), "HTTP/1.1");
        response.bytes().await.unwrap();
    };
    join_all((0..15).map(ask)).await;
    let stats = server.stats();
    assert_eq!((stats.http2, stats.connections, stats.most_in_flight), (0, 5, 5));
}
