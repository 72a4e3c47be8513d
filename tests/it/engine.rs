//! The bulk engine before the simulator.

use std::fs;
use std::path::Path;
use std::time::Duration;

use antiphon::engine::{Input, Mapped, Mapping, Recipe};
use antiphon::fs::temp_dir;
use antiphon::llm::{Calls, Gates, Stack};
use antiphon::providers::{OpenAi, SecretString};
use antiphon::runtime::Priority;
use antiphon::store::Store;
use antiphon_sim::{Limit, Scenario, Server};

fn calls(server: &Server) -> Calls {
    let provider = OpenAi::new(SecretString::from("k")).base_url(&format!("{}/v1", server.url())).unwrap();
    Stack::new(provider).gates(Gates::default()).calls()
}

fn mapping(folder: &Path, rows: u32) -> Mapping {
    let path = folder.join(format!("{rows}.jsonl"));
    let text: String = (0..rows).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    fs::write(&path, text).unwrap();
    let recipe = Recipe::parse("r.toml", "prompt = \"Name a bakery. {{ n }}\"").unwrap();
    Mapping::new(Input::Path(path, None), recipe, "sim-1")
}

async fn run(mapping: Mapping, calls: Calls, out: &Path) -> Mapped {
    let store = Store::open(out.join("antiphon.db")).await.unwrap();
    mapping.run(calls, store, out).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_more_urgent_of_two_runs_goes_first_where_a_limit_makes_calls_wait() {
    let server = Server::start(Scenario::default().requests(Limit::per_second(200.0, 5)), 0).await.unwrap();
    let folder = temp_dir().unwrap();
    let (calls, out) = (calls(&server), folder.path().join("out"));
    let (ordinary, mut urgent) = (mapping(folder.path(), 600), mapping(folder.path(), 200));
    urgent.options.limits.priority = Some(Priority::High);
    let ordinary = tokio::spawn({
        let (calls, out) = (calls.clone(), out.clone());
        async move { run(ordinary, calls, &out).await }
    });
    while server.stats().answered < 10 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = server.stats().answered;
    assert_eq!(run(urgent, calls, &out).await.report.accepted, 200);
    // In a fair line each would have had its half.
    let ordinary_meanwhile = server.stats().answered.saturating_sub(before + 200);
    assert!(ordinary_meanwhile < 100, "{ordinary_meanwhile} ordinary calls went before urgent ones");
    assert_eq!(ordinary.await.unwrap().report.accepted, 600);
}
