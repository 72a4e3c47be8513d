//! The comparisons with other libraries.

mod content;
mod engine;
mod faults;
mod fs;
mod http;
mod job;
mod llm;
mod resilience;
mod runtime;
mod stream;

use std::path::Path;

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::harness::Measured;

pub(crate) use http::{body, post, reqwest_client};
pub(crate) use job::{look, script};

pub(crate) fn run(name: &str, json: Option<&Path>) -> Result<(), String> {
    if name == "job" {
        return job::run(json);
    }
    let mut rows = Vec::new();
    let known = ["runtime", "stream", "fs", "http", "resilience", "llm", "engine", "faults", "content"];
    if name != "all" && !known.contains(&name) {
        return Err(format!("unknown suite `{name}`. Choose from {}, job and all", known.join(", ")));
    }
    println!(
        "suite    row                                                ours   baseline     ratio [quartiles]    target"
    );
    for suite in known.into_iter().filter(|suite| name == "all" || name == *suite) {
        rows.extend(match suite {
            "runtime" => runtime::rows(),
            "stream" => stream::rows(),
            "http" => http::rows()?,
            "resilience" => resilience::rows(),
            "llm" => llm::rows()?,
            "engine" => engine::rows()?,
            "faults" => faults::rows(),
            "content" => content::rows()?,
            _ => fs::rows()?,
        });
    }
    let met = rows.iter().filter(|row| row.met() == Some(true)).count();
    println!("{met} of {} targets met", rows.len());
    let Some(path) = json else { return Ok(()) };
    let rows: Vec<Value> = rows.iter().map(Measured::json).collect();
    let text = serde_json::to_string_pretty(&rows).map_err(|err| err.to_string())?;
    std::fs::write(path, text).map_err(|err| format!("could not write {}: {err}", path.display()))
}

/// Creates a runtime with two threads, since the targets are for two cores.
pub(crate) fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
