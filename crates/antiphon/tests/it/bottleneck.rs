//! Scripted runs, one for each cause of waiting: the report names it, with advice that fits.

use std::process::Stdio;
use std::time::Duration;

use antiphon_sim::{Faults, Latency, Limit, LimitSignal, Scenario};
use serde_json::Value;

use crate::map::{Bench, map, report};
use crate::program::Ran;

const LATENCY: Duration = Duration::from_millis(50);

fn scenario() -> Scenario {
    Scenario::default().latency(Latency::Fixed(LATENCY))
}

#[track_caller]
fn check(report: &Value, bottleneck: &str, advice: &str) {
    let time = &report["time"];
    let found = time["advice"].as_str().unwrap_or_default();
    assert_eq!(time["bottleneck"], bottleneck, "{time}");
    assert!(found.contains(advice), "{time}");
}

fn run(scenario: Scenario, rows: usize, flags: &str) -> Value {
    let ran = Bench::new(scenario, rows).map(&format!("{flags} --json"));
    report(&ran)
}

#[test]
fn a_rate_limit_that_is_reported_is_named_with_its_rate() {
    let report = run(scenario().requests(Limit::per_second(40.0, 4)), 200, "");
    check(&report, "limiter", "requests a second");
    let advice = report["time"]["advice"].as_str().unwrap();
    let rate: f64 = advice.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!((30.0..=45.0).contains(&rate), "{advice}");
}

#[test]
fn a_rate_limit_that_is_not_reported_is_named() {
    let report =
        run(scenario().requests(Limit::per_second(40.0, 4)).limit_signal(LimitSignal::None), 160, "");
    check(&report, "limiter", "a higher tier of the account");
}

#[test]
fn a_rate_is_not_named_after_few_calls() {
    let report = run(scenario().requests(Limit::per_second(4.0, 1)).limit_signal(LimitSignal::None), 8, "");
    check(&report, "limiter", "the provider's rate limit made calls wait");
}

#[test]
fn a_concurrency_limit_of_the_user_is_named() {
    check(&run(scenario(), 60, "--max-concurrency 2"), "queue", "a higher --max-concurrency");
}

#[test]
fn a_budget_that_calls_wait_for_is_named() {
    check(&run(scenario(), 10, "--max-cost 0.0015"), "budget", "a lower max_tokens");
}

#[test]
fn a_slow_first_token_is_named() {
    let slow = Scenario::default().latency(Latency::Fixed(Duration::from_millis(400)));
    check(&run(slow, 40, ""), "first_byte", "the provider takes long to begin");
}

#[test]
fn slow_answers_are_named() {
    check(&run(scenario().tokens_per_second(20.0), 20, ""), "stream", "answers take long to write");
}

#[test]
fn stalls_are_named() {
    let bench = Bench::new(scenario().faults(Faults::default().stall(0.4)), 30);
    let config = std::fs::read_to_string(bench.lab.path("antiphon.toml")).unwrap();
    let config = config.replace("kind = \"compatible\"", "kind = \"compatible\"\ntimeout = 1.0");
    bench.lab.file("antiphon.toml", config);
    check(&report(&bench.map("--json --attempts 9")), "retry", "calls stalled until they timed out");
}

#[test]
fn retries_after_faults_are_named() {
    let report = run(scenario().faults(Faults::default().error(0.4)), 60, "");
    check(&report, "retry", "calls failed and were made again");
    // With more than half of the calls the breaker may open for a while, and then that is what took the time.
    let report = run(scenario().faults(Faults::default().error(0.55)), 60, "");
    let bottleneck = report["time"]["bottleneck"].as_str().unwrap();
    assert!(["retry", "breaker"].contains(&bottleneck) && report["left"] == 0, "{report}");
}

#[test]
fn an_open_breaker_is_named() {
    let bench = Bench::new(scenario(), 400);
    let child =
        bench.lab.command(&map("--json")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while bench.stats().answered < 50 {
        std::thread::yield_now();
    }
    bench.server.change_faults(Faults::default().error(1.0));
    // As long as the outage lasts: the script's own time, in which the breaker is opened several times.
    std::thread::sleep(Duration::from_secs(4));
    bench.server.change_faults(Faults::default());
    let report = report(&Ran::new(child.wait_with_output().unwrap()));
    check(&report, "breaker", "a fallback (--fallback-model)");
}
