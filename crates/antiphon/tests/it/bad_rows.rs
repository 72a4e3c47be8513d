//! Rows that cannot be read are failed rows with their text: they are corrected in `failed.jsonl`, which is the next input.

use std::fs;
use std::path::PathBuf;

use antiphon_sim::Scenario;
use serde_json::{Value, json};

use crate::map::{Bench, report};
use crate::program::Ran;

const LIMIT: usize = 16 << 20;

fn lines(path: PathBuf) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn map(bench: &Bench, rows: &str) -> Ran {
    bench.lab.run(&format!("map {rows} -r r.toml --provider sim --model m --json --progress none"))
}

/// The notes of the rows that failed, and their file.
fn failed(bench: &Bench, ran: &Ran) -> (Vec<Value>, PathBuf) {
    let path = bench.lab.path(report(ran)["failed_rows"].as_str().unwrap());
    let rows = lines(path.clone());
    (rows.into_iter().map(|row| row["_antiphon"].clone()).collect(), path)
}

#[track_caller]
fn check(note: &Value, message: &str, line: u64, text: &str) {
    assert_eq!(
        (&note["error"], &note["message"], &note["line"], &note["text"]),
        (&json!("bad_row"), &json!(message), &json!(line), &json!(text)),
        "{note}"
    );
}

#[test]
fn each_bad_line_is_one_failed_row_with_its_text_and_the_others_are_done() {
    let bench = Bench::new(Scenario::default(), 0);
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(LIMIT));
    let (one, word, last) = ("{\"name\": \"a\"}\n", "\"word\"\n", "{\"name\": \"z\"}\n");
    let file = [
        one.as_bytes(),
        b"{\"name\": \n",
        long.as_bytes(),
        b"\n{\"name\": \"\xff\"}\n",
        word.as_bytes(),
        last.as_bytes(),
    ];
    bench.lab.file("rows.jsonl", file.concat());
    let ran = map(&bench, "rows.jsonl");
    ran.ends_with(4, &["4 rows failed: bad_row"]);
    assert_eq!((&report(&ran)["rows"], &report(&ran)["accepted"]), (&json!(6), &json!(2)));
    let (notes, _) = failed(&bench, &ran);
    check(&notes[0], "rows.jsonl:2: not valid JSON: EOF while parsing a value", 2, "{\"name\": ");
    check(&notes[1], "rows.jsonl:3: this row is longer than 16 MiB", 3, &long[..4 << 10]);
    check(&notes[2], "rows.jsonl:4: this row is not valid UTF-8", 4, "{\"name\": \"\u{fffd}\"}");
    let marks = |note: &Value| (note["cut"].clone(), note["lossy"].clone());
    assert_eq!(marks(&notes[0]), (Value::Null, Value::Null));
    assert_eq!(marks(&notes[1]), (json!(true), Value::Null));
    assert_eq!(marks(&notes[2]), (Value::Null, json!(true)));
    assert!(notes[3].get("text").is_none(), "what is JSON and no object is a row: {}", notes[3]);
    assert_eq!(bench.stats().requests, 2);
}

#[test]
fn bad_records_of_a_table_are_failed_rows_with_their_text() {
    let bench = Bench::new(Scenario::default(), 0);
    bench.lab.file("rows.csv", "name,n\na,1\nb\nc,3,4\n\"d\"x\"\",5\ne,6\nf,\"7\n");
    let ran = map(&bench, "rows.csv");
    ran.ends_with(4, &["3 rows failed: bad_row"]);
    let (notes, _) = failed(&bench, &ran);
    check(&notes[0], "rows.csv:3: this row has 1 fields and the header has 2", 3, "b");
    check(&notes[1], "rows.csv:4: this row has 3 fields and the header has 2", 4, "c,3,4");
    check(&notes[2], "rows.csv:7: a quoted field of this row is never closed", 7, "f,\"7");
}

#[test]
fn failed_rows_are_corrected_and_given_back() {
    let bench = Bench::new(Scenario::default(), 0);
    bench.lab.file("rows.jsonl", "{\"name\": \"a\"}\n{\"name\": \n{\"nom\": \"c\"}\n");
    let (notes, path) = failed(&bench, &map(&bench, "rows.jsonl"));
    assert_eq!(notes.len(), 2);
    let given = fs::read_to_string(&path).unwrap();
    bench.lab.file("failed.jsonl", &given);
    let again = map(&bench, "failed.jsonl");
    again.ends_with(5, &["2 rows failed", "put the corrected fields in the place of _antiphon"]);
    let (notes, _) = failed(&bench, &again);
    assert_eq!(notes[0]["text"], "{\"name\": ", "the text is not lost: {}", notes[0]);
    let mut rows: Vec<Value> = given.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (row, name) in rows.iter_mut().zip(["b", "c"]) {
        row["name"] = json!(name);
    }
    let corrected: Vec<String> = rows.iter().map(Value::to_string).collect();
    bench.lab.file("failed.jsonl", corrected.join("\n"));
    let ran = map(&bench, "failed.jsonl");
    ran.ends_with(0, &[]);
    let results = lines(bench.lab.path(report(&ran)["results"].as_str().unwrap()));
    assert_eq!(results[0]["row"], json!({"name": "b"}), "nothing is left of the note");
    assert_eq!(results[1]["row"], json!({"nom": "c", "name": "c"}));
}

#[test]
fn a_corrected_input_asks_only_about_what_was_corrected() {
    let bench = Bench::new(Scenario::default(), 0);
    let rows: String = (0..20).map(|n| format!("{{\"name\": \"{n}\"}}\n")).collect();
    bench.lab.file("rows.jsonl", format!("{rows}{{\"name\": \n"));
    map(&bench, "rows.jsonl").ends_with(4, &["1 row failed: bad_row"]);
    assert_eq!(bench.stats().requests, 20);
    bench.lab.file("rows.jsonl", format!("{rows}{{\"name\": \"corrected\"}}\n"));
    let ran = map(&bench, "rows.jsonl");
    ran.ends_with(0, &[]);
    assert_eq!((&report(&ran)["accepted"], &report(&ran)["cached"]), (&json!(21), &json!(20)));
    assert_eq!(bench.stats().requests, 21);
}
