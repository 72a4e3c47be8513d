//! Invariants of the readers of files, recipes and schemas for any input.

use std::io::{Cursor, Write};

use antiphon_data::{Document, RowFormat, Rows};
use antiphon_engine::Recipe;
use antiphon_llm::Schema;

/// Checks the reader of a format: whatever the bytes are, turns are parts of the text, in order, and lines count upwards. `endings`
/// are those of one reader, of which the first byte selects one.
pub fn document(endings: &[&str], input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else { return };
    parse(&format!("input.{}", endings[usize::from(*first) % endings.len()]), bytes);
}

/// Checks the reader of DOCX: for an even first byte the input is the archive, for an odd one the story in it.
pub fn docx(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else { return };
    if first % 2 == 0 {
        return parse("input.docx", bytes);
    }
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("word/document.xml", options).expect("an archive in memory");
    archive.write_all(bytes).expect("an archive in memory");
    parse("input.docx", &archive.finish().expect("an archive in memory").into_inner());
}

fn parse(name: &str, bytes: &[u8]) {
    let document = match Document::parse(name, bytes) {
        Ok(document) => document,
        Err(failure) => {
            assert!(failure.to_string().starts_with(name), "an error without its file: {failure}");
            return;
        }
    };
    let mut end = 0;
    for turn in &document.turns {
        assert!(end <= turn.span.start && turn.span.start < turn.span.end, "turns overlap or are empty");
        assert!(document.text.get(turn.span.clone()).is_some(), "a turn that is no part of the text");
        assert!(document.line_at(end) <= document.line_at(turn.span.start), "lines count backwards");
        end = turn.span.end;
    }
}

/// Checks the reader of rows: each row is one JSON object, and each that is none has a reason. The first byte selects the format.
pub fn rows(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else { return };
    let format = [RowFormat::Csv, RowFormat::Jsonl, RowFormat::Json][usize::from(*first) % 3];
    let folder = tempfile::tempdir().expect("a folder for the rows");
    let path = folder.path().join("rows");
    std::fs::write(&path, bytes).expect("a file of rows");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let Ok(mut rows) = Rows::open(&path, Some(format)).await else { return };
        while let Ok(batch) = rows.next().await {
            if batch.is_empty() {
                return;
            }
            for row in batch {
                match row {
                    Ok(row) => assert!(is_object(&row), "a row that is no object: {row}"),
                    Err(reason) => assert!(!reason.to_string().is_empty()),
                }
            }
        }
    });
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
}

/// Checks recipes: a TOML file behind the first line, which is the row, is refused with its name, or makes a prompt or an error for
/// that row.
pub fn recipe(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (row, recipe) = text.split_once('\n').unwrap_or(("{\"a\": 1}", &text));
    match Recipe::parse("input.toml", recipe) {
        Err(err) => assert!(err.to_string().contains("input.toml"), "an error without its file: {err}"),
        Ok(recipe) => {
            if is_object(row)
                && let Ok(work) = recipe.asking("model")
            {
                let _ = work.prompt(row);
            }
        }
    }
}

/// Checks schemas: the first line is an answer, and the rest a schema. A schema that is not refused gives a verdict.
pub fn schema(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Some((answer, schema)) = text.split_once('\n') else { return };
    let Ok(definition) = serde_json::from_str(schema) else { return };
    let Ok(schema) = Schema::new("input", definition) else { return };
    if let Ok(answer) = serde_json::from_str(answer) {
        let _ = schema.check(&answer);
    }
}
