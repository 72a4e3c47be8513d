//! Runs are cancelled permanently, also while another process works on them.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use antiphon_sim::{Latency, Scenario, Server as Simulator};
use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::{Lab, Ran, answer};

/// The longest time that a process may take to see that its run was cancelled, and to end.
const SECONDS: Duration = Duration::from_secs(8);

const MAP: &str =
    "map towns.csv -r r.toml --provider sim --model m --progress none --json --max-concurrency 4";

fn lab(url: &str, rows: usize) -> Lab {
    let lab = Lab::new();
    let table: String = (0..rows).map(|n| format!("Town {n}\n")).collect();
    lab.file("towns.csv", format!("name\n{table}"));
    lab.file("r.toml", "prompt = \"What is {{ name }} known for?\"\n");
    lab.file("antiphon.toml", format!("[providers.sim]\nkind = \"compatible\"\nbase_url = \"{url}\"\n"));
    lab
}

fn begun(lab: &Lab, line: &str, is_time: impl Fn() -> bool) -> Child {
    let mut child = lab.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !is_time() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its time");
        std::thread::yield_now();
    }
    child
}

fn shown(lab: &Lab, run: &str) -> Value {
    serde_json::from_str(&lab.run(&format!("runs show {run} --json")).stdout).unwrap()
}

#[test]
fn a_run_is_cancelled_while_another_process_works_on_it() {
    let runtime = Runtime::new().unwrap();
    let scenario = Scenario::default().latency(Latency::Fixed(Duration::from_millis(100)));
    let server = runtime.block_on(Simulator::start(scenario, 0)).unwrap();
    let lab = lab(&format!("{}/v1", server.url()), 600);
    let child = begun(&lab, MAP, || server.stats().answered >= 8);
    let id = shown(&lab, "latest")["run_id"].as_str().unwrap().to_owned();
    let began = Instant::now();
    lab.run(&format!("runs cancel {}", &id[..30])).ends_with(0, &["cancelled run", "and kept"]);
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert!(began.elapsed() < SECONDS, "{:?}", began.elapsed());
    ran.ends_with(130, &["the run was cancelled", "run the same command again to start a new run"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&report["status"], &report["stopped_by"][0], &report["possibly_billed"]["calls"]),
        (&json!("cancelled"), &json!("cancelled"), &json!(0))
    );
    let cancelled = shown(&lab, &id);
    let (accepted, asked) = (cancelled["accepted"].as_u64().unwrap(), server.stats().requests);
    assert_eq!((&cancelled["status"], asked), (&json!("cancelled"), accepted));
    assert!((8..600).contains(&accepted), "{accepted}");
    assert_eq!(lab.run(&format!("runs export {id}")).stdout.lines().count() as u64, accepted);
    let results = fs::read_to_string(lab.path(report["results"].as_str().unwrap())).unwrap();
    assert_eq!(results.lines().count() as u64, accepted, "results that were paid for are written");
    lab.run("runs resume latest").ends_with(2, &[&format!("run {id} was cancelled")]);
    lab.run(&format!("runs cancel {id}")).ends_with(0, &["cancelled run"]);
    let again = lab.run(&MAP.replace("--max-concurrency 4", "--max-concurrency 64"));
    again.ends_with(0, &[]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_ne!(again["run_id"], id.as_str(), "the same command starts a new run");
    assert_eq!((&again["accepted"], &again["cached"]), (&json!(600), &json!(accepted)));
    assert_eq!(server.stats().requests, 600, "and its answers are still those of the store");
}

#[test]
fn a_finished_run_cannot_be_cancelled_and_a_stopped_one_can() {
    let server = Server::start([Reply::chat("one", "stop")]);
    let lab = lab(&server.url("/v1"), 1);
    lab.run("runs cancel latest").ends_with(2, &["there are no runs in antiphon-out"]);
    lab.run(MAP).ends_with(0, &[]);
    lab.run("runs cancel latest").ends_with(2, &["cannot be cancelled", "finished already"]);
    assert_eq!(shown(&lab, "latest")["status"], "finished");
    lab.run("runs cancel 77").ends_with(2, &["there is no run 77"]);
    lab.file(
        "antiphon.toml",
        fs::read_to_string(lab.path("antiphon.toml")).unwrap()
            + "[prices.sim.m]\ninput = 1.0\noutput = 1.0\n",
    );
    lab.file("r.toml", "prompt = \"{{ name }}\"\n");
    lab.run(&format!("{MAP} --max-cost 0")).ends_with(6, &[]);
    lab.run("runs cancel latest").ends_with(0, &["0 of 1 row done and kept"]);
    lab.run("runs resume latest").ends_with(2, &["was cancelled"]);
    lab.run("runs retry-failed latest").ends_with(2, &["was cancelled"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_persona_run_is_cancelled_while_another_process_works_on_it() {
    let slow = Reply::raw("").then(Duration::from_millis(2_500), "").followed_by(Reply::chat("no", "stop"));
    let models = Reply::json(200, &json!({ "data": [] }));
    let server = Server::start([models.clone(), slow, models, Reply::chat(&answer(), "stop")]);
    let lab = lab(&server.url("/v1"), 1);
    let line = "generate in --provider sim --model m --count 1";
    let child = begun(&lab, line, || server.requests().len() == 2);
    let began = Instant::now();
    lab.run("runs cancel latest").ends_with(0, &["cancelled run"]);
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert!(began.elapsed() < SECONDS, "{:?}", began.elapsed());
    ran.ends_with(130, &["cancelled"]);
    let cancelled = shown(&lab, "latest");
    assert_eq!((&cancelled["status"], &cancelled["calls"]), (&json!("cancelled"), &json!(1)));
    lab.run("runs resume latest").ends_with(2, &["was cancelled"]);
    lab.run(line).ends_with(0, &[]);
    assert_ne!(shown(&lab, "latest")["run_id"], cancelled["run_id"], "the same command starts a new run");
}

#[test]
fn a_cancelled_run_gives_up_a_call_that_stalls() {
    let runtime = Runtime::new().unwrap();
    let scenario = Scenario::default().latency(Latency::Fixed(Duration::from_secs(600)));
    let server = runtime.block_on(Simulator::start(scenario, 0)).unwrap();
    let lab = lab(&format!("{}/v1", server.url()), 2);
    let child = begun(&lab, MAP, || server.stats().requests >= 1);
    lab.run("runs cancel latest").ends_with(0, &["cancelled run"]);
    let ran = Ran::new(child.wait_with_output().unwrap());
    ran.ends_with(130, &["the run was cancelled"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["status"], &report["accepted"]), (&json!("cancelled"), &json!(0)));
    assert_ne!(report["possibly_billed"]["calls"], json!(0), "what was sent may have been billed");
}
