//! Large texts of shapes that once took quadratic time; only the example `formats` measures the time.

use crate::Document;

/// The repetitions of a part of a text.
const MANY: usize = 5_000;

/// Returns a text of a part for each number.
fn repeated(part: impl Fn(usize) -> String) -> String {
    (0..MANY).map(part).collect()
}

/// Returns the words of all turns of a file, or the failure.
fn turns(name: &str, text: &str) -> Result<Vec<String>, String> {
    let document = Document::parse(name, text.as_bytes()).map_err(|failure| failure.to_string())?;
    Ok(document.turns.iter().map(|turn| document.words(turn).to_owned()).collect())
}

#[test]
fn lines_behind_an_empty_label_are_the_interviewers() {
    let text = format!(
        "Interviewer: Why?\nInterviewer:\n{}{}",
        repeated(|_| "\n".into()),
        repeated(|_| "so\n".into())
    );
    let expected = "a.txt: no participant speaks: every turn is an interviewer's";
    assert_eq!(turns("a.txt", &text), Err(expected.into()));
}

#[test]
fn repeated_renderings_are_said_once() {
    let text =
        format!("{{{}\"a\": 1}}", repeated(|at| format!("\"segments\": [{{\"text\": \"so {at}\"}}],")));
    assert_eq!(turns("a.json", &text), Ok(vec!["so 0".into()]));
}

#[test]
fn an_open_quote_is_reported_at_its_row() {
    let rows = repeated(|_| "Ana,\"a\nb\"\n".into());
    let text = format!("who,text\n{rows}Bo,\"so{}", repeated(|_| "\n".into()));
    let expected = format!("a.csv:{}: a quoted field of this row is never closed", 2 + 2 * MANY);
    assert_eq!(turns("a.csv", &text), Err(expected));
}

#[test]
fn merge_keys_add_only_new_entries() {
    let text = format!("text: so it is\n{}", repeated(|at| format!("<<: {{text: no, k{at}: 1}}\n")));
    let document = Document::parse("a.yaml", text.as_bytes()).unwrap();
    assert_eq!((document.turns.len(), document.text.lines().count()), (1, 1 + MANY));
}

#[test]
fn strings_with_escapes_are_kept() {
    let rows =
        repeated(|at| format!("{{\"wh\\u006f\": \"P{}\", \"text\": \"line {at}\\nand \\u00e9\"}}\n", at % 2));
    let expected: Vec<String> = (0..MANY).map(|at| format!("line {at}\nand é")).collect();
    assert_eq!(turns("a.jsonl", &rows), Ok(expected));
}

#[test]
fn speakers_of_many_rows_share_their_names() {
    let rows = repeated(|at| format!("{{\"who\": \"P{}\", \"text\": \"I bake\"}}\n", at % 3));
    let document = Document::parse("a.jsonl", rows.as_bytes()).unwrap();
    let shared =
        document.turns.windows(4).all(|turns| std::sync::Arc::ptr_eq(&turns[0].speaker, &turns[3].speaker));
    assert!(shared && document.turns.capacity() == MANY, "{}", document.turns.capacity());
}
