//! Transcripts as people and services write them, one small file for each shape: who said what, and when.

use std::path::{Path, PathBuf};

use antiphon_data::{Document, SpeakerRole};
use serde_json::Value;

/// The folder of the files and of `expected.json`, which has for each file what is right: `turns` with speakers (`*x`:
/// any name that ends in x), words and times, `roles` (I, P, U), and words that are `said`, `unsaid` or `in_text`.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts")
}

/// Returns what is wrong with a document, one line for each fault.
fn faults(document: &Document, expected: &Value) -> Vec<String> {
    let said: Vec<&str> = document.turns.iter().map(|turn| document.words(turn)).collect();
    let is_said = |words: &str| said.iter().any(|turn| turn.contains(words));
    let list = |key: &str| expected[key].as_array().cloned().unwrap_or_default();
    let texts = |key: &str| list(key).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    let mut faults = Vec::new();
    faults.extend(
        texts("said").iter().filter(|words| !is_said(words)).map(|words| format!("not said: {words}")),
    );
    faults
        .extend(texts("unsaid").iter().filter(|words| is_said(words)).map(|words| format!("said: {words}")));
    let missing = |words: &&String| !document.text.contains(words.as_str());
    faults.extend(texts("in_text").iter().filter(missing).map(|words| format!("not in the text: {words}")));
    let is_speaker = |name: &&String| document.turns.iter().any(|turn| *turn.speaker == **name);
    faults
        .extend(texts("speakers_not").iter().filter(is_speaker).map(|name| format!("{name} is no speaker")));
    let turns = list("turns");
    let agree = turns.len() == document.turns.len()
        && turns.iter().zip(&document.turns).all(|(wanted, turn)| {
            is_name(&turn.speaker, &wanted[0])
                && wanted[1].as_str() == Some(&folded(document.words(turn)))
                && wanted.get(2).is_none_or(|time| time.as_str() == turn.time.as_deref())
        });
    if !turns.is_empty() && !agree {
        let found =
            document.turns.iter().map(|turn| (&*turn.speaker, document.words(turn), turn.time.as_deref()));
        faults.push(format!("turns: {:?}", found.collect::<Vec<_>>()));
    }
    let roles: String = document.turns.iter().map(|turn| letter(turn.role)).collect();
    if expected["roles"].as_str().is_some_and(|wanted| wanted != roles) {
        faults.push(format!("roles: {roles}"));
    }
    faults
}

/// Returns the letter of a side.
fn letter(role: SpeakerRole) -> char {
    match role {
        SpeakerRole::Interviewer => 'I',
        SpeakerRole::Participant => 'P',
        SpeakerRole::Unclear => 'U',
    }
}

/// Returns whether a speaker is the wanted one.
fn is_name(speaker: &str, wanted: &Value) -> bool {
    let wanted = wanted.as_str().unwrap_or_default();
    wanted.strip_prefix('*').map_or(speaker == wanted, |end| speaker.ends_with(end))
}

/// Returns words on one line.
fn folded(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may read files")]
fn every_shape_is_read_as_it_was_said() {
    let expected = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let expected: Vec<Value> = serde_json::from_str(&expected).unwrap();
    let mut wrong = Vec::new();
    for case in &expected {
        let name = case["file"].as_str().unwrap();
        let bytes = std::fs::read(folder().join(name)).unwrap();
        let faults = match Document::parse(name, &bytes) {
            Ok(document) => {
                let mut faults = faults(&document, case);
                let either = case["error_or_said"].as_array().cloned().unwrap_or_default();
                let words = either.iter().filter_map(Value::as_str);
                faults.extend(words.filter(|words| !document.text.contains(words)).map(str::to_owned));
                faults
            }
            Err(_) if case.get("error_or_said").is_some() => Vec::new(),
            Err(failure) => vec![failure.to_string()],
        };
        wrong.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(expected.len() > 20, "only {} cases", expected.len());
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}
