//! `antiphon map` and `antiphon runs` against the simulator, and against scripted servers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use antiphon_sim::{Faults, Latency, Limit, Scenario, Server, Stats};
use antiphon_tests::{Reply, Server as Scripted};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::{Lab, Ran, json_file};

/// A simulator, with a lab that has rows and a recipe for it.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) server: Server,
    // The server's own.
    _runtime: Runtime,
}

const RECIPE: &str = "prompt = \"What is {{ name }} known for?\"\n[parameters]\nmax_tokens = 64\n";

impl Bench {
    pub(crate) fn new(scenario: Scenario, rows: usize) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Server::start(scenario, 0)).unwrap();
        Self { lab: lab(&format!("{}/v1", server.url()), rows), server, _runtime: runtime }
    }

    pub(crate) fn map(&self, more: &str) -> Ran {
        self.lab.run(&map(more))
    }

    pub(crate) fn stats(&self) -> Stats {
        self.server.stats()
    }
}

pub(crate) fn lab(url: &str, rows: usize) -> Lab {
    let lab = Lab::new();
    let table: String = (0..rows).map(|n| format!("Town {n},{n}\n")).collect();
    lab.file("towns.csv", format!("name,number\n{table}"));
    lab.file("r.toml", RECIPE);
    lab.file(
        "antiphon.toml",
        format!("[providers.sim]\nkind = \"compatible\"\nbase_url = \"{url}\"\n[prices.sim.m]\ninput = 1.0\noutput = 4.0\n"),
    );
    lab
}

pub(crate) fn map(more: &str) -> String {
    format!("map towns.csv -r r.toml --provider sim --model m --progress none {more}")
}

pub(crate) fn report(ran: &Ran) -> Value {
    let report = serde_json::from_str(&ran.stdout);
    assert!(report.is_ok(), "{ran:?}");
    report.unwrap()
}

fn lines(path: PathBuf) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_row_takes_one_call_and_the_same_command_again_none() {
    let bench = Bench::new(Scenario::default(), 30);
    let ran = bench.map("--results results.jsonl");
    ran.ends_with(0, &["provider: sim at", "details: antiphon-out"]);
    assert!(ran.stdout.starts_with("30 of 30 rows done, 30 calls"), "{ran:?}");
    let results = lines(bench.lab.path("results.jsonl"));
    assert_eq!(results.len(), 30);
    assert_eq!(results[7]["index"], 7);
    assert_eq!(results[7]["row"], json!({"name": "Town 7", "number": "7"}));
    assert!(results[7]["result"].is_string());
    fs::remove_file(bench.lab.path("results.jsonl")).unwrap();
    let again = bench.map("--results results.jsonl");
    again.ends_with(0, &["already finished", "0 calls"]);
    assert_eq!((bench.stats().requests, lines(bench.lab.path("results.jsonl")).len()), (30, 30));
    bench.map("--fresh").ends_with(0, &[]);
    assert_eq!(bench.stats().requests, 30, "equal prompts have cached answers in the journal");
}

#[cfg(unix)]
#[test]
fn a_disk_that_fails_ends_the_run_in_one_error_and_the_same_command_resumes() {
    let bench = Bench::new(Scenario::default().answer_tokens(40), 300);
    let command = bench.lab.command(&map(""));
    // No file may grow beyond half a MiB: what is written then fails with an error that is no full disk.
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", r#"trap "" XFSZ; ulimit -f 1000; exec "$0" "$@""#]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(bench.lab.path("")).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = limited.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.matches("error:").count() == 1 && stderr.contains("antiphon.db"), "{stderr}");
    let asked = bench.stats().requests;
    assert!((1..300).contains(&asked), "{asked}: it started, and did not finish");
    bench.map("--results results.jsonl").ends_with(0, &["resumed run"]);
    assert_eq!(lines(bench.lab.path("results.jsonl")).len(), 300);
    assert!(bench.stats().requests < 600, "stored answers are not requested again");
}

#[test]
fn a_budget_holds_and_a_higher_one_resumes() {
    let bench = Bench::new(Scenario::default().answer_tokens(40), 200);
    let ran = bench.map("--fresh --max-cost 0.01 --json");
    ran.ends_with(6, &["is used up", "--max-cost", "without --fresh to resume"]);
    let first = report(&ran);
    let (spent, left) = (first["cost_usd_micros"].as_u64().unwrap(), first["left"].as_u64().unwrap());
    assert!((9_500..=10_000).contains(&spent) && left > 0, "{spent} {left}");
    assert_eq!(
        (first["stopped_by"][0].as_str(), first["status"].as_str()),
        (Some("budget"), Some("stopped"))
    );
    let ran = bench.map("--max-cost 1 --json");
    ran.ends_with(0, &["resumed run"]);
    let second = report(&ran);
    assert_eq!(
        (second["accepted"].as_u64(), second["run_id"].as_str()),
        (Some(200), first["run_id"].as_str())
    );
    let stats = bench.stats();
    assert_eq!(second["output_tokens"], stats.billed_output_tokens);
    assert_eq!(second["input_tokens"], stats.billed_input_tokens);
}

#[test]
fn a_budget_without_a_price_is_refused_before_any_call() {
    let bench = Bench::new(Scenario::default(), 3);
    let ran = bench.lab.run("map towns.csv -r r.toml --provider sim --model other --max-cost 1");
    ran.ends_with(2, &["the price of other is not known", "[prices]"]);
    assert_eq!(bench.stats().requests, 0);
}

#[test]
fn limits_and_faults_cost_no_row() {
    let faults = Faults::default().error(0.05).reset(0.05).overloaded(0.02);
    let scenario = Scenario::default().requests(Limit::per_second(200.0, 20)).faults(faults).seed(3);
    let bench = Bench::new(scenario, 150);
    let ran = bench.map("--json");
    ran.ends_with(0, &[]);
    let report = report(&ran);
    assert_eq!((report["accepted"].as_u64(), report["failed"].as_u64()), (Some(150), Some(0)));
    let broken = bench.stats().resets;
    assert!(broken > 0 && report["possibly_billed"]["calls"].as_u64() <= Some(broken + bench.stats().errors));
}

#[test]
fn failed_rows_are_listed_with_their_errors_and_can_be_run_again() {
    let bench = Bench::new(Scenario::default(), 0);
    bench.lab.file("rows.jsonl", "{\"name\": \"a\"}\n{\"name\": \n{\"nom\": \"c\"}\n{\"name\": \"d\"}\n");
    let command = "map rows.jsonl -r r.toml --provider sim --model m --json";
    let ran = bench.lab.run(command);
    ran.ends_with(4, &["2 rows failed: bad_row", "correct the rows that cannot be used in the input"]);
    assert!(!ran.stderr.contains("retry the failed rows"), "{}", ran.stderr);
    let failed = lines(bench.lab.path(report(&ran)["failed_rows"].as_str().unwrap()));
    assert_eq!(failed.len(), 2);
    assert!(failed[0]["_antiphon"]["message"].as_str().unwrap().contains("rows.jsonl:2: not valid JSON"));
    assert!(failed[1]["_antiphon"]["message"].as_str().unwrap().contains("the row has nom"));
    assert_eq!(failed[1]["nom"], "c");
    bench.lab.file("r.toml", "prompt = \"{{ nom }}\"");
    let failed = report(&ran)["failed_rows"].as_str().unwrap().to_owned();
    let rows = fs::read_to_string(bench.lab.path(&failed)).unwrap();
    bench.lab.file("again.jsonl", rows.lines().last().unwrap());
    bench.lab.run("map again.jsonl -r r.toml --provider sim --model m").ends_with(0, &[]);
}

#[test]
fn equal_rows_are_deduplicated() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(30))), 0);
    bench.lab.file("rows.jsonl", "{\"name\": \"a\"}\n".repeat(40));
    let ran = bench.lab.run("map rows.jsonl -r r.toml --provider sim --model m --json");
    let report = report(&ran);
    assert_eq!((report["accepted"].as_u64(), report["cached"].as_u64()), (Some(40), Some(39)));
    assert_eq!(bench.stats().requests, 1);
}

#[test]
fn rows_come_from_stdin_and_results_go_to_stdout_alone() {
    let bench = Bench::new(Scenario::default(), 0);
    let line = "map - -r r.toml --provider sim --model m --results - --max-concurrency 3";
    let mut child = bench
        .lab
        .command(line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"[{\"name\": \"x\"}, {\"name\": \"y\"}]").unwrap();
    let ran = Ran::new(child.wait_with_output().unwrap());
    ran.ends_with(0, &["2 of 2 rows done"]);
    let results: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((results.len(), &results[1]["row"]["name"]), (2, &json!("y")));
}

#[test]
fn a_reader_that_has_enough_ends_the_run_quietly() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(5))), 5_000);
    let line = map("--results - --max-concurrency 4 --yes");
    let mut child = bench.lab.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert!(first.starts_with("{\"index\":0"), "{first}");
    ran.ends_with(0, &["its results are no longer read"]);
    assert!(bench.stats().requests < 5_000 && !ran.stderr.contains("error"), "{ran:?}");
}

#[test]
fn ctrl_c_finishes_calls_in_progress_and_the_same_command_resumes() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(40))), 400);
    let line = map("--max-concurrency 8 --json");
    let child = bench.lab.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while bench.stats().answered < 20 {
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    assert!(Command::new("sh").args(["-c", "kill -INT \"$0\"", &id]).status().unwrap().success());
    let ran = Ran::new(child.wait_with_output().unwrap());
    ran.ends_with(130, &["run the same command again to resume"]);
    let first = report(&ran);
    assert_eq!(
        (first["stopped_by"][0].as_str(), first["possibly_billed"]["calls"].as_u64()),
        (Some("interrupted"), Some(0))
    );
    let ran = bench.map("--json");
    ran.ends_with(0, &[]);
    assert_eq!((report(&ran)["accepted"].as_u64(), bench.stats().requests), (Some(400), 400));
}

#[test]
fn sigterm_stops_at_once_and_counts_the_aborted_calls() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(100))), 60);
    let line = map("--max-concurrency 8 --json");
    let child = bench.lab.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while bench.stats().answered < 8 || bench.stats().in_flight == 0 {
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    assert!(Command::new("sh").args(["-c", "kill -TERM \"$0\"", &id]).status().unwrap().success());
    let ran = Ran::new(child.wait_with_output().unwrap());
    ran.ends_with(143, &["run the same command again to resume"]);
    let lost = report(&ran)["possibly_billed"]["calls"].as_u64().unwrap();
    assert!((1..=8).contains(&lost), "{lost}");
    let ran = bench.map("--json");
    ran.ends_with(0, &["possibly billed: "]);
    let requests = bench.stats().requests;
    assert_eq!(report(&ran)["accepted"].as_u64(), Some(60));
    assert!(requests <= 60 + lost, "{requests}");
}

#[test]
fn progress_is_reported_as_json_and_not_at_all_when_quiet() {
    let bench = Bench::new(Scenario::default(), 3);
    let stderr = bench.lab.run("map towns.csv -r r.toml --provider sim --model m --progress json").stderr;
    let mut events = stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = events.rfind(|event| event["event"] == "progress").unwrap();
    assert_eq!(last["accepted"], 3);
    let quiet = bench.lab.run(&format!("{} -q", map("--fresh")));
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_exhausted_quota_stops_the_run_which_can_be_resumed() {
    let broke = json!({ "error": { "message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota" } });
    let server =
        Scripted::start([Reply::chat("one", "stop"), Reply::json(429, &broke), Reply::chat("two", "stop")]);
    let lab = lab(&server.url("/v1"), 2);
    let first = lab.run(&map("--max-concurrency 1 --json"));
    first.ends_with(3, &["exceeded your current quota", "run the same command again to resume"]);
    assert_eq!((report(&first)["accepted"].as_u64(), report(&first)["left"].as_u64()), (Some(1), Some(1)));
    let second = lab.run(&map("--max-concurrency 1 --json"));
    second.ends_with(0, &[]);
    assert_eq!((report(&second)["accepted"].as_u64(), server.requests().len()), (Some(2), 3));
}

#[test]
fn whole_elements_of_a_cut_answer_are_kept_and_only_the_rest_is_requested() {
    let cut = Reply::chat("{\"items\": [{\"n\": 1}, {\"n\": 2}, {\"n\"", "length");
    let rest = Reply::chat("{\"items\": [{\"n\": 3}]}", "stop");
    let server = Scripted::start([cut, rest]);
    let lab = lab(&server.url("/v1"), 1);
    lab.file(
        "r.toml",
        "prompt = \"{{ name }}\"\nschema = { type = \"object\", required = [\"items\"], properties = { items = { type = \"array\", minItems = 3, maxItems = 3, items = { type = \"object\", required = [\"n\"] } } } }",
    );
    let ran = lab.run(&map("--results out.jsonl"));
    ran.ends_with(0, &[]);
    assert_eq!(lines(lab.path("out.jsonl"))[0]["result"], json!({"items": [{"n": 1}, {"n": 2}, {"n": 3}]}));
    let asked = &server.requests()[1].body;
    assert!(asked.to_string().contains("These 2 elements of /items are whole"), "{asked}");
}

#[test]
fn an_invalid_answer_is_retried_with_the_reason() {
    let server = Scripted::start([
        Reply::chat("no mail", "stop"),
        Reply::chat("a@b", "stop"),
        Reply::chat("no", "stop"),
        Reply::chat("never", "stop"),
    ]);
    let lab = lab(&server.url("/v1"), 2);
    lab.file("r.toml", "prompt = \"{{ name }}\"\n[[check]]\nregex = \"@\"");
    let ran = lab.run(&map("--max-concurrency 1 --json"));
    ran.ends_with(4, &["1 row failed: schema_mismatch", "it does not match @"]);
    assert_eq!((report(&ran)["accepted"].as_u64(), report(&ran)["calls"].as_u64()), (Some(1), Some(4)));
    assert!(server.requests()[1].body.to_string().contains("it does not match @"));
}

#[test]
fn the_estimate_makes_no_call_and_the_run_keeps_to_it() {
    let scenario = Scenario::default().latency(Latency::Fixed(Duration::from_millis(20))).answer_tokens(24);
    let bench = Bench::new(scenario, 120);
    let blind: Value = report(&bench.map("--dry-run --json"));
    assert_eq!(
        (bench.stats().requests, &blind["calls"], &blind["millis"]),
        (0, &json!([120, 240]), &Value::Null)
    );
    assert!(!bench.lab.path("antiphon-out").exists(), "a dry run writes nothing");
    bench.map("--max-rows 30").ends_with(0, &[]);
    let planned: Value = report(&bench.map("--dry-run --json"));
    assert_eq!(
        (bench.stats().requests, &planned["cached"], &planned["based_on_calls"]),
        (30, &json!(30), &json!(30))
    );
    let real = report(&bench.map("--json"));
    let within = |value: &Value, range: &Value| {
        let (value, least, most) =
            (value.as_u64().unwrap(), range[0].as_u64().unwrap(), range[1].as_u64().unwrap());
        assert!((least..=most).contains(&value), "{value} is not within {range}");
    };
    within(&real["cost_usd_micros"], &planned["cost_usd_micros"]);
    within(&real["output_tokens"], &planned["output_tokens"]);
    within(&real["input_tokens"], &planned["input_tokens"]);
    within(&real["time"]["wall_ms"], &planned["millis"]);
    within(&real["cost_usd_micros"], &json!([0, blind["cost_usd_micros"][1]]));
}

#[test]
fn runs_are_listed_shown_compared_exported_and_resumed() {
    let bench = Bench::new(Scenario::default().answer_tokens(40), 60);
    bench.map("--max-cost 0.005").ends_with(6, &[]);
    let list: Value = serde_json::from_str(&bench.lab.run("runs list --json").stdout).unwrap();
    let id = list["runs"][0]["run_id"].as_str().unwrap().to_owned();
    assert_eq!(list["runs"][0]["status"], "stopped");
    let text = bench.lab.run("runs list").stdout;
    assert!(
        text.starts_with("RUN ") && text.contains(&id) && text.contains("towns.csv with r.toml"),
        "{text}"
    );
    bench.lab.run("runs resume latest").ends_with(6, &["is used up"]);
    bench.lab.run(&format!("runs resume {id} --max-cost 0.006")).ends_with(6, &["resumed run"]);
    let last = bench.map("");
    last.ends_with(0, &["resumed run"]);
    assert!(last.stdout.contains("total of all sessions"), "{}", last.stdout);
    let shown = bench.lab.run(&format!("runs show {id}")).stdout;
    assert!(shown.contains("finished") && shown.contains("60 done, 0 failed, 0 left"), "{shown}");
    let exported = bench.lab.run(&format!("runs export {id}")).stdout;
    assert_eq!(exported.lines().count(), 60);
    bench.map("--fresh --max-rows 50").ends_with(0, &[]);
    let runs: Value = serde_json::from_str(&bench.lab.run("runs list --json").stdout).unwrap();
    let other = runs["runs"][1]["run_id"].as_str().unwrap();
    let diff = bench.lab.run(&format!("runs diff {id} {other}")).stdout;
    let counts = "50 the same, 0 changed, 10 only in the first, 0 only in the second, 0 in neither\n";
    assert!(diff.starts_with(counts) && diff.matches("\n+ no result").count() == 10, "{diff}");
    bench.lab.run("runs show nothing").ends_with(2, &["there is no run nothing"]);
    assert!(!bench.lab.path("antiphon-out/antiphon.db-wal").exists(), "the journal is one file");
}

#[test]
fn a_resumed_run_has_the_progress_that_its_flag_asks_for() {
    let bench = Bench::new(Scenario::default().answer_tokens(40), 60);
    bench.map("--max-cost 0.005").ends_with(6, &[]);
    let ran = bench.lab.run("runs resume latest --max-cost 1 --progress json");
    ran.ends_with(0, &[]);
    let events = ran.stderr.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let counts = events.into_iter().find(|event| event["event"] == "progress");
    assert_eq!(counts.map(|counts| counts["accepted"].clone()), Some(json!(60)), "{ran:?}");
}

#[test]
fn a_comparison_says_how_many_rows_it_leaves_out() {
    let rows = 25;
    let lab = lab("http://127.0.0.1:1/v1", rows);
    for (words, prompt) in [("one", "Name {{ name }}"), ("two", "Spell {{ name }}")] {
        let server = Scripted::start([Reply::chat(words, "stop")]);
        lab.file("r.toml", format!("prompt = \"{prompt}\"\n"));
        lab.run(&map(&format!("--base-url {}", server.url("/v1")))).ends_with(0, &[]);
    }
    let list: Value = serde_json::from_str(&lab.run("runs list --json").stdout).unwrap();
    let first = list["runs"][0]["run_id"].as_str().unwrap();
    let diff = lab.run(&format!("runs diff {first} latest")).stdout;
    assert_eq!(diff.matches("\n+ \"two\"").count(), 20, "{diff}");
    assert!(
        diff.starts_with("0 the same, 25 changed")
            && diff.ends_with("\nand 5 rows more; use --all to show them\n"),
        "{diff}"
    );
    let all = lab.run(&format!("runs diff {first} latest --all")).stdout;
    assert!(all.matches("\n+ \"two\"").count() == rows && !all.contains("--all"), "{all}");
    let json: Value =
        serde_json::from_str(&lab.run(&format!("runs diff {first} latest --json")).stdout).unwrap();
    assert_eq!((&json["left_out"], json["changes"].as_array().map(Vec::len)), (&json!(5), Some(20)));
}

#[test]
fn failed_rows_of_a_run_are_retried() {
    let server = Scripted::start([Reply::chat("no", "stop"), Reply::chat("a@b", "stop")]);
    let lab = lab(&server.url("/v1"), 1);
    lab.file("r.toml", "prompt = \"{{ name }}\"\nattempts = 1\n[[check]]\nregex = \"@\"");
    lab.run(&map("")).ends_with(5, &["schema_mismatch"]);
    let list: Value = serde_json::from_str(&lab.run("runs list --json").stdout).unwrap();
    let id = list["runs"][0]["run_id"].as_str().unwrap();
    let diff = lab.run("runs diff latest latest").stdout;
    assert!(diff.contains("0 only in the second, 1 in neither"), "{diff}");
    lab.run(&format!("runs retry-failed {id}")).ends_with(0, &["details: antiphon-out"]);
    assert!(!lab.path(&format!("antiphon-out/{id}/failed.jsonl")).exists());
    assert_eq!(json_file(&lab.path(&format!("antiphon-out/{id}/run.json")))["accepted"], 1);
}

#[test]
fn mistakes_in_a_recipe_are_reported_before_any_call() {
    let bench = Bench::new(Scenario::default(), 3);
    for (recipe, expected) in [
        ("promt = \"x\"", "r.toml:1: unknown key promt; did you mean prompt?"),
        ("prompt = \"{{ nam }}\"", "does not fit the first row"),
        ("prompt = \"{{ name\"", "the prompt, line 1: syntax error"),
    ] {
        bench.lab.file("r.toml", recipe);
        bench.map("").ends_with(2, &[expected]);
    }
    bench.lab.file("r.toml", RECIPE);
    bench.lab.run("map nowhere.csv -r r.toml --provider sim --model m").ends_with(2, &["nowhere.csv"]);
    bench.lab.run("map towns.csv -r none.toml --provider sim").ends_with(2, &["none.toml"]);
    bench.lab.run("map towns.csv -r r.toml --offline").ends_with(2, &["offline: it needs a language model"]);
    bench.lab.run("map towns.csv -r r.toml --provider offline").ends_with(2, &["offline: it needs"]);
    bench.map("--max-concurrency many").ends_with(2, &["expected auto or a number of at least 1"]);
    bench.map("--no-input").ends_with(0, &[]);
    assert_eq!(bench.stats().requests, 3);
}

#[test]
fn a_server_that_is_not_there_costs_no_row() {
    let lab = lab(&antiphon_tests::refusing_url("/v1"), 60).with("ANTIPHON_RETRY_MAX", "1");
    let ran = lab.run(&map("--json"));
    ran.ends_with(5, &["onnection refused", "run the same command again to resume"]);
    assert_eq!((report(&ran)["failed"].as_u64(), report(&ran)["left"].as_u64()), (Some(0), Some(60)));
}

#[test]
fn results_do_not_overwrite_the_rows_or_the_recipe() {
    let bench = Bench::new(Scenario::default(), 3);
    for file in ["towns.csv", "./r.toml"] {
        bench.map(&format!("--results {file}")).ends_with(2, &["cannot write results to"]);
    }
    assert_eq!(bench.stats().requests, 0);
}

#[test]
fn completions_and_manual_pages_are_printed() {
    let lab = Lab::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = lab.run(&format!("completions {shell}"));
        assert!(ran.code == Some(0) && ran.stdout.contains("retry-failed"), "{shell}");
    }
    let page = lab.run("man").stdout;
    assert!(page.contains(".TH") && page.contains("antiphon"), "{page}");
    let pages = lab.run("man --dir pages").stdout;
    assert!(pages.contains("antiphon-map.1") && lab.path("pages/antiphon-runs-export.1").exists(), "{pages}");
}

#[test]
fn the_rows_of_a_run_that_stopped_early_are_those_that_were_read() {
    let server = Scripted::start([Reply::new(401, "application/json", "{\"error\": {\"message\": \"no\"}}")]);
    let lab = lab(&server.url("/v1"), 2_000);
    let ran = lab.run(&map("--yes --max-concurrency 1"));
    ran.ends_with(3, &[]);
    assert!(ran.stdout.starts_with("0 of ") && ran.stdout.contains(" rows read so far done, "), "{ran:?}");
    let report = json_file(&lab.only_run().join("run.json"));
    assert!(report["rows"].as_u64() < Some(2_000) && report["rows_are_all"] == false, "{report}");
}
