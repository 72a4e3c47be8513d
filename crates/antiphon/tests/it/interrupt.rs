use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use antiphon_sim::{Faults, Scenario, Server as Simulator};
use antiphon_tests::{Reply, Server};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::program::{Lab, answer};

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(
        Command::new("sh")
            .args(["-c", "kill \"$0\" \"$1\"", name, &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Starts the program, and waits until `line` is on its stderr.
fn started(lab: &Lab, server: &Server, line: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let url = server.url("/v1");
    let args = format!("generate in --provider compatible --base-url {url} --model m --count 1");
    let mut child = lab.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(line) {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    (child, stderr)
}

fn ended(mut child: Child, mut stderr: BufReader<std::process::ChildStderr>) -> (Option<i32>, String) {
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

fn wait_for_call(server: &Server) {
    while server.requests().len() < 2 {
        std::thread::yield_now();
    }
}

#[test]
fn ctrl_c_finishes_calls_in_progress() {
    let slow = Reply::raw("").then(Duration::from_millis(700), "");
    let whole = Reply::chat(&answer(), "stop");
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), slow.followed_by(whole)]);
    let lab = Lab::new();
    let (child, stderr) = started(&lab, &server, "asking m");
    wait_for_call(&server);
    signal(&child, "-INT");
    let (code, said) = ended(child, stderr);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("waiting for 1 answer in progress") && said.contains("everything was finished"),
        "{said}"
    );
    assert!(lab.only_run().join("personas.json").exists(), "what was finished is written");
}

#[test]
fn a_second_ctrl_c_stops_and_so_does_sigterm() {
    for (signals, expected) in [(&["-INT", "-INT"][..], 130), (&["-TERM"][..], 143)] {
        let server = Server::start([Reply::json(200, &json!({ "data": [] })), Reply::raw("").and_stall()]);
        let lab = Lab::new();
        let (child, mut stderr) = started(&lab, &server, "asking m");
        wait_for_call(&server);
        for (number, name) in signals.iter().enumerate() {
            signal(&child, name);
            if number + 1 < signals.len() {
                let mut said = String::new();
                while !said.contains("press Ctrl-C again") {
                    assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
                }
            }
        }
        let (code, said) = ended(child, stderr);
        assert_eq!(code, Some(expected), "{said}");
        assert!(said.contains("files of the run: antiphon-out/"), "{said}");
    }
}

/// After Ctrl-C, a stalled answer is abandoned after 10 s without data, before the token time-out, which is longer.
#[test]
fn ctrl_c_while_an_answer_stalls_does_not_wait_for_it() {
    let scenario = Scenario::default().faults(Faults::default().empty(1.0));
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Simulator::start(scenario, 0)).unwrap();
    let lab = Lab::new();
    lab.file("towns.csv", "name\nTown 1\nTown 2\nTown 3\n");
    lab.file("r.toml", "prompt = \"What is {{ name }} known for?\"\n");
    let url = format!("{}/v1", server.url());
    let line =
        format!("map towns.csv -r r.toml --provider compatible --base-url {url} --model m --progress plain");
    let mut child = lab.command(&line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while server.stats().requests < 3 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its time");
        std::thread::yield_now();
    }
    signal(&child, "-INT");
    let mut said = String::new();
    while !said.contains("interrupted:") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    let (code, more) = ended(child, stderr);
    assert_eq!(code, Some(130), "{said}{more}");
    assert!(said.contains("waiting for 3 answers in progress, up to 10 s for the next token"), "{said}");
    assert!(more.contains("to resume"), "{more}");
    assert_eq!(server.stats().hung_up, 3, "without a second Ctrl-C");
}
