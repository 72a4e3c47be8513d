//! A table of answers and errors in the shapes of many servers, with what each must become.
//!
//! A block of the table is a name, a format with the kind of its body, the body, and the expectation:
//!
//! ```text
//! # TGI: an end of its own
//! compatible stream
//! {"choices":[{"index":0,"delta":{"content":"Blue."},"finish_reason":"eos_token"}]}
//! = Blue. | - | -
//! ```
//!
//! | kind | body |
//! |---|---|
//! | `stream` | each line is an event, or for Ollama a line; `event: x` before a line names its event, and `: x` is a comment |
//! | `whole` | JSON under status 200 |
//! | a status | JSON under this status |
//!
//! An answer is expected as its text, the tokens of prompt and answer, and its reasoning if it has some; an error as `!`, its kind,
//! and a part of its message.

use antiphon_llm::{Error, Output};
use antiphon_tests::Reply;

use super::ask;

const TABLE: &str = include_str!("recorded.txt");

/// Returns the reply that a block describes.
fn reply(format: &str, kind: &str, body: &[&str]) -> Reply {
    match kind {
        "stream" if format.starts_with("ollama") => {
            Reply::new(200, "application/x-ndjson", &(body.join("\n") + "\n"))
        }
        "stream" => {
            let events = body.iter().map(|line| match line {
                line if line.starts_with("event:") => format!("{line}\n"),
                line if line.starts_with(':') => format!("{line}\n\n"),
                line => format!("data: {line}\n\n"),
            });
            Reply::new(200, "text/event-stream", &events.collect::<String>())
        }
        "whole" => Reply::new(200, "application/json", &body.join("\n")),
        status => Reply::new(status.parse().unwrap(), "application/json", &body.join("\n")),
    }
}

/// Returns what an error is expected as, without its message.
fn kind_of(err: &Error) -> String {
    format!("{:?}", err.kind())
        .replace(" { cause: ", ":")
        .chars()
        .take_while(|c| !" {".contains(*c))
        .collect()
}

/// Runs a block; returns what is wrong.
async fn wrong(block: &str) -> Option<String> {
    let mut lines: Vec<&str> = block.lines().collect();
    let (name, expected) = (lines.remove(0), lines.pop()?.strip_prefix("= ")?);
    let (format, kind) = lines.remove(0).split_once(' ')?;
    let done = ask(format, reply(format, kind, &lines), &Output::Text).await;
    let count = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let found = match &done {
        Ok(done) => {
            let thoughts = done.reasoning.as_ref().map(|text| format!(" | {text}")).unwrap_or_default();
            format!("{} | {} | {}{thoughts}", done.text, count(done.usage.input), count(done.usage.output))
        }
        Err(err) => format!("! {} {err}", kind_of(err)),
    };
    let is_right = match expected.strip_prefix("! ") {
        Some(error) => {
            let (kind, part) = error.split_once(' ').unwrap_or((error, ""));
            found.starts_with(&format!("! {kind} ")) && found.contains(part)
        }
        None => found == expected,
    };
    (!is_right).then(|| format!("{name}\n  expected {expected}\n  found    {found}"))
}

#[tokio::test]
async fn each_recorded_answer_is_read() {
    let blocks: Vec<&str> = TABLE.split("\n\n").map(str::trim).filter(|block| !block.is_empty()).collect();
    assert!(blocks.len() >= 60, "{} blocks", blocks.len());
    let mut all = Vec::new();
    for block in &blocks {
        all.extend(wrong(block).await);
    }
    assert!(all.is_empty(), "{} of {} are wrong:\n{}", all.len(), blocks.len(), all.join("\n"));
}
