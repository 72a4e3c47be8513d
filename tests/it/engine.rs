//! The bulk engine against the simulator.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon::engine::{Input, Mapped, Mapping, Recipe};
use antiphon::fs::temp_dir;
use antiphon::llm::{Calls, LimiterRegistry, Price, Stack};
use antiphon::providers::{OpenAi, SecretString};
use antiphon::resilience::RetryPolicy;
use antiphon::runtime::Priority;
use antiphon::store::Store;
use antiphon_sim::{Faults, Limit, Scenario, Server};
use tokio::task::JoinSet;

fn calls(server: &Server) -> Calls {
    let provider = OpenAi::new(SecretString::from("k")).base_url(&format!("{}/v1", server.url())).unwrap();
    Stack::new(provider).limiters(LimiterRegistry::default()).calls()
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
async fn calls_of_a_run_with_high_priority_go_first_at_a_rate_limit() {
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
    // In a fair queue each run would have had half of the limit.
    let ordinary_meanwhile = server.stats().answered.saturating_sub(before + 200);
    assert!(ordinary_meanwhile < 100, "{ordinary_meanwhile} ordinary calls went before urgent ones");
    assert_eq!(ordinary.await.unwrap().report.accepted, 600);
}

/// Runs rows under a cost limit at a server with faults. Returns the server's bill as a part of the limit, and the reported
/// amounts: spent and possibly billed, in millionths of a US dollar.
async fn spend(cap: u64, faults: Faults, seed: u64) -> (f64, u64, u64) {
    let scenario = Scenario::default().faults(faults).answer_tokens(16 + (seed % 5) as u32 * 8).seed(seed);
    let server = Server::start(scenario, 0).await.unwrap();
    let provider = OpenAi::new(SecretString::from("k")).base_url(&format!("{}/v1", server.url())).unwrap();
    let provider = provider.token_timeout(Duration::from_millis(250));
    let calls = Stack::new(provider).limiters(LimiterRegistry::default()).calls();
    let folder = temp_dir().unwrap();
    let recipe =
        Recipe::parse("r.toml", "prompt = \"Name a bakery. {{ n }}\"\n[parameters]\nmax_tokens = 96")
            .unwrap();
    let path = folder.path().join("rows.jsonl");
    fs::write(&path, (0..1_500).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>()).unwrap();
    let mut mapping = Mapping::new(Input::Path(path, None), recipe, "sim-1");
    mapping.options.pricing = Arc::new(|_| Some(price()));
    mapping.options.limits.max_cost = Some(cap);
    mapping.options.limits.max_concurrency = Some(16);
    mapping.options.limits.attempts = Some(9);
    mapping.options.retry =
        RetryPolicy::default().base(Duration::from_millis(5), Duration::from_millis(5)).max_retries(9);
    let out = folder.path().join("out");
    let mapped = mapping.run(calls, Store::in_memory(), &out).await.unwrap();
    let report = mapped.report;
    assert!(report.left > 0 || report.failed > 0, "the cost limit ends the run: {report:?}");
    let stats = server.stats();
    let bill = stats.billed_input_tokens * price().input + stats.billed_output_tokens * price().output;
    let part = bill as f64 / 1e6 / cap as f64;
    (part, report.cost_usd_micros.unwrap(), report.possibly_billed.most_usd_micros.unwrap_or(0))
}

fn price() -> Price {
    Price::new(1_000_000, 1_000_000, 4_000_000)
}

/// Returns the parts of their cost limits that runs with random seeds use, in ascending order.
async fn parts_used(faults: Faults, runs: u64) -> Vec<f64> {
    let mut all = JoinSet::new();
    let mut parts = Vec::new();
    for seed in 0..runs {
        // 50 times the most that a call may cost, and up to three times as much.
        let cap = 50 * 560 * (1 + seed % 3);
        all.spawn(spend(cap, faults, seed));
        while all.len() >= 4 || (seed + 1 == runs && !all.is_empty()) {
            let (part, spent, possible) = all.join_next().await.unwrap().unwrap();
            assert!(part <= 1.0, "{part} of the limit was billed; reported {spent} and {possible}");
            parts.push(part);
        }
    }
    parts.sort_by(f64::total_cmp);
    parts
}

/// The runs of each kind. With 20 of each, none was over its limit, and the worst used 0.81 of it.
const RUNS: u64 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cost_limit_holds_and_is_used_well_while_calls_fail() {
    for (name, faults, wanted) in [
        ("10 % of 500s", Faults::default().error(0.1), 0.9),
        ("10 % halves", Faults::default().half(0.1), 0.9),
        ("10 % broken by an error", Faults::default().breaks(0.1), 0.9),
        ("10 % stalls", Faults::default().stall(0.1), 0.9),
        ("40 % halves", Faults::default().half(0.4), 0.8),
    ] {
        let parts = parts_used(faults, RUNS).await;
        let median = parts[parts.len() / 2];
        println!("{name}: {:.3} to {:.3}, median {median:.3}", parts[0], parts[parts.len() - 1]);
        assert!(median >= wanted, "{name}: {parts:?}");
    }
}
