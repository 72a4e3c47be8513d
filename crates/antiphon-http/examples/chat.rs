//! Sends a prompt to a server with OpenAI's chat format, and sends it again if the streamed answer was cut off.
//!
//! `cargo run -p antiphon-http --example chat http://localhost:8080/v1 MODEL`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::time::Duration;

use antiphon_http::{Client, Error, Request, RetryPolicy};
use futures_util::StreamExt;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(base), Some(model)) = (args.next(), args.next()) else {
        return Err("missing arguments: give a base URL and a model".into());
    };
    // The client retries when the server is overloaded or fails.
    let timeout = Duration::from_secs(5);
    let client = Client::builder().retry(RetryPolicy::default()).idle_timeout(timeout).build();
    let url = format!("{base}/chat/completions");
    let body =
        json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": "Say hello." }] });
    for attempt in 0..3 {
        // The server may still be generating the answer that was cut off.
        tokio::time::sleep(Duration::from_millis(500) * attempt).await;
        match answer(&client, Request::post(&url).json(&body)).await {
            Ok(Some(text)) => {
                println!("{text}");
                return Ok(());
            }
            Ok(None) => eprintln!("the answer was cut off"),
            Err(err) => eprintln!("{err}"),
        }
    }
    Err("no complete answer in three attempts".into())
}

/// Returns the answer's text if it is complete, which means that the stream ended with `[DONE]`.
async fn answer(client: &Client, request: Request) -> Result<Option<String>, Error> {
    let mut events = client.send(request).await?.error_for_status()?.events();
    let mut text = String::new();
    while let Some(event) = events.next().await {
        let data = event?.data;
        if data == "[DONE]" {
            return Ok(Some(text));
        }
        let Ok(chunk) = serde_json::from_str::<Value>(&data) else { return Ok(None) };
        text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    Ok(None)
}
