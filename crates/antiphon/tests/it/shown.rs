//! Figures and messages of runs that were stopped, killed, or are one of several: they agree with each other and with the store.

use std::process::{Command, Stdio};
use std::time::Duration;

use antiphon_sim::{Latency, Scenario};
use serde_json::{Value, json};

use crate::map::{Bench, map, report};
use crate::program::{Lab, Ran};

fn slow() -> Scenario {
    Scenario::default().answer_tokens(40).latency(Latency::Fixed(Duration::from_millis(60)))
}

fn show(lab: &Lab, more: &str) -> Ran {
    let ran = lab.run(&format!("runs show latest {more}"));
    ran.ends_with(0, &[]);
    ran
}

#[track_caller]
fn has(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn a_run_that_was_stopped_resumed_and_killed_is_interrupted_and_its_calls_are_possibly_billed() {
    let bench = Bench::new(slow(), 400);
    bench.map("--max-cost 0.01 --max-concurrency 4").ends_with(6, &[]);
    let stopped = report(&show(&bench.lab, "--json"));
    assert_eq!((&stopped["status"], stopped["ended_at"].is_string()), (&json!("stopped"), true));
    assert_eq!(stopped["possibly_billed_calls"], 0);
    let answered = bench.stats().answered;
    bench.lab.kill_in(".", &map("--max-cost 1 --max-concurrency 4"), || {
        let stats = bench.stats();
        stats.answered > answered + 4 && stats.in_flight >= 3
    });
    let killed = report(&show(&bench.lab, "--json"));
    assert_eq!((&killed["status"], &killed["ended_at"]), (&json!("interrupted"), &Value::Null), "{killed}");
    let calls = killed["possibly_billed_calls"].as_u64().unwrap();
    assert!((1..=4).contains(&calls) && killed["possibly_billed_usd_micros"].as_u64() > Some(0), "{killed}");
    let shown = show(&bench.lab, "").stdout;
    has(
        &shown,
        &[
            "ended      not yet\n",
            "without an answer, possibly billed, at most $",
            " more\n",
            " not counted\n",
        ],
    );
    has(&bench.lab.run("runs list").stdout, &["interrupted", "up to $"]);
    bench.map("--max-cost 1").ends_with(0, &["possibly billed: "]);
    let resumed = report(&show(&bench.lab, "--json"));
    assert_eq!(resumed["possibly_billed_calls"], calls, "the next session finds the same calls");
}

#[test]
fn nothing_is_said_to_cost_nothing_while_its_price_is_not_known() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_secs(3_600))), 9);
    let config = std::fs::read_to_string(bench.lab.path("antiphon.toml")).unwrap();
    bench.lab.file("antiphon.toml", config.split("[prices").next().unwrap());
    bench.lab.kill_in(".", &map("--yes --max-concurrency 2"), || bench.stats().in_flight == 2);
    has(
        &show(&bench.lab, "").stdout,
        &["cost       unknown\n", "2 calls without an answer, possibly billed\n"],
    );
    has(&bench.lab.run("runs list").stdout, &["cost unknown"]);
}

#[test]
fn the_budget_error_has_the_figures_of_the_summary() {
    let bench = Bench::new(Scenario::default().answer_tokens(40), 400);
    let ran = bench.map("--max-cost 0.02 --json");
    ran.ends_with(6, &[]);
    let spent = report(&ran)["cost_usd_micros"].as_u64().unwrap();
    let spent = format!("is used up: ${:.4} spent", spent as f64 / 1e6);
    ran.ends_with(6, &[&spent]);
}

#[test]
fn rows_that_were_not_all_read_are_said_to_be_those_read_so_far() {
    let bench = Bench::new(slow(), 40_000);
    let ran = bench.map("--max-cost 0.003 --max-concurrency 4 --json");
    ran.ends_with(6, &[]);
    let (summary, info) = (report(&ran), report(&show(&bench.lab, "--json")));
    assert_eq!((&summary["rows_are_all"], &info["rows_are_all"]), (&json!(false), &json!(false)));
    assert_eq!(summary["rows"], info["rows"], "the report has all rows that are stored");
    has(&show(&bench.lab, "").stdout, &[" left of the rows read so far\n"]);
    has(&bench.lab.run("runs list").stdout, &[&format!("/{}+ ", info["rows"])]);
}

#[test]
fn answers_that_arrive_after_the_reader_has_gone_are_counted() {
    let bench = Bench::new(slow(), 200);
    let line = map("--results - --max-concurrency 16");
    let program = bench.lab.command("").get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("\"$0\" {line} | head -1")]).arg(program);
    shell.current_dir(bench.lab.path("")).env("HOME", bench.lab.path("")).stdin(Stdio::null());
    Ran::new(shell.output().unwrap()).ends_with(0, &["its results are no longer read"]);
    let info = report(&show(&bench.lab, "--json"));
    let served: u64 =
        info["report"]["served_models"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(info["accepted"], served, "{info}");
}

#[test]
fn a_dry_run_without_a_model_has_no_tokens() {
    let ran = Lab::new().run("generate in --offline --dry-run");
    ran.ends_with(0, &[]);
    has(&ran.stdout, &["2 documents in in: drafts by text statistics, no model is called, no cost\n"]);
}

#[test]
fn a_run_in_which_no_row_failed_has_nothing_to_retry() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.map("").ends_with(0, &[]);
    let ran = bench.lab.run("runs retry-failed latest");
    ran.ends_with(2, &["no row of run ", " has failed: there is nothing to retry"]);
    assert!(!ran.stderr.contains("runs resume"), "{ran:?}");
}

#[test]
fn a_negative_budget_is_no_unknown_flag() {
    let bench = Bench::new(Scenario::default(), 3);
    let ran = bench.map("--max-cost -1");
    ran.ends_with(2, &["expected an amount of US dollars from 0"]);
    assert_eq!(bench.stats().requests, 0);
}

#[test]
fn events_and_messages_of_several_paths_name_the_path() {
    let lab = Lab::new();
    let ran = lab.run("generate in/p1.txt in/p2.md --each --offline --count 1 --progress json");
    let events: Vec<Value> = ran.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for name in ["started", "loaded", "job_finished"] {
        let inputs: Vec<_> =
            events.iter().filter(|event| event["event"] == name).map(|event| &event["input"]).collect();
        assert!(
            inputs.contains(&&json!("in/p1.txt")) && inputs.contains(&&json!("in/p2.md")),
            "{name}: {events:?}"
        );
    }
    let ran = lab.run("generate in/p1.txt in/p2.md --each --offline --count 1 --fresh --progress plain");
    has(
        &ran.stderr,
        &["\nloading in/p1.txt\n", "\nin/p1.txt: verifying quotes\n", "\nin/p2.md: verifying quotes\n"],
    );
    assert_eq!(ran.stderr.matches("provider: ").count(), 1, "{ran:?}");
}

/// Runs the program without the right to write: as it is, or as root by another user's id.
#[cfg(target_os = "linux")]
fn run_without_rights(lab: &Lab, line: &str) -> Ran {
    let program = lab.command(line);
    let mut command = Command::new("sh");
    let as_other = "if [ \"$(id -u)\" = 0 ]; then exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"; fi; exec \"$@\"";
    command.args(["-c", as_other, "sh"]).arg(lab.path("antiphon-program")).args(program.get_args());
    command.current_dir(lab.path("")).env("HOME", lab.path("")).stdin(Stdio::null());
    Ran::new(command.output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn an_archive_is_read_and_a_folder_that_cannot_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    // A copy, since the folder of the program may not be readable for another user.
    std::fs::copy(lab.command("").get_program(), lab.path("antiphon-program")).unwrap();
    lab.run("generate in --offline --count 1").ends_with(0, &[]);
    let set =
        |path: &str, mode| std::fs::set_permissions(lab.path(path), PermissionsExt::from_mode(mode)).unwrap();
    std::fs::create_dir(lab.path("ro")).unwrap();
    for (path, mode) in [
        ("", 0o755),
        ("in", 0o755),
        ("antiphon-out", 0o555),
        ("antiphon-out/antiphon.db", 0o444),
        ("ro", 0o555),
    ] {
        set(path, mode);
    }
    for line in ["runs list", "runs show latest", "runs export latest --results -"] {
        let ran = run_without_rights(&lab, line);
        ran.ends_with(0, &[]);
        assert!(!ran.stdout.is_empty(), "{line}: {ran:?}");
    }
    let ran = run_without_rights(&lab, "runs delete latest --yes");
    ran.ends_with(4, &["no permission to write", "allow writing to antiphon-out, or copy it", "--out"]);
    // Changes in a log that cannot be read without an index beside it.
    set("antiphon-out", 0o755);
    std::fs::write(lab.path("antiphon-out/antiphon.db-wal"), [7; 4096]).unwrap();
    set("antiphon-out/antiphon.db-wal", 0o444);
    set("antiphon-out", 0o555);
    let ran = run_without_rights(&lab, "runs list");
    ran.ends_with(
        3,
        &["antiphon.db-wal, which cannot be read", "copy both files", "allow writing to antiphon-out"],
    );
    let ran = run_without_rights(&lab, "generate in --offline --count 1 --out ro");
    ran.ends_with(
        3,
        &["error: cannot write into ro: permission denied\n", "name a place that can be written: --out"],
    );
    ["antiphon-out", "ro"].iter().for_each(|path| set(path, 0o755));
}

#[cfg(target_os = "linux")]
#[test]
fn a_question_is_on_a_line_of_its_own() {
    let bench = Bench::new(Scenario::default(), 9);
    let config = std::fs::read_to_string(bench.lab.path("antiphon.toml")).unwrap();
    bench.lab.file("antiphon.toml", config.replace("output = 4.0", "output = 40000.0"));
    let line = "map towns.csv -r r.toml --provider sim --model m";
    let program = bench.lab.command("").get_program().to_string_lossy().into_owned();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("{program} {line}"), "/dev/null"]).stdin(Stdio::null());
    terminal.current_dir(bench.lab.path("")).env("HOME", bench.lab.path("")).env("TERM", "xterm");
    let ran = Ran::new(terminal.output().unwrap());
    let lines = crate::events::screen(&ran.stdout);
    let question = lines.iter().find(|line| line.contains("Continue?")).unwrap();
    assert!(question.starts_with("this run may cost $") && question.contains(" up to $"), "{lines:#?}");
}
