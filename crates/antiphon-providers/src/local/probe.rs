use std::time::Duration;

use antiphon_http::{Client, Request};
use futures_util::future::join_all;
use serde_json::Value;

use super::Engine;

const PATIENCE: Duration = Duration::from_millis(500);

/// The engines that answer as themselves.
pub(super) async fn answering(engines: Vec<Engine>) -> Vec<Engine> {
    let client = Client::builder()
        .connect_timeout(PATIENCE)
        .first_byte_timeout(PATIENCE)
        .idle_timeout(PATIENCE)
        .max_body(4 << 20)
        .build();
    let asked = join_all(engines.into_iter().map(|engine| {
        let client = client.clone();
        async move {
            let is_there = tokio::time::timeout(PATIENCE, identifies(&client, &engine)).await;
            (is_there == Ok(Some(true))).then_some(engine)
        }
    }));
    asked.await.into_iter().flatten().collect()
}

/// Another program may listen on the port, so an engine counts only when it answers as that engine does.
async fn identifies(client: &Client, engine: &Engine) -> Option<bool> {
    let probe = engine.server()?.probe?;
    let response = client.send(Request::get(&format!("{}{}", engine.root, probe.path))).await.ok()?;
    if response.status() != 200 {
        return None;
    }
    let body: Value = serde_json::from_str(&response.text().await.ok()?).ok()?;
    Some((probe.identifies)(&body))
}
