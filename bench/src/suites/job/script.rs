use std::fs::File;
use std::io::{BufWriter, Write};

use backon::{ExponentialBuilder, Retryable};
use eventsource_stream::Eventsource;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::suites::reqwest_client;

type Answer = Result<String, Box<dyn std::error::Error + Send + Sync>>;

/// Does the job as most users would write it: `reqwest`, `buffer_unordered`, and a few retries of any failure with exponential
/// backoff and jitter.
pub(crate) fn run(how: &str, arguments: &[&str]) -> Result<(), String> {
    let [base_url, rows, out, concurrency, _] = *arguments else {
        return Err("expected five arguments".to_owned());
    };
    let concurrency: usize = concurrency.parse().map_err(|_| format!("{concurrency} is not a number"))?;
    let rows = std::fs::read_to_string(rows).map_err(|err| format!("the rows: {err}"))?;
    let out = File::create(out).map_err(|err| format!("the results: {err}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|err| err.to_string())?;
    let url = format!("{base_url}/chat/completions");
    runtime.block_on(all(how == "streaming", &url, &rows, BufWriter::new(out), concurrency))
}

async fn all(
    streams: bool,
    url: &str,
    rows: &str,
    mut out: BufWriter<File>,
    concurrency: usize,
) -> Result<(), String> {
    let client = reqwest_client(false);
    let backoff = ExponentialBuilder::default().with_jitter().with_max_times(5);
    let answers = stream::iter(rows.lines()).map(|row| {
        let client = client.clone();
        async move {
            let row: Value = serde_json::from_str(row).expect("a row");
            let n = row["n"].clone();
            let body = json!({
                "model": "gpt-4o-mini",
                "messages": [{ "role": "user", "content": format!("Write some 500 words about bakery number {n}.") }],
                "stream": streams,
            });
            let call = || async {
                if streams { streamed(&client, url, &body).await } else { whole(&client, url, &body).await }
            };
            (n, call.retry(backoff).await)
        }
    });
    let mut answers = std::pin::pin!(answers.buffer_unordered(concurrency));
    while let Some((n, answer)) = answers.next().await {
        match answer {
            Ok(text) => {
                writeln!(out, "{}", json!({ "n": n, "text": text })).map_err(|err| err.to_string())?
            }
            Err(err) => eprintln!("row {n}: {err}"),
        }
    }
    out.flush().map_err(|err| err.to_string())
}

async fn whole(client: &reqwest::Client, url: &str, body: &Value) -> Answer {
    let answer = client.post(url).bearer_auth("k").json(body).send().await?.error_for_status()?;
    let answer: Value = answer.json().await?;
    Ok(answer["choices"][0]["message"]["content"].as_str().ok_or("no content")?.to_owned())
}

async fn streamed(client: &reqwest::Client, url: &str, body: &Value) -> Answer {
    let answer = client.post(url).bearer_auth("k").json(body).send().await?.error_for_status()?;
    let mut events = answer.bytes_stream().eventsource();
    let mut text = String::new();
    while let Some(event) = events.next().await {
        let event = event?;
        if event.data == "[DONE]" {
            break;
        }
        let chunk: Value = serde_json::from_str(&event.data)?;
        text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    Ok(text)
}
