//! Stderr and stdout as other programs read them: events, one summary, and results of one format.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use antiphon_sim::{Latency, Scenario};
use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use crate::interrupt::signal;
use crate::map::{Bench, lab, map};
use crate::program::{Lab, Ran, json_file};

/// Checks that each line of stderr is an event, the first one of the schema and the last one the summary, and returns them.
#[track_caller]
fn events(ran: &Ran, code: i32) -> Vec<Value> {
    let parsed: Vec<Option<Value>> = ran.stderr.lines().map(|line| serde_json::from_str(line).ok()).collect();
    assert!(parsed.iter().all(Option::is_some), "not all is JSON: {ran:?}");
    let events: Vec<Value> = parsed.into_iter().flatten().collect();
    assert!(events.iter().all(|event| event["event"].is_string()), "{events:?}");
    assert_eq!(events[0], json!({ "event": "schema", "schema": "antiphon.event/3" }));
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&json!("summary"), &json!(code)), "{ran:?}");
    assert_eq!(ran.code, Some(code), "{ran:?}");
    events
}

/// Returns the events of a name.
fn named<'e>(events: &'e [Value], name: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

#[test]
fn a_run_over_rows_is_events_from_the_first_line_to_the_last() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.lab.file("towns.csv", "name,number\nUlm,1\nBonn,2,3\nKiel,4\n");
    let line = "map towns.csv -r r.toml --provider sim --model m --progress json";
    let all = events(&bench.lab.run(&format!("{line} --dry-run")), 0);
    assert_eq!(all.last().unwrap()["outcome"]["schema"], "antiphon.estimate/1");
    let all = events(&bench.lab.run(line), 4);
    assert_eq!(named(&all, "connected")[0]["offline"], false);
    assert_eq!(named(&all, "progress").last().unwrap()["failed"], 1);
    let warning = named(&all, "warning")[0]["message"].as_str().unwrap().to_owned();
    assert_eq!(warning, "1 row failed: bad_row; towns.csv:3: this row has 3 fields and the header has 2");
    assert!(named(&all, "hint")[0]["message"].as_str().unwrap().contains("antiphon runs retry-failed "));
    let outcome = &all.last().unwrap()["outcome"];
    assert_eq!((&outcome["schema"], &outcome["accepted"]), (&json!("antiphon.map/1"), &json!(2)));
    events(&bench.lab.run(&format!("{line} --json --fresh")), 4);
    events(&bench.lab.run("runs resume latest --progress json"), 4);
    events(&bench.lab.run("runs retry-failed latest --progress json"), 4);
    assert_eq!(bench.lab.run(&format!("{line} --fresh --quiet")).stderr, "");
}

#[test]
fn runs_over_documents_and_notes_are_events() {
    let lab = Lab::new();
    lab.file("in/bad.json", "{\n \"a\": 1,\n}");
    lab.file("in/picture.png", "x");
    lab.file("ada.md", "# Ada\n\nI weave engines of brass and cards.\n");
    let all = events(&lab.run("generate in --offline --count 1 --progress json"), 4);
    assert_eq!(named(&all, "loaded")[0]["documents"], 2);
    assert_eq!(named(&all, "warning").len(), 2, "{all:?}");
    let run = &all.last().unwrap()["outcome"]["runs"][0];
    assert!(run["report"].is_object() && run.get("personas").is_none(), "{run}");
    let all = events(&lab.run("content ada.md --offline --progress json"), 0);
    assert!(named(&all, "next")[0]["command"].as_str().unwrap().starts_with("antiphon runs report "));
    lab.run("experiment create goats").ends_with(0, &[]);
    lab.run("experiment add goats in/p1.txt in/p2.md").ends_with(0, &[]);
    events(&lab.run("experiment generate goats --offline --count 1 --progress json"), 0);
    events(&lab.run("runs resume latest --out experiments/goats/outputs --progress json"), 0);
    events(&lab.run("generate in --offline --progress json --dry-run"), 0);
}

#[test]
fn errors_before_a_run_are_events() {
    let lab = Lab::new();
    lab.file("r.toml", "prompt = \"{{ n }}\"\n");
    let error = |line: &str, code: i32| {
        let all = events(&lab.run(&format!("{line} --progress json")), code);
        let error = named(&all, "error")[0].clone();
        assert_eq!(error["exit_code"], code);
        assert_eq!(all.last().unwrap()["errors"][0]["message"], error["message"]);
        error["message"].as_str().unwrap().to_owned()
    };
    assert!(error("map none.csv -r r.toml --offline", 2).contains("offline"));
    assert!(error("map none.csv -r none.toml", 2).contains("none.toml"));
    assert!(error("generate missing --offline", 2).contains("missing"));
    assert!(error("runs resume 0000", 2).contains("0000"));
    assert!(error("generate in --offline --count 0", 2).contains("--count"));
    assert!(error("experiment generate none", 2).contains("none"));
    lab.file("antiphon.toml", "provder = \"x\"\n");
    assert!(error("generate in", 3).contains("provder"));
    let quiet = lab.run("generate in --progress json --quiet");
    let only: Value = serde_json::from_str(&quiet.stderr).unwrap();
    assert_eq!(only["event"], "error");
}

#[test]
fn the_log_is_events() {
    let fails = Reply::json(500, &json!({ "error": { "message": "a moment, \"please\"" } }));
    let server = Server::start([fails, Reply::chat("one", "stop")]);
    let lab = lab(&server.url("/v1"), 1);
    let all = events(&lab.run("map towns.csv -r r.toml --provider sim --model m --progress json"), 0);
    let log = named(&all, "log");
    assert!(!log.is_empty(), "{all:?}");
    assert_eq!(log[0]["level"], "warn");
    assert!(log[0]["message"].as_str().unwrap().contains("a moment, \"please\""), "{log:?}");
}

/// Waits until stderr has a line with a text, and returns what it has so far.
fn wait_for(stderr: &mut impl BufRead, text: &str) -> String {
    let mut said = String::new();
    while !said.contains(text) {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    said
}

/// Waits for the end of a program whose stderr is read by the test.
fn ended(mut child: Child, said: String, mut stderr: impl BufRead) -> Ran {
    let mut ran = Ran { code: None, stdout: String::new(), stderr: said };
    stderr.read_to_string(&mut ran.stderr).unwrap();
    ran.code = child.wait().unwrap().code();
    ran
}

#[test]
fn an_interruption_is_events() {
    for (signals, code) in [(&["-INT", "-INT"][..], 130), (&["-TERM"][..], 143)] {
        let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_secs(3_600))), 3);
        let line = "map towns.csv -r r.toml --provider sim --model m --progress json";
        let mut command = bench.lab.command(line);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        while bench.stats().in_flight < 3 {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        signal(&child, signals[0]);
        let mut said = String::new();
        for name in &signals[1..] {
            said.push_str(&wait_for(&mut stderr, "press Ctrl-C again"));
            signal(&child, name);
        }
        let all = events(&ended(child, said, stderr), code);
        let resumes =
            |event: &&&Value| event["message"].as_str().is_some_and(|text| text.contains("to resume"));
        assert_eq!(named(&all, "note").iter().filter(resumes).count(), 1, "{all:?}");
    }
}

#[test]
fn with_results_on_stdout_the_summary_is_the_last_on_stderr() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.lab.file("towns.csv", "name,number\nUlm,1\nBonn,2,3\nKiel,4\n");
    let ran = bench.map("--results - --summary s.json");
    ran.ends_with(4, &["1 row failed"]);
    let rows: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.iter().map(|row| row["index"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(2)]);
    assert!(ran.stderr.lines().last().unwrap().starts_with("2 of 3 rows done, 1 failed"), "{}", ran.stderr);
    let summary = json_file(&bench.lab.path("s.json"));
    assert_eq!((&summary["event"], &summary["exit_code"]), (&json!("summary"), &json!(4)));
    assert_eq!(summary["outcome"]["accepted"], 2);
    let rows =
        bench.lab.run("map towns.csv -r r.toml --provider sim --model m --results - --fresh --progress json");
    events(&rows, 4);
    assert_eq!(rows.stdout, ran.stdout);
}

#[test]
fn two_formats_on_stdout_are_refused() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.map("--results - --json").ends_with(2, &["cannot print both", "--summary FILE"]);
    bench.map("--results /dev/fd/1 --json").ends_with(2, &["cannot print both"]);
    bench.map("--summary -").ends_with(2, &["cannot write the summary to stdout", "--json"]);
    assert_eq!(bench.stats().requests, 0);
}

#[test]
fn a_summary_replaces_only_an_earlier_one() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.lab.file("mine.json", "{\"a\": 1}");
    bench.map("--summary mine.json").ends_with(2, &["mine.json: file exists already, and is no summary"]);
    bench.map("--summary towns.csv/s.json").ends_with(3, &["towns.csv"]);
    assert_eq!((bench.stats().requests, json_file(&bench.lab.path("mine.json"))), (0, json!({ "a": 1 })));
    bench.map("--summary s.json --results towns.csv/out.jsonl").ends_with(3, &[]);
    let failed = json_file(&bench.lab.path("s.json"));
    assert_eq!((&failed["exit_code"], &failed["outcome"]), (&json!(3), &Value::Null));
    assert!(failed["errors"][0]["message"].as_str().unwrap().contains("towns.csv"), "{failed}");
    bench.map("--summary s.json").ends_with(0, &[]);
    assert_eq!(json_file(&bench.lab.path("s.json"))["outcome"]["accepted"], 3);
    bench.map("--summary out.jsonl --results out.jsonl --fresh").ends_with(2, &["cannot write the summary"]);
    assert_eq!(fs::read_to_string(bench.lab.path("out.jsonl")).unwrap().lines().count(), 3);
}

#[test]
fn head_gets_its_line_and_the_run_resumes() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(5))), 600);
    let line = map("--results - --max-concurrency 4");
    let program = bench.lab.command("").get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{{ \"$0\" {line}; echo \"code $?\" >&2; }} | head -1")]).arg(program);
    shell.current_dir(bench.lab.path("")).env("HOME", bench.lab.path("")).stdin(Stdio::null());
    let ran = Ran::new(shell.output().unwrap());
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    assert!(ran.stdout.starts_with("{\"index\":0,"), "{ran:?}");
    ran.ends_with(0, &["stopped: its results are no longer read", "code 0"]);
    let said = ran.stderr.to_lowercase();
    assert!(!said.contains("panic") && !said.contains("broken pipe") && !said.contains("error"), "{said}");
    let kept = bench.stats().answered;
    let resumed = bench.lab.run("runs resume latest");
    resumed.ends_with(0, &["600 of 600 rows done"]);
    assert_eq!(resumed.stdout.lines().count(), 600, "all of them, in order");
    assert!(kept < 600 && bench.stats().answered == 600, "{kept}: no row is paid for twice");
}

#[test]
fn a_finished_run_names_its_next_command_once() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.lab.file("ada.md", "# Ada\n\nI weave engines of brass and cards.\n");
    bench.lab.run("experiment create goats").ends_with(0, &[]);
    bench.lab.run("experiment add goats in/p1.txt in/p2.md").ends_with(0, &[]);
    let offline = "--offline --count 1";
    for line in [
        map("--out some/where"),
        map("--results -"),
        format!("generate in {offline}"),
        format!("generate in/p1.txt in/p2.md {offline} --out other"),
        "content ada.md --offline".to_owned(),
        format!("experiment generate goats {offline}"),
        "runs resume latest --out other".to_owned(),
    ] {
        let ran = bench.lab.run(&line);
        ran.ends_with(0, &[]);
        let next: Vec<&str> =
            ran.stderr.lines().filter_map(|line| line.strip_prefix("next: antiphon ")).collect();
        assert_eq!(next.len(), 1, "{line}: {ran:?}");
        let followed = bench.lab.run(next[0]);
        followed.ends_with(0, &[]);
        assert!(followed.stdout.ends_with("report.html\n"), "{line}: {followed:?}");
    }
    let ran = bench.map("--json");
    assert!(!ran.stderr.contains("next:"), "{ran:?}");
}

/// Plays what a program wrote to a terminal, and returns the lines that remain.
#[cfg(target_os = "linux")]
pub(crate) fn screen(bytes: &str) -> Vec<String> {
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0_usize, 0_usize);
    let mut chars = bytes.chars();
    while let Some(c) = chars.next() {
        match c {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                let mut escape = String::new();
                for c in chars.by_ref().filter(|c| *c != '[') {
                    escape.push(c);
                    if c.is_ascii_alphabetic() {
                        break;
                    }
                }
                match escape.as_str() {
                    "2K" => lines[row].clear(),
                    "K" => lines[row].truncate(column),
                    up if up.ends_with('A') => row -= up.trim_end_matches('A').parse().unwrap_or(1).min(row),
                    _ => {}
                }
            }
            c => {
                let line: &mut Vec<char> = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    lines.into_iter().map(|line| line.into_iter().collect()).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_warning_leaves_no_old_progress_line_above_it() {
    let fails = Reply::json(500, &json!({ "error": { "message": "a moment" } }));
    let first = Reply::chat("one", "stop");
    let server = Server::start([first, fails, Reply::chat("two", "stop")]);
    let lab = lab(&server.url("/v1"), 2);
    let line = "map towns.csv -r r.toml --provider sim --model m --yes --max-concurrency 1";
    let program = lab.command("").get_program().to_string_lossy().into_owned();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("{program} {line}"), "/dev/null"]).stdin(Stdio::null());
    terminal.current_dir(lab.path("")).env("HOME", lab.path("")).env("TERM", "xterm");
    let ran = Ran::new(terminal.output().unwrap());
    assert!(ran.stdout.contains("of 2 rows"), "there was a live line: {ran:?}");
    let lines = screen(&ran.stdout);
    let warning = lines.iter().find(|line| line.contains("a moment")).unwrap();
    assert!(warning.trim_start().starts_with("WARN"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains(" in progress")), "{lines:#?}");
}
