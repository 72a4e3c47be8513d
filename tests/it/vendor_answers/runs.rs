//! The ends of answers in runs: what is asked again, what fails, and what the report says about it.

use std::fs;

use antiphon::engine::{Input, Mapped, Mapping, Recipe};
use antiphon::fs::temp_dir;
use antiphon::llm::{RetryPolicy, Stack};
use antiphon::providers::Compatible;
use antiphon::store::Store;
use antiphon_tests::{Reply, Server};
use std::time::Duration;

use super::shapes::{Said, replies};

/// Runs a recipe over `rows` rows, one after another, against a script; returns the outcome and the number of calls.
async fn run(recipe: &str, rows: usize, script: Vec<Reply>) -> (Mapped, usize) {
    let folder = temp_dir().unwrap();
    let path = folder.path().join("rows.jsonl");
    fs::write(&path, (0..rows).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>()).unwrap();
    let server = Server::start(script);
    let calls = Stack::new(Compatible::new(&server.url("/v1")).unwrap()).calls();
    let recipe = Recipe::parse("r.toml", recipe).unwrap();
    let mut mapping = Mapping::new(Input::Path(path, None), recipe, "m");
    mapping.options.limits.max_concurrency = Some(1);
    let pause = Duration::from_millis(1);
    mapping.options.retry = RetryPolicy::default().base(pause, pause).max_retries(2);
    let mapped = mapping.run(calls, Store::in_memory(), &folder.path().join("out")).await.unwrap();
    (mapped, server.requests().len())
}

fn streamed(text: &str, finish: &str) -> Reply {
    replies("compatible", &Said::text(text).ends(finish))[0].clone()
}

const TEXT: &str = "prompt = \"Name a colour. {{ n }}\"";

/// Checks the one row of a run of texts that all end like this: the cause of its failure, its message, and the calls.
async fn check_failure(finish: &str, text: &str, error: &str, calls: usize) {
    let (mapped, sent) = run(TEXT, 1, vec![streamed(text, finish)]).await;
    let cause = mapped.report.causes.first().ok_or_else(|| format!("{finish}: {:?}", mapped.report)).unwrap();
    assert_eq!((cause.error.as_str(), sent), (error, calls), "{finish}: {}", cause.message);
    assert!(cause.message.contains(finish), "{finish}: {}", cause.message);
    assert_eq!(mapped.report.finish_reasons.get(finish), Some(&1), "{finish}");
}

#[tokio::test]
async fn a_row_without_a_natural_end_fails_with_the_word_for_it() {
    check_failure("MAX_TOKENS", "The three", "truncated", 1).await;
    check_failure("SAFETY", "The three", "filtered", 1).await;
    check_failure("tool_calls", "Let me see.", "truncated", 2).await;
    check_failure("xyzzy", "The three", "truncated", 2).await;
    check_failure("cancelled", "The three", "truncated", 3).await;
    check_failure("insufficient_system_resource", "The three", "truncated", 3).await;
}

#[tokio::test]
async fn an_answer_that_is_only_reasoning_is_asked_for_again() {
    let empty = || streamed("<think>They ask for one word.</think>", "stop");
    let (mapped, calls) = run(TEXT, 1, vec![empty(), streamed("<think>hm</think>Blue.", "stop")]).await;
    assert_eq!((mapped.report.accepted, calls), (1, 2));
    let (mapped, calls) = run(TEXT, 1, vec![empty()]).await;
    assert_eq!((mapped.report.accepted, mapped.report.failed, calls), (0, 1, 2));
    assert!(mapped.report.causes[0].message.contains("only reasoning"), "{:?}", mapped.report.causes);
}

#[tokio::test]
async fn whole_json_at_the_limit_is_a_result_that_the_report_marks() {
    let recipe =
        format!("{TEXT}\n[schema]\ntype = \"object\"\nrequired = [\"c\"]\nproperties.c.type = \"string\"\n");
    let padded = streamed(&format!("{{\"c\": \"blue\"}}{}", " \n".repeat(50)), "length");
    let hidden = streamed("<think>{\"c\": \"red\"}", "stop");
    let cut = streamed("{\"c\": \"blu", "length");
    let (mapped, _) = run(&recipe, 3, vec![padded, hidden, cut]).await;
    let report = mapped.report;
    assert_eq!((report.accepted, report.failed), (2, 1), "{report:?}");
    let marks: Vec<_> = report.marked_answers.iter().map(|(mark, rows)| (mark.as_str(), *rows)).collect();
    assert_eq!(marks, [("complete_without_end", 1), ("from_reasoning", 1)]);
    let ends: Vec<_> = report.finish_reasons.iter().map(|(end, rows)| (end.as_str(), *rows)).collect();
    assert_eq!(ends, [("length", 2), ("stop", 1)]);
}
