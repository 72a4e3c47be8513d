//! Several processes on one run.

use std::collections::HashSet;
use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use antiphon_sim::{Latency, Scenario};
use serde_json::Value;

use crate::interrupt::signal;
use crate::map::{Bench, map};
use crate::program::{Ran, json_file};

const ROWS: u64 = 300;
const AT_ONCE: u64 = 4;

/// A simulator whose answers take 50 ms.
fn bench() -> Bench {
    let scenario = Scenario::default().latency(Latency::Fixed(Duration::from_millis(50)));
    Bench::new(scenario, usize::try_from(ROWS).unwrap())
}

fn start(bench: &Bench, line: &str) -> Child {
    bench.lab.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts a map run, and waits until `answered` calls were answered.
fn first(bench: &Bench, answered: u64) -> Child {
    let child = start(bench, &map(&format!("--max-concurrency {AT_ONCE}")));
    wait_for(bench, answered);
    child
}

fn wait_for(bench: &Bench, answered: u64) {
    while bench.stats().answered < answered {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn end(child: Child) -> Ran {
    Ran::new(child.wait_with_output().unwrap())
}

/// Every row has its result, once and in order.
#[track_caller]
fn is_whole(bench: &Bench) {
    let results = fs::read_to_string(bench.lab.only_run().join("results.jsonl")).unwrap();
    let index = |line: &str| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap();
    assert_eq!(results.lines().map(index).collect::<Vec<_>>(), (0..ROWS).collect::<Vec<_>>());
    let shown: Value = serde_json::from_str(&bench.lab.run("runs show latest --json").stdout).unwrap();
    assert_eq!((&shown["status"], &shown["accepted"]), (&"finished".into(), &ROWS.into()), "{shown}");
}

/// The folders of runs hold nothing of their workers any more.
#[track_caller]
fn is_tidy(bench: &Bench) {
    let names = fs::read_dir(bench.lab.only_run()).unwrap().map(|found| found.unwrap().file_name());
    // A process that was killed leaves the beginning of its results.
    let names = names.map(|name| name.into_string().unwrap()).filter(|name| !name.starts_with(".antiphon-"));
    let names: HashSet<String> = names.collect();
    assert_eq!(names, HashSet::from(["results.jsonl", "run.json"].map(str::to_owned)));
}

#[test]
fn two_processes_share_a_run_and_each_has_all_results() {
    for line in ["runs resume latest".to_owned(), map("--results mine.jsonl")] {
        let bench = bench();
        let first = first(&bench, 10);
        let second = bench.lab.run(&line);
        second.ends_with(0, &[]);
        let first = end(first);
        first.ends_with(0, &[]);
        for ran in [&first, &second] {
            assert!(ran.stdout.starts_with("300 of 300 rows done, 300 calls"), "{ran:?}");
        }
        let stats = bench.stats();
        assert_eq!(stats.requests, ROWS, "no row was asked about twice");
        assert!(stats.most_in_flight > AT_ONCE, "both asked: {stats:?}");
        is_whole(&bench);
        is_tidy(&bench);
        if line.contains("mine.jsonl") {
            let all = fs::read(bench.lab.only_run().join("results.jsonl")).unwrap();
            assert_eq!(fs::read(bench.lab.path("mine.jsonl")).unwrap(), all);
        }
    }
}

#[test]
fn either_process_may_be_killed() {
    for kills_first in [true, false] {
        let bench = bench();
        let mut processes = vec![first(&bench, 10)];
        processes.push(start(&bench, &map(&format!("--max-concurrency {AT_ONCE}"))));
        wait_for(&bench, ROWS / 3);
        let mut killed = processes.remove(usize::from(!kills_first));
        killed.kill().unwrap();
        killed.wait().unwrap();
        end(processes.remove(0)).ends_with(0, &[]);
        let requests = bench.stats().requests;
        assert!(
            (ROWS..=ROWS + AT_ONCE).contains(&requests),
            "{requests}, and the first was killed: {kills_first}"
        );
        is_whole(&bench);
        is_tidy(&bench);
    }
}

#[cfg(unix)]
#[test]
fn what_one_process_leaves_the_other_finishes() {
    let bench = bench();
    let (left, other) = (first(&bench, 10), start(&bench, &map("--max-concurrency 4")));
    wait_for(&bench, ROWS / 3);
    signal(&left, "-INT");
    end(left).ends_with(130, &["run the same command again to resume"]);
    end(other).ends_with(0, &[]);
    assert_eq!(bench.stats().requests, ROWS);
    is_whole(&bench);
}

#[test]
fn failed_rows_are_not_retried_beside_another_process() {
    let bench = bench();
    let rows: String = (1..ROWS).map(|n| format!("{{\"name\": \"Town {n}\"}}\n")).collect();
    bench.lab.file("rows.jsonl", format!("no JSON\n{rows}"));
    let command = "map rows.jsonl -r r.toml --provider sim --model m --progress none --max-concurrency 4";
    let busy = start(&bench, command);
    wait_for(&bench, 10);
    let refused = bench.lab.run("runs retry-failed latest");
    refused.ends_with(1, &["cannot retry the failed rows: another process is working on the run"]);
    end(busy).ends_with(4, &["1 row failed: bad_row"]);
    assert_eq!(bench.stats().requests, ROWS - 1);
    bench.lab.run("runs retry-failed latest").ends_with(4, &[]);
}

#[test]
fn two_processes_keep_to_one_budget() {
    let bench = bench();
    let line = map(&format!("--max-concurrency {AT_ONCE} --max-cost 0.015"));
    let first = start(&bench, &line);
    wait_for(&bench, 10);
    let second = end(start(&bench, &line));
    let first = end(first);
    let stats = bench.stats();
    let bill = stats.billed_input_tokens + 4 * stats.billed_output_tokens;
    assert!((14_000..=15_000).contains(&bill), "millionths of a dollar: {bill}");
    assert!(stats.most_in_flight > AT_ONCE, "both asked: {stats:?}");
    for ran in [first, second] {
        ran.ends_with(6, &["is used up"]);
    }
}

/// Processes that come and are killed: nothing is lost or doubled, and the bill is within what is reported.
#[test]
fn processes_that_are_killed_lose_and_double_nothing() {
    for processes in [2, 8] {
        let bench = bench();
        let line = map("--max-concurrency 2");
        let mut alive: Vec<Child> = (0..processes).map(|_| start(&bench, &line)).collect();
        const KILLS: u64 = 6;
        for kill in 1..=KILLS {
            wait_for(&bench, kill * ROWS / 8);
            let mut killed = alive.remove(0);
            killed.kill().unwrap();
            killed.wait().unwrap();
            alive.push(start(&bench, &line));
        }
        alive.into_iter().for_each(|child| end(child).ends_with(0, &[]));
        let stats = bench.stats();
        assert!((ROWS..=ROWS + KILLS * 2).contains(&stats.requests), "{processes} processes: {stats:?}");
        is_whole(&bench);
        is_tidy(&bench);
        let report = json_file(&bench.lab.only_run().join("run.json"));
        let spent = report["cost_usd_micros"].as_u64().unwrap();
        let possible = report["possibly_billed"]["most_usd_micros"].as_u64().unwrap();
        let bill = stats.billed_input_tokens + 4 * stats.billed_output_tokens;
        assert!((spent..=spent + possible).contains(&bill), "{spent} + {possible}, and the bill is {bill}");
    }
}
