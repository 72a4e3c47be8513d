use super::{RawRow, Row, RowFormat, Rows};
use crate::Failure;

async fn rows(name: &str, content: impl AsRef<[u8]> + Send) -> Vec<Result<String, String>> {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join(name);
    antiphon_fs::write(&path, content.as_ref().to_owned()).await.unwrap();
    let mut rows = Rows::open(&path, None).await.unwrap();
    let mut all: Vec<Row> = Vec::new();
    loop {
        let batch = rows.next().await.unwrap();
        if batch.is_empty() {
            break;
        }
        all.extend(batch);
    }
    let described = |row: Row| row.map_err(|err| format!("{}: {}", err.line.unwrap_or(0), err.reason));
    all.into_iter().map(described).collect()
}

fn ok(row: &str) -> Result<String, String> {
    Ok(row.to_owned())
}

#[tokio::test]
async fn tables_become_objects_whatever_is_quoted() {
    let table = "\u{feff}name,note\nAda,\"one, \"\"two\"\"\nthree\"\n\nBob,\r\nEve\nFay,x\n";
    let expected = [
        ok(r#"{"name":"Ada","note":"one, \"two\"\nthree"}"#),
        ok(r#"{"name":"Bob","note":""}"#),
        Err("6: this row has 1 fields and the header has 2".to_owned()),
        ok(r#"{"name":"Fay","note":"x"}"#),
    ];
    assert_eq!(rows("a.csv", table).await, expected);
    assert_eq!(rows("a", "a;b\n1;2\n").await, [ok(r#"{"a":"1","b":"2"}"#)]);
}

#[tokio::test]
async fn a_quote_within_a_field_is_literal() {
    let found = rows("a.csv", "id,size\n1,5\" pipe\n2,6\" pipe\n3,\"x\n\"\n").await;
    let expected = [
        ok(r#"{"id":"1","size":"5\" pipe"}"#),
        ok(r#"{"id":"2","size":"6\" pipe"}"#),
        ok(r#"{"id":"3","size":"x\n"}"#),
    ];
    assert_eq!(found, expected);
    let found = rows("a.csv", b"a,b\n1,\"x\n\xff\ny\"\n2,z\xc3\xa9\n").await;
    assert_eq!(found, [Err("3: this row is not valid UTF-8".to_owned()), ok(r#"{"a":"2","b":"zé"}"#)]);
    let found = rows("a.csv", b"a,b\n1,\"x\n\xff\"\n2,z\xc3\xa9\n").await;
    assert_eq!(found[1], ok(r#"{"a":"2","b":"zé"}"#), "a line that is not valid UTF-8 closes a quote, too");
    let found = rows("a.csv", "a,b\n1,x\ry\n2,z\n").await;
    assert_eq!(found, [Err("2: not valid CSV".to_owned()), ok(r#"{"a":"2","b":"z"}"#)]);
}

#[tokio::test]
async fn the_extension_tsv_decides_on_tabs_whatever_the_header_has() {
    let table = "name, first\tnote\nLee, Anna\t\"one\ttwo\"\n";
    let expected = [ok(r#"{"name, first":"Lee, Anna","note":"one\ttwo"}"#)];
    assert_eq!(rows("a.tsv", table).await, expected);
    assert_eq!(rows("a.TSV", table).await, expected);
    assert_eq!(rows("a.tsv", "a;b\tc\n1;2\t3\n").await, [ok(r#"{"a;b":"1;2","c":"3"}"#)]);
    assert_eq!(rows("a.csv", "a\tb\n1\t2\n").await, [ok(r#"{"a":"1","b":"2"}"#)]);
}

#[tokio::test]
async fn rows_behind_an_unclosed_quote_are_reported_as_a_failure() {
    let found = rows("a.csv", "a,b\n1,\"2\n3,4\n5,6\n").await;
    assert_eq!(found, [Err("2: a quoted field of this row is never closed".to_owned())]);
}

#[tokio::test]
async fn lines_become_objects_and_bad_ones_are_reported_with_their_line() {
    let lines = b"{\"a\": 1}\n\n{\"a\": \n\xff\n\"word\"\n{\"a\":2,\"_antiphon\":{\"error\":\"x\"}}";
    let expected = [
        ok("{\"a\": 1}"),
        Err("3: not valid JSON: EOF while parsing a value".to_owned()),
        Err("4: this row is not valid UTF-8".to_owned()),
        ok(r#"{"value":"word"}"#),
        ok(r#"{"a":2}"#),
    ];
    assert_eq!(rows("a.jsonl", lines).await, expected);
    assert_eq!(rows("a.json", "[{\"a\":1}, 2]").await, [ok(r#"{"a":1}"#), ok(r#"{"value":2}"#)]);
}

#[tokio::test]
async fn each_document_of_a_folder_is_a_row() {
    let folder = antiphon_fs::temp_dir().unwrap();
    for name in ["b.txt", "a.md"] {
        antiphon_fs::write(folder.path().join(name), format!("words of {name}")).await.unwrap();
    }
    let mut rows = Rows::open(folder.path(), None).await.unwrap();
    let batch = rows.next().await.unwrap();
    assert_eq!(rows.format(), RowFormat::Folder);
    assert_eq!(batch[0], Ok(r#"{"name":"a.md","text":"words of a.md\n"}"#.to_owned()));
    assert_eq!((batch.len(), rows.next().await.unwrap().len()), (2, 0));
    let digest = Rows::open_digested(folder.path(), None).await.unwrap().1;
    antiphon_fs::write(folder.path().join("b.txt"), "other words").await.unwrap();
    assert_ne!(Rows::open_digested(folder.path(), None).await.unwrap().1, digest);
}

async fn failures(name: &str, content: impl AsRef<[u8]> + Send) -> Vec<Failure> {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join(name);
    antiphon_fs::write(&path, content.as_ref().to_owned()).await.unwrap();
    let (mut rows, mut failures) = (Rows::open(&path, None).await.unwrap(), Vec::new());
    loop {
        let batch = rows.next().await.unwrap();
        if batch.is_empty() {
            return failures;
        }
        failures.extend(batch.into_iter().filter_map(Result::err));
    }
}

#[track_caller]
fn check(failure: &Failure, line: u32, text: &str, (is_lossy, is_cut): (bool, bool)) {
    assert_eq!(failure.line, Some(line), "{failure}");
    let raw = RawRow { text: text.to_owned(), is_lossy, is_cut };
    assert_eq!(failure.raw.as_ref(), Some(&raw), "{failure}");
}

const LIMIT: usize = 16 << 20;

#[tokio::test]
async fn a_bad_line_is_kept_verbatim() {
    let found = failures("a.jsonl", b"{\"a\": 1}\n{\"a\": \n{\"b\": \"\xff\"}\n").await;
    check(&found[0], 2, "{\"a\": ", (false, false));
    check(&found[1], 3, "{\"b\": \"\u{fffd}\"}", (true, false));
    let found = failures("a.csv", b"a,b\n1,2,3\n4,\"x\n\xff\ny\"\n5,\"open\n6,7\xc3\xa9\n").await;
    check(&found[0], 2, "1,2,3", (false, false));
    check(&found[1], 4, "4,\"x\n\u{fffd}\ny\"", (true, false));
    check(&found[2], 6, "5,\"open\n6,7é", (false, false));
}

#[tokio::test]
async fn a_line_over_the_limit_is_one_bad_row_and_the_next_ones_follow() {
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(LIMIT));
    let file = format!("{{\"a\": 1}}\n{long}\n{{\"a\": 3}}\n");
    assert_eq!(
        rows("a.jsonl", &file).await,
        [ok("{\"a\": 1}"), Err("2: this row is longer than 16 MiB".to_owned()), ok("{\"a\": 3}")]
    );
    check(&failures("a.jsonl", &file).await[0], 2, &long[..4 << 10], (false, true));
    let table = format!("a,b\n1,{}\n2,z\n", "x".repeat(LIMIT));
    let expected = [Err("2: this row is longer than 16 MiB".to_owned()), ok(r#"{"a":"2","b":"z"}"#)];
    assert_eq!(rows("a.csv", &table).await, expected);
}

#[tokio::test]
async fn a_record_over_the_limit_is_one_bad_row_and_the_next_ones_follow() {
    let lines = "a line within quotes\n".repeat(LIMIT / 20);
    let table = format!("a,b\n1,\"{lines}\"\n2,z\n");
    let reason = "2: this row is longer than 16 MiB".to_owned();
    assert_eq!(rows("a.csv", &table).await, [Err(reason), ok(r#"{"a":"2","b":"z"}"#)]);
    let found = failures("a.csv", &table).await;
    assert!(found[0].raw.as_ref().is_some_and(|raw| raw.is_cut && raw.text.starts_with("1,\"a line")));
    let open = format!("a,b\n1,\"{lines}2,z\n");
    let reason = "2: a quoted field of this row is longer than 16 MiB, or never closed".to_owned();
    assert_eq!(rows("a.csv", &open).await, [Err(reason)]);
}

#[tokio::test]
async fn the_note_of_a_run_is_left_out_of_a_corrected_row_and_is_not_a_row_by_itself() {
    let note = r#"{"error":"bad_row","line":7,"text":"{\"a\": ","cut":true}"#;
    let file = format!("{{\"_antiphon\":{note}}}\n{{\"a\":1,\"_antiphon\":{note}}}\n");
    let expected =
        "1: this row has only the note of a bad line: put the corrected fields in the place of _antiphon";
    assert_eq!(rows("a.jsonl", &file).await, [Err(expected.to_owned()), ok(r#"{"a":1}"#)]);
    check(&failures("a.jsonl", &file).await[0], 1, "{\"a\": ", (false, true));
    let list = format!("[{{\"_antiphon\":{note}}}]");
    assert_eq!(failures("a.json", &list).await.len(), 1);
    assert_eq!(rows("a.jsonl", r#"{"_antiphon":{"error":"refused"}}"#).await, [ok("{}")]);
    let escaped = r#"{"a": 1, "\u005fantiphon": {"error": "refused"}}"#;
    assert_eq!(rows("a.jsonl", escaped).await, [ok(r#"{"a":1}"#)]);
    for unchanged in [r#"{"a":  "_antiphon"}"#, r#"{"a":  "\u00e9"}"#, r#" {"a":  1}"#] {
        assert_eq!(rows("a.jsonl", unchanged).await, [ok(unchanged)]);
    }
}

#[tokio::test]
async fn numbers_keep_their_digits_and_keys_occur_once() {
    if cfg!(feature = "arbitrary_precision") {
        let long = r#"{"n":12345678901234567890123,"x":0.1234567890123456789,"p":1.50,"z":-0}"#;
        assert_eq!(rows("a.jsonl", long).await, [ok(long)]);
        assert_eq!(
            rows("a.json", format!("[\n{},\n 1.50]", long.replace(',', ",\n"))).await,
            [ok(long), ok(r#"{"value":1.50}"#)]
        );
    }
    let twice = "the key \"a\" occurs twice in an object";
    let found = rows("a.jsonl", "{\"a\":1}\n{\"b\":{\"a\":1,\"a\":1}}\n[{\"a\":1,\"a\":2}]\n").await;
    assert_eq!(found, [ok("{\"a\":1}"), Err(format!("2: {twice}")), Err(format!("3: {twice}"))]);
    let found = rows("a.json", "[\n{\"a\": 1},\n{\"b\": 1,\n\"a\":\n1, \"a\": 2}\n]").await;
    assert_eq!(found, [ok("{\"a\":1}"), Err(format!("3: {twice}"))]);
    assert_eq!(rows("a.json", "{\"a\": 1, \"a\": 1}").await, [Err(format!("1: {twice}"))]);
}
