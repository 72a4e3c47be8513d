//! The limits and the output paths of all runs on the command line.

use std::fs;
use std::process::Command;
use std::time::Duration;

use antiphon_sim::{Latency, Scenario, Server as Simulator};
use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::{Lab, Ran};

const MAP: &str = "map towns.csv -r r.toml --provider sim --model m --progress none";

fn lab(url: &str, rows: usize) -> Lab {
    let lab = Lab::new();
    let table: String = (0..rows).map(|n| format!("Town {n}\n")).collect();
    lab.file("towns.csv", format!("name\n{table}"));
    lab.file("r.toml", "prompt = \"What is {{ name }} known for?\"\n");
    lab.file("antiphon.toml", format!("[providers.sim]\nkind = \"compatible\"\nbase_url = \"{url}\"\n"));
    lab
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

fn late(text: &str) -> Reply {
    Reply::raw("").then(Duration::from_millis(1_300), "").followed_by(Reply::chat(text, "stop"))
}

#[test]
fn after_a_deadline_no_call_begins_and_the_run_is_resumed() {
    let runtime = Runtime::new().unwrap();
    let scenario = Scenario::default().latency(Latency::Fixed(Duration::from_millis(100)));
    let server = runtime.block_on(Simulator::start(scenario, 0)).unwrap();
    let lab = lab(&format!("{}/v1", server.url()), 60);
    let ran = lab.run(&format!("{MAP} --json --deadline 1 --max-concurrency 2"));
    ran.ends_with(4, &["the deadline has passed", "run the same command again to resume"]);
    let stopped = report(&ran);
    assert_eq!(
        (&stopped["status"], &stopped["stopped_by"][0], &stopped["possibly_billed"]["calls"]),
        (&json!("stopped"), &json!("deadline"), &json!(0))
    );
    let (accepted, asked) = (stopped["accepted"].as_u64().unwrap(), server.stats().requests);
    assert!((1..60).contains(&accepted), "{accepted}");
    assert_eq!(asked, accepted, "calls in progress come to their end");
    let shown: Value = serde_json::from_str(&lab.run("runs show latest --json").stdout).unwrap();
    assert_eq!(
        (&shown["status"], &shown["report"]["stopped_by"][0]),
        (&json!("stopped"), &json!("deadline"))
    );
    lab.run("runs resume latest --deadline 60 --max-concurrency 16").ends_with(0, &["resumed run"]);
    assert_eq!(server.stats().requests, 60);
    let shown: Value = serde_json::from_str(&lab.run("runs show latest --json").stdout).unwrap();
    assert_eq!((&shown["status"], &shown["accepted"]), (&json!("finished"), &json!(60)));
}

#[test]
fn a_run_whose_last_call_ends_after_the_deadline_is_finished() {
    let server = Server::start([late("known for its late trains")]);
    let lab = lab(&server.url("/v1"), 1);
    let ran = lab.run(&format!("{MAP} --json --deadline 1"));
    ran.ends_with(0, &[]);
    let report = report(&ran);
    assert_eq!(
        (&report["status"], &report["stopped_by"], &report["accepted"]),
        (&json!("finished"), &Value::Null, &json!(1))
    );
    assert!(report["time"]["wall_ms"].as_u64() > Some(1_000), "{report}");
    lab.run(&format!("{MAP} --deadline 1")).ends_with(0, &["already finished", "0 calls"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_call_that_fails_after_the_deadline_is_not_made_again() {
    let fails = Reply::raw("").then(Duration::from_millis(1_300), "").followed_by(Reply::new(
        500,
        "text/plain",
        "no",
    ));
    let server = Server::start([fails, Reply::chat("fine", "stop")]);
    let lab = lab(&server.url("/v1"), 1);
    let ran = lab.run(&format!("{MAP} --json --deadline 1"));
    ran.ends_with(4, &["the deadline has passed"]);
    assert_eq!((server.requests().len(), &report(&ran)["left"]), (1, &json!(1)));
    lab.run("runs resume latest").ends_with(0, &[]);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn out_is_the_folder_and_still_accepts_a_file_as_before() {
    let server = Server::start([Reply::chat("words", "stop")]);
    let lab = lab(&server.url("/v1"), 2);
    let ran = lab.run(&format!("{MAP} --out made/here"));
    ran.ends_with(0, &["details: made/here/"]);
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
    assert!(lab.path("made/here/antiphon.db").is_file() && !lab.path("antiphon-out").exists());
    assert!(ran.stdout.contains("made/here/") && ran.stdout.ends_with("/results.jsonl\n"), "{ran:?}");

    let warning = |file: &str| {
        format!(
            "warning: --out now names the folder of runs: {file} is used as the file for results; use --results {file} instead"
        )
    };
    let old = lab.run(&format!("{MAP} --out old.jsonl"));
    old.ends_with(0, &[&warning("old.jsonl"), "details: antiphon-out/"]);
    assert!(old.stdout.ends_with("\nold.jsonl\n"), "{old:?}");
    assert_eq!(fs::read_to_string(lab.path("old.jsonl")).unwrap().lines().count(), 2);
    lab.file("there", "a file of any name");
    lab.run(&format!("{MAP} -o there")).ends_with(2, &[&warning("there"), "there: file exists already"]);
    lab.run(&format!("{MAP} -o there --overwrite")).ends_with(0, &[&warning("there")]);
    assert_eq!(fs::read_to_string(lab.path("there")).unwrap().lines().count(), 2);
    let lines = lab.run(&format!("{MAP} --out -"));
    lines.ends_with(0, &[&warning("-"), "2 of 2 rows done"]);
    assert!(lines.stdout.lines().all(|line| line.starts_with("{\"index\":")), "{lines:?}");
    let both = lab.run(&format!("{MAP} --dir made/here --out any.txt"));
    both.ends_with(0, &[&warning("any.txt"), "details: made/here/"]);
    assert_eq!(fs::read_to_string(lab.path("any.txt")).unwrap().lines().count(), 2);
    // With both flags, --out is the folder, also with the extension of a file.
    lab.run(&format!("{MAP} --out dir.jsonl --results r.jsonl")).ends_with(0, &["details: dir.jsonl/"]);
    assert!(lab.path("dir.jsonl/antiphon.db").is_file() && lab.path("r.jsonl").is_file());
}

#[test]
fn exports_and_reports_still_take_a_file_from_out() {
    let server = Server::start([Reply::chat("words", "stop")]);
    let lab = lab(&server.url("/v1"), 2);
    lab.run(MAP).ends_with(0, &[]);
    lab.run("runs export latest --out x.csv")
        .ends_with(0, &["x.csv is used as the file for results; use --results x.csv"]);
    assert!(
        fs::read_to_string(lab.path("x.csv")).unwrap().starts_with("\"index\",\"row.name\",\"result\"\n")
    );
    lab.run("runs report latest --out page.html").ends_with(0, &["use --results page.html"]);
    assert!(fs::read_to_string(lab.path("page.html")).unwrap().contains("towns.csv with r.toml"));
    let quiet = lab.run("runs export latest --results y.csv --out antiphon-out");
    quiet.ends_with(0, &[]);
    assert_eq!(
        (quiet.stderr.as_str(), fs::read(lab.path("y.csv")).ok()),
        ("wrote 2 results as csv to y.csv\n", fs::read(lab.path("x.csv")).ok())
    );
    lab.run("runs export latest --results - --format csv").ends_with(0, &[]);
    // The partial file of another writer, such as a run in progress.
    lab.file("r.jsonl.part", "{}");
    lab.run("runs export latest --results r.jsonl").ends_with(0, &[]);
    assert_eq!(fs::read_to_string(lab.path("r.jsonl.part")).unwrap(), "{}");
    lab.run("runs export latest --dir antiphon-out --out z.csv").ends_with(0, &["use --results z.csv"]);
    assert_eq!(fs::read(lab.path("z.csv")).ok(), fs::read(lab.path("x.csv")).ok());
    lab.run("runs list --out nowhere").ends_with(2, &["there are no runs in nowhere"]);
}

#[test]
fn names_of_flags_before_this_release_are_still_understood() {
    let server = Server::start([Reply::chat("words", "stop")]);
    let lab = lab(&server.url("/v1"), 3);
    lab.run(&format!("{MAP} --dir made --concurrency 2 --limit 2")).ends_with(0, &["details: made/"]);
    let shown: Value = serde_json::from_str(&lab.run("runs show latest --dir made --json").stdout).unwrap();
    let limits = &shown["request"]["limits"];
    assert_eq!(
        (&shown["rows"], &limits["max_rows"], &limits["max_concurrency"]),
        (&json!(2), &json!(2), &json!(2))
    );
    for command in ["map", "generate", "content", "runs resume", "runs retry-failed", "experiment generate"] {
        let help = lab.run(&format!("{command} --help")).stdout;
        for flag in ["--max-concurrency", "--deadline", "--priority", "--attempts", "--max-cost"] {
            assert!(help.contains(flag), "{command} has no {flag}");
        }
        assert!(!help.contains("--concurrency") && !help.contains("--limit "), "{command}: {help}");
    }
}

#[test]
fn a_resumed_run_has_the_limits_of_its_newest_start() {
    let server = Server::start([Reply::chat("words", "stop"), late("words")]);
    let lab = lab(&server.url("/v1"), 3);
    let one = format!("{MAP} --max-concurrency 1");
    lab.run(&format!("{one} --deadline 1")).ends_with(4, &["the deadline has passed"]);
    lab.run(&format!("{one} --attempts 5")).ends_with(0, &["resumed run"]);
    let shown: Value = serde_json::from_str(&lab.run("runs show latest --json").stdout).unwrap();
    assert_eq!(shown["request"]["limits"]["attempts"], json!(5), "{shown}");
    assert_eq!(shown["report"]["served_models"], json!({ "served-1": 3 }), "of both sessions");
}

#[cfg(unix)]
#[test]
fn answers_that_cannot_be_stored_are_among_the_results() {
    let server = Server::start([Reply::chat(&"words ".repeat(100), "stop")]);
    let lab = lab(&server.url("/v1"), 200);
    let program = lab.command(&format!("{MAP} --json --max-concurrency 4 --results r.jsonl"));
    // No file may have more than 256 KiB: the journal's log needs that before the results do.
    let limited = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", limited]).arg(program.get_program()).args(program.get_args());
    shell.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(program.get_current_dir().unwrap());
    let ran = Ran::new(shell.output().unwrap());
    assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
    let results = fs::read_to_string(lab.path("r.jsonl")).unwrap().lines().count();
    assert!(results < 200, "all could be stored");
    assert_eq!(results, server.requests().len(), "{}", ran.stderr);
}
