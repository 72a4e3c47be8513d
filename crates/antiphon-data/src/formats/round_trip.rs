//! Made-up dialogues, rendered in several formats and read back.

use std::io::Write;

use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use crate::Document;

const NAMES: [&str; 4] = ["Mia Holt", "Jo", "P07", "Ana Berg"];

/// The words of one speaker, from a second of the recording on.
#[derive(Debug, Clone)]
struct Line {
    name: &'static str,
    words: String,
    second: u32,
}

/// A turn that is read: speaker, words and time.
type Read = (String, String, Option<String>);

/// Returns dialogues in which each name occurs at least twice.
fn dialogues() -> impl Strategy<Value = Vec<Line>> {
    let words = "[A-Z][a-z]{0,7}( [a-z&<'-]{1,6}[a-z,]){0,6} [a-z]{1,9}[.?!]";
    let line = (prop::sample::select(&NAMES[..]), words, 1_u32..3_000);
    prop::collection::vec(line, 0..12).prop_map(|lines| {
        let more = NAMES.iter().chain(&NAMES).map(|name| (*name, "So we do.".to_owned(), 7));
        let mut second = 0;
        let lines = lines.into_iter().chain(more).map(|(name, words, gap)| {
            second += gap;
            Line { name, words, second }
        });
        lines.collect()
    })
}

/// Returns a time as captions write it.
fn time(second: u32, separator: char) -> String {
    format!("{:02}:{:02}:{:02}{separator}250", second / 3600, second / 60 % 60, second % 60)
}

/// Returns a time as a turn has it.
fn clock(second: u32) -> String {
    match second / 3600 {
        0 => format!("{}:{:02}", second / 60, second % 60),
        hours => format!("{hours}:{:02}:{:02}", second / 60 % 60, second % 60),
    }
}

/// Returns the turns that captions should have: consecutive lines of one speaker are one.
fn merged(lines: &[Line]) -> Vec<Read> {
    let mut turns: Vec<Read> = Vec::new();
    for line in lines {
        match turns.last_mut().filter(|(name, ..)| name == line.name) {
            Some((_, words, _)) => *words = format!("{words} {}", line.words),
            None => turns.push((line.name.to_owned(), line.words.clone(), Some(clock(line.second)))),
        }
    }
    turns
}

/// Returns the turns that are read.
fn read(name: &str, bytes: &[u8]) -> Vec<Read> {
    let document = Document::parse(name, bytes).unwrap();
    let time = |time: &Option<std::sync::Arc<str>>| time.as_deref().map(str::to_owned);
    let turn =
        |turn: &crate::Turn| (turn.speaker.to_string(), document.words(turn).to_owned(), time(&turn.time));
    document.turns.iter().map(turn).collect()
}

/// Returns text with the characters escaped that XML and WebVTT reserve.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn vtt(lines: &[Line]) -> String {
    let cue = |line: &Line| {
        let words = escaped(&line.words).replacen(' ', "\n", 1);
        let (from, to) = (time(line.second, '.'), time(line.second + 1, '.'));
        format!("{from} --> {to}\n<v {}>{words}</v>\n\n", line.name)
    };
    format!("WEBVTT\n\n{}", lines.iter().map(cue).collect::<String>())
}

fn srt(lines: &[Line]) -> String {
    let cue = |(index, line): (usize, &Line)| {
        let words = escaped(&line.words).replacen(' ', "\n\n", 1);
        let (from, to) = (time(line.second, ','), time(line.second + 1, ','));
        format!("{}\n{from} --> {to}\n{}: {words}\n\n", index + 1, line.name)
    };
    lines.iter().enumerate().map(cue).collect()
}

/// Returns a DOCX of paragraphs, or of a table with a row for each line.
fn docx(lines: &[Line], is_table: bool) -> Vec<u8> {
    let run =
        |text: &str| format!("<w:p><w:r><w:t xml:space=\"preserve\">{}</w:t></w:r></w:p>", escaped(text));
    let row = |line: &Line| {
        format!("<w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr>", run(line.name), run(&line.words))
    };
    let body: String = if is_table {
        format!("<w:tbl>{}</w:tbl>", lines.iter().map(row).collect::<String>())
    } else {
        lines.iter().map(|line| run(&format!("{}: {}", line.name, line.words))).collect()
    };
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
    archive.write_all(format!("<w:document><w:body>{body}</w:body></w:document>").as_bytes()).unwrap();
    archive.finish().unwrap().into_inner()
}

proptest! {
    #[test]
    fn captions_are_read_back_with_speakers_words_and_times(lines in dialogues()) {
        let expected = merged(&lines);
        prop_assert_eq!(&read("talk.vtt", vtt(&lines).as_bytes()), &expected);
        prop_assert_eq!(&read("talk.srt", srt(&lines).as_bytes()), &expected);
        prop_assert_eq!(&read("talk.txt", srt(&lines).as_bytes()), &expected);
    }

    #[test]
    fn documents_are_read_back_with_speakers_and_words(lines in dialogues(), is_table in any::<bool>()) {
        let expected: Vec<_> = lines.iter().map(|line| (line.name.to_owned(), line.words.clone(), None)).collect();
        prop_assert_eq!(read("talk.docx", &docx(&lines, is_table)), expected);
    }
}
