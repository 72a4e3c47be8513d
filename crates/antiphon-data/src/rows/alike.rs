//! Tables that documents and rows read alike, and files that are no tables.

use super::{Opening, Rows};
use crate::{Document, Encoding, ErrorKind};

/// Returns the rows of a file, or the message of the error.
async fn rows(name: &str, content: &[u8], encoding: Option<&str>) -> Result<Vec<String>, String> {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join(name);
    antiphon_fs::write(&path, content.to_owned()).await.unwrap();
    let encoding = encoding.and_then(Encoding::of_label);
    let options = super::RowOptions::default().encoding(encoding);
    let opening = Opening { path: &path, options };
    let shown = |err: crate::Error| {
        assert_eq!(err.kind(), ErrorKind::NothingReadable);
        err.to_string()
    };
    let mut rows: Rows = opening.open().await.map_err(shown)?;
    let batch = rows.next().await.unwrap();
    Ok(batch.into_iter().map(|row| row.map_err(|err| err.to_string()).unwrap_or_else(|err| err)).collect())
}

/// Checks that a table has this row, and that the document has its words as a turn.
#[track_caller]
fn check(found: Result<Vec<String>, String>, name: &str, content: &[u8]) {
    let expected = r#"{"Name":"Zoë","What works, what not?":"I write; it is, I think, on the fridge.","Why?":"It is near."}"#;
    assert_eq!(found, Ok(vec![expected.to_owned()]), "{name}");
    let document = Document::parse(name, content).unwrap();
    let turns: Vec<_> = document.turns.iter().map(|turn| (&*turn.speaker, document.words(turn))).collect();
    assert_eq!(turns, [("Zoë", "I write; it is, I think, on the fridge."), ("Zoë", "It is near.")], "{name}");
}

#[tokio::test]
async fn documents_and_rows_read_one_table_alike() {
    let commas =
        "Name,\"What works, what not?\",Why?\nZoë,\"I write; it is, I think, on the fridge.\",It is near.\n";
    let semicolons =
        "Name;What works, what not?;Why?\nZoë;\"I write; it is, I think, on the fridge.\";It is near.\n";
    let tabs =
        "Name\tWhat works, what not?\tWhy?\nZoë\tI write; it is, I think, on the fridge.\tIt is near.\n";
    let utf16 = |text: &str| {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    let latin1 = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
    let files: [(&str, Vec<u8>); 10] = [
        ("a.csv", commas.into()),
        ("b.csv", semicolons.into()),
        ("c.csv", format!("\u{feff}sep=;\n{semicolons}").into()),
        ("d.csv", semicolons.replace('\n', "\r").into()),
        ("e.csv", utf16(semicolons)),
        ("f.csv", latin1(commas)),
        ("g.tsv", tabs.into()),
        ("h.csv", utf16(&tabs.replace('\n', "\r\n"))),
        ("i.csv", format!("\n{commas}  \n").into()),
        ("j.csv", latin1(&format!("sep=;\r\n{}", semicolons.replace('\n', "\r\n")))),
    ];
    for (name, content) in files {
        check(rows(name, &content, None).await, name, &content);
    }
}

#[tokio::test]
async fn columns_of_one_name_are_both_kept() {
    let table = b"Name,Answer,Answer\nAna,I bake bread,I sell it\n";
    let found = rows("a.csv", table, None).await;
    assert_eq!(
        found,
        Ok(vec![r#"{"Name":"Ana","Answer":"I bake bread","Answer (2)":"I sell it"}"#.to_owned()])
    );
    let document = Document::parse("a.csv", table).unwrap();
    assert!(
        document.text.contains("I bake bread") && document.text.contains("Answer (2): I sell it"),
        "{}",
        document.text
    );
}

#[tokio::test]
async fn an_encoding_that_is_named_is_used_for_rows() {
    let cyrillic = b"name,text\n\xc0\xed\xe0,\xdf \xef\xe8\xf8\xf3 \xed\xe0 \xf5\xee\xeb\xee\xe4\xe8\xeb\xfc\xed\xe8\xea\xe5\n";
    let expected = r#"{"name":"Ана","text":"Я пишу на холодильнике"}"#.to_owned();
    assert_eq!(rows("a.csv", cyrillic, Some("cp1251")).await, Ok(vec![expected]));
    let reason = rows("a.csv", cyrillic, None).await.unwrap_err();
    assert!(reason.ends_with("probably windows-1251. Name the encoding"), "{reason}");
    let json = b"[{\"name\": \"\xc0\xed\xe0\"}]";
    assert_eq!(rows("a.json", json, Some("cp1251")).await, Ok(vec![r#"{"name":"Ана"}"#.to_owned()]));
    assert_eq!(
        rows("a.jsonl", &json[1..json.len() - 1], Some("cp1251")).await,
        Ok(vec![r#"{"name": "Ана"}"#.to_owned()])
    );
}

#[tokio::test]
async fn files_that_are_no_tables_are_refused_by_name() {
    let prose = "I write it on the fridge. Every week, and for years.\nMy sister tears it down. So we begin again, every Monday.\n";
    let talk = "Interviewer: How do you plan your week?\nAna: I write it on the fridge.\n";
    let files: [(&str, &[u8], &str); 14] = [
        ("a.csv", b"%PDF-1.7\n", "a PDF document"),
        ("a.pdf", b"%PDF-1.7\n", "a PDF document"),
        ("a.xlsx", b"PK\x03\x04xl", "a spreadsheet"),
        ("a.csv", b"PK\x03\x04xl", "a zip archive"),
        ("a.docx", b"PK\x03\x04word", "a text document"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "an image"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "an image"),
        ("a.mp4", b"\0\0\0\x20ftypisom", "a video"),
        ("a.csv", b"\n <!DOCTYPE html><p>x", "a web page"),
        ("a.txt", prose.as_bytes(), "prose"),
        ("a", talk.as_bytes(), "prose"),
        ("a.md", b"# Talk\n\nAna: I bake.\n", "a text document"),
        ("a.vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nx\n", "a transcript"),
        ("a.csv", b"a,b\n1,\x002\n", "binary data"),
    ];
    for (name, content, what) in files {
        let reason = rows(name, content, None).await.unwrap_err();
        assert!(reason.contains(what), "{name}: {reason}");
    }
    for table in
        ["name;age\nAna;40\n", "name\nOslo\nBergen\n", "Name,Why do you bake?\nAna,\"I like it. A lot.\"\n"]
    {
        assert!(rows("a.txt", table.as_bytes(), None).await.is_ok(), "{table}");
    }
}
