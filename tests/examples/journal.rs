//! Generates a persona over a journal: `journal URL MODEL JOURNAL DOCUMENTS`. Prints a summary as a line of JSON.
#![expect(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use antiphon::store::Store;
use antiphon_llm::SamplingParams;
use antiphon_pipeline::{Detail, GenerationConfig, Pipeline};
use antiphon_providers::Compatible;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, model, journal, documents] = &args[..] else {
        println!("usage: journal URL MODEL JOURNAL DOCUMENTS");
        return ExitCode::from(2);
    };
    match run(url, model, journal, documents).await {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(err) => {
            println!("{err}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str, model: &str, journal: &str, documents: &str) -> Result<String, Box<dyn Error>> {
    let store = Store::open(journal).await?;
    let pipeline = Pipeline::new(Arc::new(Compatible::new(url)?)).store(store.clone());
    let parameters = SamplingParams::default().max_tokens(1_500).temperature(0.5).seed(1);
    let config =
        GenerationConfig::new(documents, model).count(1).detail(Detail::Brief).parameters(parameters);
    let made = pipeline.generate(&config).await?;
    drop(pipeline);
    store.close().await;
    let names: Vec<&str> = made.personas.iter().map(|persona| persona.name.as_str()).collect();
    let report = &made.report;
    let line = json!({
        "run_id": report.run_id, "personas": names, "calls": report.calls, "may_cost_more": report.may_cost_more,
    });
    Ok(line.to_string())
}
