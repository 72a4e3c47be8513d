//! Generations are journalled: an answer that was paid for is never requested again.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::Duration;

use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use crate::program::{Lab, answer, json_file};

fn models() -> Reply {
    Reply::json(200, &json!({ "data": [] }))
}

/// Kills a run for `count` personas when its server has received `requests` requests.
fn killed_at(lab: &Lab, server: &Server, (requests, count): (usize, &str)) {
    let url = server.url("/v1");
    let line = format!("generate in --provider compatible --base-url {url} --model m --count {count}");
    let mut child: Child = lab.command(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while server.requests().len() < requests {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn report(lab: &Lab) -> Value {
    json_file(&lab.only_run().join("run.json"))
}

#[test]
fn a_call_that_was_killed_is_made_again_in_the_same_run_and_named() {
    let slow = Reply::raw("").and_stall();
    let server = Server::start([models(), slow, models(), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    killed_at(&lab, &server, (2, "1"));
    // The price was unknown when the call was made, so its cost has no upper bound.
    lab.file("antiphon.toml", "[prices.compatible.\"m\"]\ninput = 1.0\noutput = 1.0\n");
    let ran = lab.ask(&server.url("/v1"), "--max-cost 50");
    ran.ends_with(0, &["count as $0 in the budget"]);
    assert!(ran.stdout.contains("possibly billed: a call"), "{}", ran.stdout);
    let report = report(&lab);
    assert_eq!((&report["calls"], &report["may_cost_more"]), (&json!(1), &json!(true)));
    let calls = server.requests().len();
    lab.ask(&server.url("/v1"), "").ends_with(0, &["shown again, with 0 calls"]);
    assert_eq!(server.requests().len(), calls, "no model was asked for either");
}

#[test]
fn a_run_whose_folder_was_removed_is_written_again_without_a_call() {
    let server = Server::start([models(), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    let first = lab.ask(&server.url("/v1"), "");
    let (run, report) = (lab.only_run(), report(&lab));
    fs::remove_dir_all(&run).unwrap();
    let calls = server.requests().len();
    let second = lab.ask(&server.url("/v1"), "");
    second.ends_with(0, &["shown again, with 0 calls"]);
    assert_eq!((server.requests().len(), second.stdout), (calls, first.stdout));
    assert_eq!(json_file(&run.join("run.json")), report);
    assert!(run.join("personas.html").exists() && run.join("personas").is_dir());
}

#[test]
fn a_failed_run_is_asked_again_in_its_own_folder() {
    let server = Server::start([
        models(),
        Reply::chat("{\"personas\": [{", "length"),
        models(),
        Reply::chat(&answer(), "stop"),
    ]);
    let lab = Lab::new();
    lab.ask(&server.url("/v1"), "").ends_with(5, &["cut at the token limit"]);
    assert_eq!(report(&lab)["status"], "failed");
    let shown: Value = serde_json::from_str(&lab.run("runs list --json").stdout).unwrap();
    let run = &shown["runs"][0];
    assert_eq!(
        (&run["kind"], &run["status"], &run["failed"]),
        (&json!("personas"), &json!("stopped"), &json!(1))
    );
    let id = run["run_id"].as_str().unwrap();
    let elsewhere = lab.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let mut resume = lab.command(&format!("runs resume {} --out ../antiphon-out", &id[..30]));
    let output = resume.current_dir(elsewhere).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!((&report(&lab)["status"], &report(&lab)["run_id"]), (&json!("finished"), &json!(id)));
    assert_eq!(report(&lab)["calls"], 2, "the first one was paid for, too");
    assert!(!lab.only_run().join("partial.txt").exists(), "no answer is partial any more");
}

/// The first persona and the start of another, and the answer that has the other.
fn cut_and_rest() -> (Reply, Reply) {
    let one: Value = serde_json::from_str(&answer()).unwrap();
    let mut other = one.clone();
    other["personas"][0]["name"] = json!("The other one");
    other["personas"][0]["title"] = json!("Likes to sleep in");
    other["personas"][0]["goals"][0]["claim"] = json!("Sleep for longer");
    let cut = format!("{{\"personas\": [{}, {{\"name\": \"Half", one["personas"][0]);
    (Reply::chat(&cut, "length"), Reply::chat(&other.to_string(), "stop"))
}

fn names(lab: &Lab) -> Vec<Value> {
    let personas = json_file(&lab.only_run().join("personas.json"));
    personas["personas"].as_array().unwrap().iter().map(|persona| persona["name"].clone()).collect()
}

#[test]
fn whole_personas_of_a_cut_answer_are_kept_and_only_the_others_asked_for() {
    let (cut, rest) = cut_and_rest();
    let server = Server::start([models(), cut, rest]);
    let lab = Lab::new();
    lab.ask(&server.url("/v1"), "--count 2").ends_with(0, &[]);
    assert_eq!(names(&lab), ["The early closer", "The other one"]);
    assert_eq!((&report(&lab)["calls"], &report(&lab)["may_cost_more"]), (&json!(2), &json!(false)));
}

#[test]
fn whole_personas_of_a_cut_answer_outlive_the_program() {
    let (cut, rest) = cut_and_rest();
    let server = Server::start([models(), cut, Reply::raw("").and_stall(), models(), rest]);
    let lab = Lab::new();
    killed_at(&lab, &server, (3, "2"));
    lab.ask(&server.url("/v1"), "--count 2").ends_with(0, &[]);
    assert_eq!(names(&lab), ["The early closer", "The other one"]);
    let report = report(&lab);
    assert_eq!((&report["calls"], &report["may_cost_more"]), (&json!(2), &json!(true)), "one was killed");
}

#[test]
fn a_budget_that_is_too_small_makes_no_call_and_a_larger_one_resumes() {
    let server = Server::start([models(), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    let url = server.url("/v1");
    lab.ask(&url, "--max-cost 1").ends_with(2, &["the price of m is not known"]);
    lab.file("antiphon.toml", "[prices.compatible.\"m\"]\ninput = 1000.0\noutput = 1000.0\n");
    lab.ask(&url, "--max-cost 0.000001")
        .ends_with(6, &["the budget of $0.000001 is too small: a call may cost $", "raise --max-cost"]);
    assert!(server.requests().iter().all(|request| !request.line.contains("/chat/")), "nothing was asked");
    lab.ask(&url, "--max-cost 50").ends_with(0, &[]);
    assert_eq!(report(&lab)["status"], "finished");
}

#[test]
fn equal_inputs_are_deduplicated() {
    let slow = Reply::raw("").then(Duration::from_millis(200), "");
    let server = Server::start([models(), slow.followed_by(Reply::chat(&answer(), "stop"))]);
    let lab = Lab::new();
    let url = server.url("/v1");
    let line =
        format!("generate --each in in --fresh --provider compatible --base-url {url} --model m --count 1");
    lab.run(&line).ends_with(0, &["shown again, with 0 calls"]);
    assert_eq!(server.requests().len(), 2, "its models, and one call");
    lab.only_run();
}

#[test]
fn a_run_that_another_process_works_on_is_named() {
    let stalled = Reply::raw("").and_stall();
    let server = Server::start([models(), stalled, models(), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    let line =
        format!("generate in --provider compatible --base-url {} --model m --count 1", server.url("/v1"));
    let mut first = lab.command(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while server.requests().len() < 2 {
        std::thread::yield_now();
    }
    let mut second = lab.command(&line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut said, mut stderr) = (String::new(), BufReader::new(second.stderr.take().unwrap()));
    while !said.contains("is in progress in another process: its result will be shown") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert!(second.wait().unwrap().success(), "{said}");
    assert_eq!(report(&lab)["status"], "finished");
}

#[test]
fn after_the_deadline_no_call_is_made() {
    let slow = Reply::raw("").then(Duration::from_millis(1_200), "").followed_by(Reply::chat("no", "stop"));
    let server = Server::start([models(), slow, models(), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    lab.ask(&server.url("/v1"), "--deadline 1").ends_with(4, &["the deadline has passed", "--deadline"]);
    let calls = || server.requests().iter().filter(|request| request.line.contains("/chat/")).count();
    assert_eq!(
        (calls(), &report(&lab)["may_cost_more"]),
        (1, &json!(false)),
        "a call in progress ends by itself"
    );
    lab.ask(&server.url("/v1"), "").ends_with(0, &[]);
    assert_eq!((calls(), &report(&lab)["calls"]), (2, &json!(2)), "the same command resumes it");
}

#[test]
fn a_cut_answer_that_lacks_nothing_takes_no_further_call() {
    let whole = answer();
    let cut = &whole[..whole.len() - 1];
    let server = Server::start([models(), Reply::chat(cut, "length"), Reply::chat("no", "stop")]);
    let lab = Lab::new();
    lab.ask(&server.url("/v1"), "").ends_with(0, &[]);
    assert_eq!(report(&lab)["calls"], 1);
}
