use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use antiphon_fs::{TempDir, temp_dir};
use antiphon_llm::{Completion, Error as LlmError, ErrorKind as LlmKind, FinishReason, Price, Stack};
use antiphon_store::{Bill, Settlement, Store};
use serde_json::{Value, json};

use super::{Mapped, Mapping};
use crate::diff::RunDiff;
use crate::error::ErrorKind;
use crate::event::RunEvent;
use crate::fixtures::{Scripted, answer, error, options};
use crate::input::Input;
use crate::inspect::RunInfo;
use crate::meter::Meter;
use crate::recipe::Recipe;
use crate::report::MapStatus;
use crate::results::{Destination, Lines, Order, export};
use crate::stop::StopCause;
use crate::summary::RunSummary;
use crate::text_writer::each_result;

/// The answers and errors of a provider, in the order of the calls.
type Script = Vec<Result<Completion, LlmError>>;

/// A folder for runs, and a store in memory.
struct Lab {
    folder: TempDir,
    store: Store,
}

impl Lab {
    /// Creates an empty folder and an empty store.
    fn new() -> Self {
        Self { folder: temp_dir().unwrap(), store: Store::in_memory() }
    }

    /// Writes a file of rows. Its format is detected from the name.
    async fn input(&self, name: &str, text: &str) -> Input {
        let path = self.folder.path().join(name);
        antiphon_fs::write(&path, text.to_owned()).await.unwrap();
        Input::Path(path, None)
    }

    /// Creates a mapping with a concurrency limit of 1, so that calls follow the order of the script.
    fn mapping(&self, input: Input) -> Mapping {
        let recipe = Recipe::parse("r.toml", "prompt = \"Spell {{ n }}\"\n[parameters]\nmax_tokens = 9\n");
        let mut mapping = Mapping::new(input, recipe.unwrap(), "model");
        mapping.options = options();
        mapping.options.limits.max_concurrency = Some(1);
        mapping
    }

    /// Runs a mapping against a provider that answers with the script, one entry per call and without delay.
    async fn run(&self, mapping: &Mapping, script: Script) -> Mapped {
        let calls = Stack::new(Scripted::new(Duration::ZERO, script)).calls();
        mapping.run(calls, self.store.clone(), &self.folder.path().join("out")).await.unwrap()
    }

    /// Returns the error of a mapping that has to fail before its first call.
    async fn fails(&self, mapping: &Mapping) -> (ErrorKind, String) {
        let calls = Stack::new(Scripted::new(Duration::ZERO, vec![])).calls();
        let err = mapping.run(calls, self.store.clone(), self.folder.path()).await.unwrap_err();
        (err.kind(), err.to_string())
    }
}

/// Three rows, as NDJSON.
const ROWS: &str = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";

/// Returns a script of answers with these texts.
fn answers(words: &[&str]) -> Script {
    words.iter().map(|word| Ok(answer(word))).collect()
}

/// Reads a file of NDJSON.
async fn lines(path: &Path) -> Vec<Value> {
    let text = String::from_utf8(antiphon_fs::read(path).await.unwrap().to_vec()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_row_gets_its_result_and_the_same_mapping_again_sends_no_call() {
    let lab = Lab::new();
    let mut mapping = lab.mapping(lab.input("rows.jsonl", ROWS).await);
    let meter = Arc::new(Mutex::new((Meter::of_rows(), Vec::new())));
    let seen = meter.clone();
    mapping.on_event = Arc::new(move |event: RunEvent| {
        let (meter, events) = &mut *seen.lock().unwrap();
        meter.count(&event);
        events.push(event);
    });
    let made = lab.run(&mapping, answers(&["one", "two", "three"])).await;
    let report = &made.report;
    assert_eq!((report.status, report.accepted, report.calls, report.left), (MapStatus::Finished, 3, 3, 0));
    assert_eq!((report.input_tokens, report.output_tokens), (Some(60), Some(90)));
    assert_eq!(report.cost_usd_micros, Some(150));
    let results = lines(made.results.as_deref().unwrap()).await;
    assert_eq!(results[1], json!({"index": 1, "row": {"n": 2}, "result": "two"}));
    assert_eq!((results.len(), made.failed), (3, None));
    let run = antiphon_fs::read(made.folder.join("run.json")).await.unwrap();
    let run: Value = serde_json::from_slice(&run).unwrap();
    assert_eq!((&run["schema"], &run["accepted"]), (&json!("antiphon.map/1"), &json!(3)));
    assert!(meter.lock().unwrap().0.read().is_some());
    assert!(matches!(meter.lock().unwrap().1[0], RunEvent::Started { resumed: false, .. }));
    let again = lab.run(&mapping, vec![]).await;
    assert!(again.reused && again.resumed_at == 3 && again.report.calls == 3);
}

#[tokio::test]
async fn failed_rows_are_reported_and_retried() {
    let lab = Lab::new();
    let mut mapping = lab.mapping(Input::Rows(ROWS.lines().map(str::to_owned).collect()));
    let script = vec![Ok(answer("one")), Err(error(LlmKind::ModelRefusal)), Ok(answer("three"))];
    let made = lab.run(&mapping, script).await;
    assert_eq!((made.report.accepted, made.report.failed), (2, 1));
    assert_eq!((made.report.causes[0].error.as_str(), made.report.causes[0].first_row), ("refused", 1));
    let failed = made.failed.unwrap();
    let row = &lines(&failed).await[0];
    assert_eq!((&row["n"], &row["_antiphon"]["error"]), (&json!(2), &json!("refused")));
    let id = made.report.run_id;
    let run = lab.store.read_run(&id).await.unwrap();
    let summary = RunSummary::of(&run, 9).await.unwrap();
    let states: Vec<_> = summary.rows.iter().map(|row| row.state).collect();
    assert_eq!((states, summary.ends.len()), (vec!["done", "failed", "done"], 3));
    assert_eq!(summary.rows[1].result, "refused: no answer");
    drop(run);
    (mapping.resume, mapping.retry_failed, mapping.input) = (Some(id), true, Input::Stored);
    let made = lab.run(&mapping, answers(&["two"])).await;
    assert_eq!((made.report.accepted, made.report.failed, made.resumed_at), (3, 0, 2));
    assert!(!antiphon_fs::exists(&failed).await.unwrap(), "no failed row is left");
}

#[tokio::test]
async fn a_run_that_is_named_by_a_prefix_is_compared_as_well() {
    let lab = Lab::new();
    let mut mapping = lab.mapping(Input::Rows(ROWS.lines().map(str::to_owned).collect()));
    let script = vec![Ok(answer("one")), Err(error(LlmKind::ModelRefusal)), Ok(answer("three"))];
    let id = lab.run(&mapping, script).await.report.run_id;
    (mapping.retry_failed, mapping.input) = (true, Input::Stored);
    mapping.model = "another".to_owned();
    for name in [id.clone(), id[..20].to_owned(), "latest".to_owned()] {
        mapping.resume = Some(name.clone());
        let (kind, message) = lab.fails(&mapping).await;
        assert!(kind == ErrorKind::Changed && message.contains("model was model"), "{name}: {message}");
    }
}

#[tokio::test]
async fn the_wait_for_a_row_that_an_earlier_process_put_back_is_shown() {
    let lab = Lab::new();
    let mut mapping = lab.mapping(Input::Rows(ROWS.lines().map(str::to_owned).collect()));
    mapping.options.limits.max_rows = Some(1);
    let made = lab.run(&mapping, vec![Err(error(LlmKind::ModelRefusal))]).await;
    let run = lab.store.join_run(&made.report.run_id).await.unwrap();
    run.retry_failed().await.unwrap();
    run.claim(9).await.unwrap();
    let due = UNIX_EPOCH.elapsed().unwrap() + Duration::from_millis(2_500);
    run.settle(Settlement::put_back(0, due.as_millis().try_into().unwrap(), Bill::none())).await.unwrap();
    run.release(vec![0]).await.unwrap();
    drop(run);
    let longest = Arc::new(Mutex::new(0.0_f64));
    let seen = longest.clone();
    mapping.on_event = Arc::new(move |event: RunEvent| {
        if let RunEvent::Progress(status) = event {
            let waits = status.waiting.map_or(0.0, |waiting| waiting.seconds);
            let mut longest = seen.lock().unwrap();
            *longest = longest.max(waits);
        }
    });
    let made = lab.run(&mapping, answers(&["one"])).await;
    assert_eq!((made.report.accepted, made.report.failed), (1, 0));
    let longest = *longest.lock().unwrap();
    assert!((0.5..2.5).contains(&longest), "{longest} s");
}

#[tokio::test]
async fn an_interrupted_run_is_resumed() {
    let lab = Lab::new();
    let mut mapping = lab.mapping(lab.input("rows.jsonl", ROWS).await);
    let script = vec![Ok(answer("one")), Err(error(LlmKind::Auth))];
    let made = lab.run(&mapping, script).await;
    assert!(matches!(made.stop, Some(StopCause::Provider(_))), "{:?}", made.stop);
    assert_eq!((made.report.status, made.report.left), (MapStatus::Stopped, 2));
    assert_eq!(made.report.stopped_by.as_ref().map(|by| by.0.as_str()), Some("auth"));
    mapping.model = "another".to_owned();
    mapping.resume = Some(made.report.run_id.clone());
    let (kind, message) = lab.fails(&mapping).await;
    let expected = format!("cannot resume run {}: model was model and is another", made.report.run_id);
    assert_eq!((kind, message), (ErrorKind::Changed, expected));
    (mapping.model, mapping.resume) = ("model".to_owned(), None);
    let made = lab.run(&mapping, answers(&["two", "three"])).await;
    assert_eq!((made.report.accepted, made.resumed_at, made.report.calls), (3, 1, 4));
    let results = lines(made.results.as_deref().unwrap()).await;
    let words: Vec<_> = results.iter().map(|row| row["result"].as_str().unwrap()).collect();
    assert_eq!(words, ["one", "two", "three"], "results of the earlier process are included");
}

#[tokio::test]
async fn results_are_written_in_completion_order_until_the_reader_has_gone() {
    let lab = Lab::new();
    let mut mapping = lab.mapping(lab.input("rows.jsonl", ROWS).await);
    let taken = Arc::new(Mutex::new(String::new()));
    let into = taken.clone();
    let keep = move |block: &[u8]| {
        into.lock().unwrap().push_str(std::str::from_utf8(block).unwrap());
        Ok(())
    };
    (mapping.order, mapping.results) = (Order::Completion, Some(Destination::Lines(Lines::new(keep))));
    let made = lab.run(&mapping, answers(&["one", "two", "three"])).await;
    assert_eq!((taken.lock().unwrap().lines().count(), made.results), (3, None));
    mapping.fresh = true;
    let closed = |_: &[u8]| Err(io::Error::from(io::ErrorKind::BrokenPipe));
    mapping.results = Some(Destination::Lines(Lines::new(closed)));
    assert!(matches!(
        lab.run(&mapping, answers(&["one", "two", "three"])).await.stop,
        Some(StopCause::Unread)
    ));
    let full = |_: &[u8]| Err(io::Error::from(io::ErrorKind::StorageFull));
    mapping.results = Some(Destination::Lines(Lines::new(full)));
    let made = lab.run(&mapping, answers(&["one", "two", "three"])).await;
    assert!(matches!(made.stop, Some(StopCause::Output(_))), "{:?}", made.stop);
}

#[tokio::test]
async fn two_runs_are_compared_row_by_row_and_exported() {
    let lab = Lab::new();
    let first =
        lab.run(&lab.mapping(lab.input("a.jsonl", ROWS).await), answers(&["one", "two", "three"])).await;
    let rows = "{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n";
    let mut again = lab.mapping(lab.input("b.jsonl", rows).await);
    again.ignores_answers = true;
    let second = lab.run(&again, answers(&["two", "III", "four"])).await;
    let (first, second) =
        (lab.store.read_run(&first.report.run_id).await, lab.store.read_run(&second.report.run_id).await);
    let (first, second) = (first.unwrap(), second.unwrap());
    let diff = RunDiff::of(&first, &second, 20).await.unwrap();
    assert_eq!((diff.same, diff.changed, diff.only_first, diff.only_second, diff.neither), (1, 1, 1, 1, 0));
    assert_eq!((diff.changes.len(), diff.left_out), (3, 0));
    let short = RunDiff::of(&first, &second, 1).await.unwrap();
    assert_eq!((short.changes.len(), short.left_out, &short.changes[0]), (1, 2, &diff.changes[0]));
    assert_eq!(diff.changes[0].second.as_deref(), Some("\"III\""));
    let to = lab.folder.path().join("new/export.jsonl");
    assert_eq!(export(&first, &Destination::File(to.clone())).await.unwrap(), 3);
    assert_eq!(lines(&to).await[2]["result"], "three");
    let mut words = Vec::new();
    let take = async |row: Value| {
        words.push(row["result"].clone());
        Ok(words.len() < 2)
    };
    each_result(&first, take).await.unwrap();
    assert_eq!(words, ["one", "two"], "the callback has returned false");
    let info = RunInfo::of(&first).await.unwrap();
    assert_eq!((info.accepted, info.calls, info.input_tokens), (3, 3, Some(60)));
}

#[tokio::test]
async fn an_estimate_uses_earlier_results_and_usage() {
    let lab = Lab::new();
    let calls = || Stack::new(Scripted::new(Duration::ZERO, answers(&["one", "two", "three"]))).calls();
    let mut mapping = lab.mapping(lab.input("rows.jsonl", ROWS).await);
    let before = mapping.estimate(&calls(), &lab.store).await.unwrap();
    assert_eq!((before.rows, before.calls, before.based_on_calls), (3, (3, 6), 0));
    assert_eq!(before.output_tokens.1, 6 * 9, "max_tokens bounds each answer");
    lab.run(&mapping, answers(&["one", "two", "three"])).await;
    let after = mapping.estimate(&calls(), &lab.store).await.unwrap();
    assert_eq!((after.done, after.calls), (3, (0, 0)));
    mapping.input = lab.input("more.jsonl", &format!("{ROWS}{{\"n\":4}}\nno row\n{{\"m\":5}}\n")).await;
    mapping.ignores_answers = true;
    let anew = Mapping { fresh: true, ..mapping.clone() }.estimate(&calls(), &lab.store).await.unwrap();
    assert_eq!((anew.cached, anew.calls.0), (0, 4), "every row is paid for");
    mapping.ignores_answers = false;
    let more = mapping.estimate(&calls(), &lab.store).await.unwrap();
    assert_eq!((more.rows, more.based_on_calls, more.millis.is_some()), (6, 3, true));
    assert!(more.bad > 0 && more.cost_usd_micros.is_some(), "{more:?}");
}

#[tokio::test]
async fn errors_are_reported_before_any_call() {
    let lab = Lab::new();
    let (kind, message) = lab.fails(&lab.mapping(lab.input("empty.jsonl", "").await)).await;
    assert!(kind == ErrorKind::Config && message.contains("there are no rows in"), "{message}");
    let (kind, message) = lab.fails(&lab.mapping(lab.input("other.jsonl", "{\"m\":1}\n").await)).await;
    assert!(kind == ErrorKind::Config && message.contains("does not fit the first row"), "{message}");
    let (kind, message) = lab.fails(&lab.mapping(Input::Path(PathBuf::from("none.csv"), None))).await;
    assert!(kind == ErrorKind::Input && message.contains("none.csv"), "{message}");
    let mut unpriced = lab.mapping(lab.input("rows.jsonl", ROWS).await);
    unpriced.options.pricing = Arc::new(|_| None);
    unpriced.options.limits.max_cost = Some(9);
    let (kind, message) = lab.fails(&unpriced).await;
    assert!(kind == ErrorKind::Config && message.contains("a budget cannot be kept"), "{message}");
}

#[tokio::test]
async fn a_budget_max_rows_and_cut_answers() {
    let lab = Lab::new();
    let mut mapping = lab.mapping(lab.input("rows.jsonl", ROWS).await);
    mapping.options.limits.max_rows = Some(2);
    assert_eq!(lab.run(&mapping, answers(&["one", "two"])).await.report.rows, 2);
    (mapping.options.limits.max_rows, mapping.options.limits.max_cost) = (None, Some(1));
    mapping.options.pricing = Arc::new(|_| Some(Price::new(1_000_000, 1_000_000, 1_000_000)));
    let made = lab.run(&mapping, vec![]).await;
    let message = made.stop.unwrap().to_string();
    assert!(message.starts_with("the budget of $0.000001 is too small"), "{message}");
    mapping.options.limits.max_cost = None;
    (mapping.fresh, mapping.ignores_answers) = (true, true);
    let cut = || Ok(answer("half a").finish(FinishReason::Length));
    let made = lab.run(&mapping, vec![cut(), cut(), cut()]).await;
    assert_eq!((made.report.failed, made.report.causes[0].error.as_str()), (3, "truncated"));
}
