//! What a run does about servers that refuse, fail and talk nonsense.

use std::process::{Command, Stdio};
use std::time::Duration;

use antiphon_sim::{Faults, Latency, Scenario};
use antiphon_tests::{Reply, Server as Scripted};
use serde_json::{Value, json};

use crate::map::{Bench, lab, map, report};
use crate::program::Ran;

#[test]
fn a_long_wait_with_any_status_ends_the_run_and_fails_no_row() {
    for status in [429, 500, 503] {
        let wait = Reply::with_headers(status, "retry-after: 3600\r\n", "");
        let server = Scripted::start([Reply::chat("a bridge", "stop"), wait]);
        let ran = lab(&server.url("/v1"), 3).run(&map("--max-concurrency 1 --json"));
        ran.ends_with(4, &["takes no more calls for 36", "wait a little first"]);
        let report = report(&ran);
        let of = |key: &str| report[key].as_u64().unwrap();
        assert_eq!([of("accepted"), of("failed"), of("left")], [1, 0, 2], "{status}: {ran:?}");
        assert_eq!((server.requests().len(), &report["stopped_by"][0]), (2, &json!("saturated")), "{status}");
    }
}

#[test]
fn counts_that_cannot_be_are_unknown_and_break_no_sum() {
    let told = |input: &str, output: &str| {
        let usage = format!(
            "{{\"choices\":[],\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output}}}}}"
        );
        Reply::events([
            r#"{"choices":[{"delta":{"content":"a bridge"},"finish_reason":"stop"}]}"#,
            &usage,
            "[DONE]",
        ])
    };
    let vast = "4611686018427387904";
    for (input, output) in [(vast, vast), (vast, "5"), ("5", vast), ("0", "5")] {
        let server = Scripted::start([told(input, output)]);
        let lab = lab(&server.url("/v1"), 3);
        let ran = lab.run(&map("--json"));
        ran.ends_with(0, &[]);
        let report = report(&ran);
        assert_eq!(
            (&report["accepted"], &report["cost_usd_micros"]),
            (&json!(3), &Value::Null),
            "{input}, {output}"
        );
        let listed = lab.run("runs list");
        assert!(listed.stdout.contains("cost unknown"), "{listed:?}");
    }
}

#[test]
fn an_error_status_spends_nothing_of_a_budget() {
    let failed = Reply::json(500, &json!({ "error": { "message": "a fault" } }));
    let server = Scripted::start([failed, Reply::chat("a bridge", "stop")]);
    // Less than two calls may cost.
    let ran = lab(&server.url("/v1"), 1).run(&map("--max-cost 0.0005 --json"));
    ran.ends_with(0, &[]);
    let report = report(&ran);
    assert_eq!((&report["calls"], &report["possibly_billed"]["calls"]), (&json!(2), &json!(0)), "{ran:?}");
}

#[test]
fn an_outage_costs_no_row() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(50))), 600);
    let child =
        bench.lab.command(&map("--json")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while bench.stats().answered < 100 {
        std::thread::yield_now();
    }
    bench.server.change_faults(Faults::default().error(1.0));
    while bench.stats().errors < 40 {
        std::thread::yield_now();
    }
    bench.server.change_faults(Faults::default());
    let ran = Ran::new(child.wait_with_output().unwrap());
    ran.ends_with(0, &[]);
    let report = report(&ran);
    assert_eq!(report["accepted"], 600, "{ran:?}");
    let phases = report["time"]["phases_ms"].as_array().unwrap();
    let of = |name: &str| phases.iter().find(|phase| phase[0] == name).unwrap()[1].as_u64().unwrap();
    assert!(of("retry") > 0, "{phases:?}");
    let stats = bench.stats();
    assert_eq!((stats.answered, stats.requests - stats.errors), (600, 600), "{stats:?}");
}

#[test]
fn failed_calls_are_named_as_where_the_time_went() {
    let scenario = Scenario::default().latency(Latency::Fixed(Duration::from_millis(5)));
    let bench = Bench::new(scenario.faults(Faults::default().error(0.3)), 100);
    let ran = bench.map("--max-concurrency 4 --json");
    let report = report(&ran);
    let (cause, advice) = (&report["time"]["bottleneck"], report["time"]["advice"].as_str().unwrap());
    assert!(*cause == "retry" && advice.starts_with("calls failed and were made again"), "{ran:?}");
}

#[test]
fn what_no_row_can_survive_ends_the_run_early() {
    let refused =
        |status: u16, message: &str| Reply::json(status, &json!({ "error": { "message": message } }));
    for (reply, told) in [
        (refused(404, "no such path"), "no such path"),
        (refused(400, "the schema is not supported"), "not supported"),
        (refused(501, "not implemented"), "not implemented"),
        (Reply::with_headers(302, "location: /elsewhere\r\n", ""), "302"),
        (Reply::new(200, "text/html", "<html>Welcome</html>"), "text/html"),
    ] {
        let server = Scripted::start([reply]);
        let ran = lab(&server.url("/v1"), 300).run(&map("--json"));
        assert!(ran.stderr.contains(told) && ran.code == Some(5), "{told}: {ran:?}");
        let report = report(&ran);
        let of = |key: &str| report[key].as_u64().unwrap();
        assert!(of("failed") < 100 && of("left") > 200 && server.requests().len() < 150, "{told}: {ran:?}");
    }
    let server = Scripted::start([refused(400, "the schema is not supported")]);
    let ran = lab(&server.url("/v1"), 3).run(&map("--json"));
    ran.ends_with(5, &["not supported", "--temperature may have to change"]);
}

#[test]
fn a_run_that_is_complete_when_interrupted_is_done() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(700))), 2);
    let child = bench.lab.command(&map("")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while bench.stats().requests < 2 {
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    assert!(Command::new("sh").args(["-c", "kill -INT \"$0\"", &id]).status().unwrap().success());
    let ran = Ran::new(child.wait_with_output().unwrap());
    ran.ends_with(0, &["press Ctrl-C again"]);
    assert!(ran.stdout.contains("2 of 2 rows done"), "{ran:?}");
}
