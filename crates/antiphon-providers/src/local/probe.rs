//! The probes of local engines, all at the same time.

use std::time::Duration;

use antiphon_http::{Client, Request};
use futures_util::future::join_all;
use serde_json::Value;

use super::EngineAddress;

/// The time limit of a probe: far more than an engine on this machine needs, and short enough for a command
/// line that waits for it.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// Returns the engines that answer and identify themselves.
pub(super) async fn responding(engines: Vec<EngineAddress>) -> Vec<EngineAddress> {
    let client = Client::builder()
        .connect_timeout(PROBE_TIMEOUT)
        .first_byte_timeout(PROBE_TIMEOUT)
        .idle_timeout(PROBE_TIMEOUT)
        .max_body(4 << 20)
        .build();
    let asked = join_all(engines.into_iter().map(|engine| {
        let client = client.clone();
        async move {
            let is_there = tokio::time::timeout(PROBE_TIMEOUT, identifies(&client, &engine)).await;
            (is_there == Ok(Some(true))).then_some(engine)
        }
    }));
    asked.await.into_iter().flatten().collect()
}

/// Returns whether the answer is this engine's, since another program may listen on the port; `None` without a usable answer.
async fn identifies(client: &Client, engine: &EngineAddress) -> Option<bool> {
    let probe = engine.server()?.probe?;
    let response = client.send(Request::get(&format!("{}{}", engine.root, probe.path))).await.ok()?;
    if response.status() != 200 {
        return None;
    }
    let body: Value = serde_json::from_str(&response.text().await.ok()?).ok()?;
    Some((probe.identifies)(&body))
}
