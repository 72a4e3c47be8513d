//! Many requests in flight in a separate process, so that its peak memory is theirs.

use futures::future::join_all;

use crate::server::more_handles;
use crate::suites::{post, reqwest_client};

pub(crate) fn run(who: &str, version: &str, url: &str, count: &str) -> Result<(), String> {
    let count: usize = count.parse().map_err(|_| format!("{count} is not a number"))?;
    let http2 = version == "http2";
    more_handles();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|err| err.to_string())?;
    runtime.block_on(async {
        if who == "ours" {
            let mut client =
                antiphon_http::Client::builder().max_connections(count).max_streams_per_connection(10_000);
            if http2 {
                client = client.http2_prior_knowledge();
            }
            let client = client.build();
            let ask = |number| {
                let client = client.clone();
                async move {
                    let answer = client.send(post(url, number)).await.map_err(|err| err.to_string())?;
                    answer.bytes().await.map_err(|err| err.to_string())
                }
            };
            all_answered(join_all((0..count).map(ask)).await)
        } else {
            let client = reqwest_client(http2);
            let ask = |number: usize| {
                let client = client.clone();
                async move {
                    let answer = client.post(url).json(&crate::suites::body(number)).send().await;
                    answer.map_err(|err| err.to_string())?.bytes().await.map_err(|err| err.to_string())
                }
            };
            all_answered(join_all((0..count).map(ask)).await)
        }
    })?;
    println!("{}", status("VmHWM")?);
    Ok(())
}

fn all_answered<T>(answers: Vec<Result<T, String>>) -> Result<(), String> {
    answers.into_iter().try_for_each(|answer| answer.map(drop))
}

/// Returns the value of a line of /proc/self/status, in KiB.
fn status(name: &str) -> Result<u64, String> {
    let text = std::fs::read_to_string("/proc/self/status").map_err(|err| err.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).ok_or(format!("no {name}"))
}
