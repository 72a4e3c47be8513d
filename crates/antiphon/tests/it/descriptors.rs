//! Too few file descriptors are a limit of this machine, and no failure of the provider.

use std::process::{Command, Stdio};
use std::time::Duration;

use antiphon_sim::{Latency, Scenario, Server as Simulator};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::{Lab, Ran};

const ROWS: usize = 900;

/// Runs the program on many rows under limits of file descriptors, given as the shell's `ulimit`.
fn run_under(limits: &str, lab: &Lab, server: &Simulator) -> Ran {
    let table: String = (0..ROWS).map(|n| format!("Town {n}\n")).collect();
    lab.file("towns.csv", format!("name\n{table}"));
    lab.file("r.toml", "prompt = \"What is {{ name }} known for?\"\n");
    let line = format!(
        "map towns.csv -r r.toml --provider compatible --base-url {}/v1 --model m --progress none --json --max-concurrency 2000",
        server.url()
    );
    let plain = lab.command(&line);
    let script = format!("{limits} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::new(command.current_dir(lab.path("")).output().unwrap())
}

fn simulator(runtime: &Runtime) -> Simulator {
    let scenario = Scenario::default().latency(Latency::Fixed(Duration::from_millis(50)));
    runtime.block_on(Simulator::start(scenario, 0)).unwrap()
}

#[track_caller]
fn check_whole(ran: &Ran, server: &Simulator) {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["accepted"], &report["failed"]), (&json!(ROWS), &json!(0)), "{}", ran.stderr);
    assert_eq!((server.stats().requests, server.stats().answered), (ROWS as u64, ROWS as u64));
}

#[test]
fn a_run_with_few_descriptors_finishes_and_says_what_limits_it() {
    let runtime = Runtime::new().unwrap();
    let (server, lab) = (simulator(&runtime), Lab::new());
    let ran = run_under("ulimit -n 256", &lab, &server);
    ran.ends_with(0, &["2000 concurrent calls", "192 connections", "256 open files", "ulimit -n 2064"]);
    check_whole(&ran, &server);
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let runtime = Runtime::new().unwrap();
    let (server, lab) = (simulator(&runtime), Lab::new());
    let ran = run_under("ulimit -Sn 64 && ulimit -Hn 4096", &lab, &server);
    ran.ends_with(0, &[]);
    assert!(!ran.stderr.contains("connections"), "{}", ran.stderr);
    check_whole(&ran, &server);
}

/// The journal and the runtime use most of 40 descriptors, so a connection may get none: its call waits for one.
#[test]
fn calls_without_a_descriptor_wait_for_one() {
    let runtime = Runtime::new().unwrap();
    let (server, lab) = (simulator(&runtime), Lab::new());
    let ran = run_under("ulimit -n 40", &lab, &server);
    ran.ends_with(0, &["20 connections"]);
    check_whole(&ran, &server);
}
