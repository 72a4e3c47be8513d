//! Made-up dialogues, written in each format of rows and read back.

use proptest::prelude::*;

use crate::Document;

/// A turn of a made-up dialogue.
#[derive(Debug, Clone)]
struct Said {
    speaker: &'static str,
    words: String,
    seconds: u32,
}

/// Returns dialogues of two to twelve turns.
fn dialogues() -> impl Strategy<Value = Vec<Said>> {
    let speakers = prop::sample::select(vec!["Ana Berg", "Sam Lee", "P07", "小林", "Zoë O’Hara"]);
    let words = "[A-Z][a-zé,;'\" -]{2,40} [a-z\u{4e00}-\u{4e20};,]{1,8}[.!?]";
    let said = (speakers, words, 0_u32..20_000).prop_map(|(speaker, words, seconds)| Said {
        speaker,
        words,
        seconds,
    });
    prop::collection::vec(said, 2..12)
}

/// Returns a cell of a table.
fn cell(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Writes a dialogue as a table with this separator.
fn table(dialogue: &[Said], separator: char) -> String {
    let row = |said: &Said| {
        format!("{}.5{separator}{}{separator}{}\n", said.seconds, cell(said.speaker), cell(&said.words))
    };
    let head = format!("start{separator}speaker{separator}text\n");
    dialogue.iter().map(row).fold(head, |table, row| table + &row)
}

/// Writes the turns as JSON objects.
fn objects(dialogue: &[Said]) -> Vec<String> {
    let object = |said: &Said| {
        let start = f64::from(said.seconds) + 0.5;
        serde_json::json!({ "speaker": said.speaker, "text": said.words, "start": start }).to_string()
    };
    dialogue.iter().map(object).collect()
}

/// Returns the time of a turn in the form of documents.
fn clock(seconds: u32) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

proptest! {
    #[test]
    fn a_dialogue_is_read_back_from_each_format(dialogue in dialogues()) {
        let objects = objects(&dialogue);
        let listed = objects.join(",\n");
        // A JSON object is one of YAML, too.
        let items: String = objects.iter().map(|object| format!("- {object}\n")).collect();
        let files = [
            ("a.csv", table(&dialogue, ',')),
            ("b.csv", table(&dialogue, ';').replace('\n', "\r\n")),
            ("c.csv", format!("sep=;\n{}", table(&dialogue, ';'))),
            ("a.tsv", table(&dialogue, '\t')),
            ("a.jsonl", objects.join("\n")),
            ("a.json", format!("[{listed}]")),
            ("b.json", format!("{{\"results\": {{\"segments\": [{listed}]}}}}")),
            ("a.yaml", format!("turns:\n{items}")),
        ];
        for (name, text) in files {
            let document = Document::parse(name, text.as_bytes()).map_err(|err| TestCaseError::fail(err.to_string()))?;
            let found: Vec<_> = document.turns.iter().map(|turn| (turn.speaker.to_string(), document.words(turn).to_owned(), turn.time.as_deref().unwrap_or_default().to_owned())).collect();
            let expected: Vec<_> = dialogue.iter().map(|said| (said.speaker.to_owned(), said.words.clone(), clock(said.seconds))).collect();
            prop_assert_eq!(found, expected, "{}: {}", name, text);
        }
    }
}
