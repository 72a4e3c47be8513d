use std::io::Write;

use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use super::lines_of_turns;
use crate::{Document, SpeakerRole};

/// Checks the turns of a document, each as (speaker, words, source line of the first word).
#[track_caller]
fn check(name: &str, bytes: &[u8], expected: &[(&str, &str, u32)]) {
    let document = Document::parse(name, bytes).unwrap();
    assert_eq!(lines_of_turns(&document), expected, "{}", document.text);
}

#[track_caller]
fn check_failure(name: &str, bytes: &[u8], expected: &str) {
    assert_eq!(Document::parse(name, bytes).unwrap_err().to_string(), expected);
}

#[test]
fn text_keeps_its_own_lines() {
    check(
        "a.txt",
        b"Interviewer: Hi\r\n\r\nP1: Yes,\r\nindeed.\r\n",
        &[("Interviewer", "Hi", 1), ("P1", "Yes,\nindeed.", 3)],
    );
    check("notes.txt", b"# Notes\n\nThey want speed.\n", &[("notes", "They want speed.", 3)]);
}

#[test]
fn csv_rows_are_turns_or_answers() {
    check(
        "a.csv",
        b"time,speaker,text\n1,P1,\"one\ntwo, \"\"three\"\"\"\n2,Interviewer,Why?\n",
        &[("P1", "one\ntwo, \"three\"", 2), ("Interviewer", "Why?", 4)],
    );
    check(
        "survey.csv",
        b"participant,age,What annoys you?\nP1,40,It is slow\nP2,,The cold mornings\n",
        &[("P1", "It is slow", 2), ("P2", "The cold mornings", 3)],
    );
    check("q.csv", b"participant,Question 1\nP1,It is too slow\n", &[("P1", "It is too slow", 2)]);
    check("b.csv", b"a,text\n\n\n1,two words\n", &[("b", "two words", 4)]);
    check_failure(
        "y.csv",
        b"speaker,text\nA,\"open one\nB,and two\n",
        "y.csv:2: a quoted field of this row is never closed",
    );
    check_failure("a.csv", b"a,b\n1,2\n1,2,3\n", "a.csv:3: this row has 3 fields and the header has 2");
}

#[test]
fn json_values_keep_their_lines() {
    let json = "{\n \"meta\": {\"id\": \"P7\"},\n \"turns\": [\n  {\"speaker\": \"P7\",\n   \"text\": \"I\\u2019m \\\"in\\\"\"}\n ]\n}";
    check("a.json", json.as_bytes(), &[("P7", "I\u{2019}m \"in\"", 5)]);
    check(
        "a.jsonl",
        b"{\"who\":\"P1\",\"text\":\"One\"}\n\n{\"who\":\"P1\",\"text\":\"Two\"}\n",
        &[("P1", "One", 1), ("P1", "Two", 3)],
    );
    check_failure("a.json", b"{\n \"a\": 1,\n}", "a.json:3: not valid JSON: key must be a string");
    check_failure("b.jsonl", b"{}\n{\"a\":", "b.jsonl:2: not valid JSON: EOF while parsing a value");
}

#[test]
fn the_side_of_a_row_depends_on_its_speaker_and_not_on_its_columns() {
    let roles = |name: &str, text: &str| -> Vec<SpeakerRole> {
        Document::parse(name, text.as_bytes()).unwrap().turns.iter().map(|turn| turn.role).collect()
    };
    let asks = "speaker,comment\nInterviewer,Are you tired of it?\nP1,Yes I am\n";
    assert_eq!(roles("a.csv", asks), [SpeakerRole::Interviewer, SpeakerRole::Participant]);
    let by_role = "{\"role\":\"interviewer\",\"name\":\"Sam\",\"text\":\"Tired of it?\"}\n{\"name\":\"Bo\",\"text\":\"Yes\"}";
    assert_eq!(roles("a.jsonl", by_role), [SpeakerRole::Interviewer, SpeakerRole::Participant]);
    let in_one_cell = "id,transcript\n1,\"Interviewer: Why?\nP1: Because of it\"\n";
    assert_eq!(roles("a.csv", in_one_cell), [SpeakerRole::Interviewer, SpeakerRole::Participant]);
}

#[test]
fn a_named_interviewer_is_one_in_every_turn() {
    let roles = |name: &str, text: &str| -> Vec<(String, SpeakerRole)> {
        let document = Document::parse(name, text.as_bytes()).unwrap();
        document.turns.iter().map(|turn| (turn.speaker.to_string(), turn.role)).collect()
    };
    let expected =
        [("Jo".to_owned(), SpeakerRole::Interviewer), ("Anna".to_owned(), SpeakerRole::Participant)];
    let yaml = "interviewer: Jo Marsh\nturns:\n- {speaker: Jo, text: I hate that too. You?}\n- {speaker: Anna, text: I do}\n";
    assert_eq!(roles("a.yaml", yaml), expected);
    let json =
        r#"{"moderator": "Jo", "turns": [{"who": "Jo", "text": "Well?"}, {"who": "Anna", "text": "I do"}]}"#;
    assert_eq!(roles("a.json", json), expected);
    let text =
        "Interviewer: Jo Marsh\nParticipant: Anna Keller\n\nJo: Well?\nAnna: I do.\nJo: Why?\nAnna: So.\n";
    assert_eq!(roles("a.txt", text)[..2], expected);
    let talk = "Interviewer: How are you?\nParticipant: Fine.\n\nInterviewer: Why?\n";
    assert_eq!(roles("b.txt", talk).len(), 3, "a dialogue of two lines is not a header");
}

#[test]
fn values_nested_beside_a_text_belong_to_it() {
    let segments = "[{\"speaker\":\"P1\",\"text\":\"I hate it\\nso\",\"tags\":[\"x\"]},\n{\"speaker\":\"Interviewer\",\"text\":\"Why?\",\"words\":[{\"t\":1}]}]";
    check("a.json", segments.as_bytes(), &[("P1", "I hate it\nso", 1), ("Interviewer", "Why?", 2)]);
    let document = Document::parse("a.json", segments.as_bytes()).unwrap();
    assert_eq!(document.line_at(document.text.find("so").unwrap()), 1);
}

#[test]
fn caption_labels_may_be_alone_on_a_line_and_prose_is_not_one() {
    let srt = "1\n00:00:01,000 --> 00:00:02,000\nInterviewer:\nAre you tired?\n\n2\n00:00:03,000 --> 00:00:04,000\nRight: I mean it\n\n3\n00:00:05,000 --> 00:00:06,000\nP5:\n\n4\n00:00:07,000 --> 00:00:08,000\nBecause\n";
    check(
        "a.srt",
        srt.as_bytes(),
        &[("Interviewer", "Are you tired? Right: I mean it", 4), ("P5", "Because", 16)],
    );
}

#[test]
fn speech_below_a_text_is_not_lost() {
    let json = "{\"message\":\"ok then\",\"transcript\":[{\"speaker\":\"P1\",\"text\":\"I ring\"}]}";
    check("a.json", json.as_bytes(), &[("a", "ok then", 1), ("P1", "I ring", 1)]);
    let empty = "{\"text\":\"\",\"segments\":[{\"speaker\":\"P1\",\"text\":\"I ring\"}]}";
    check("a.json", empty.as_bytes(), &[("P1", "I ring", 1)]);
}

#[test]
fn tables_with_semicolons_and_quotes_inside_fields_are_read() {
    check(
        "a.csv",
        b"speaker;text\nInterviewer;Why, so?\nP1;I ring\n",
        &[("Interviewer", "Why, so?", 2), ("P1", "I ring", 3)],
    );
    check(
        "b.csv",
        b"speaker,text,note\nP1,it is 5\" wide,\nP2,\"I\non\",\n",
        &[("P1", "it is 5\" wide", 2), ("P2", "I\non", 3)],
    );
    let read_out = "{\"speaker\":\"Interviewer\",\"text\":\"Which:\\nA: the cost\\nR: the van\"}\n{\"speaker\":\"P1\",\"text\":\"The van\"}";
    check(
        "a.jsonl",
        read_out.as_bytes(),
        &[("Interviewer", "Which:\nA: the cost\nR: the van", 1), ("P1", "The van", 2)],
    );
}

#[test]
fn two_voices_on_a_line_are_two_turns() {
    let vtt = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v P01>I ring.</v> <v Interviewer>Why?</v>\n";
    check("a.vtt", vtt.as_bytes(), &[("P01", "I ring.", 4), ("Interviewer", "Why?", 4)]);
    let once = "1\n00:00:01,000 --> 00:00:02,000\nInterviewer: How?\n\n2\n00:00:03,000 --> 00:00:04,000\nLea: I ring\n";
    check("a.srt", once.as_bytes(), &[("Interviewer", "How?", 3), ("Lea", "I ring", 7)]);
}

#[test]
fn json_nested_too_deep_is_rejected() {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    check_failure("a.json", deep.as_bytes(), "a.json:1: nested more than 64 levels deep");
}

#[test]
fn captions_of_one_speaker_are_one_turn() {
    check(
        "a.vtt",
        b"WEBVTT\n\nNOTE\nx --> y\n\n00:01.000 --> 00:02.000\n<v Interviewer>Why?</v>\n\nid\n00:03.000 --> 00:04.000 align:start\n<v P4>Because &amp;\nthen</v>\n\n00:05.000 --> 00:06.000\n<v P4><i>some</i></v>\n",
        &[("Interviewer", "Why?", 7), ("P4", "Because & then some", 11)],
    );
    check(
        "a.srt",
        b"1\n00:00:01,000 --> 00:00:02,000\nP5: One\ntwo\n\n2\n00:00:03,000 --> 00:00:04,000\nthree\n\n3\n00:00:05,000 --> 00:00:06,000\nInterviewer: So?\n",
        &[("P5", "One two three", 3), ("Interviewer", "So?", 12)],
    );
    check_failure("a.vtt", b"hello", "a.vtt:1: a WebVTT file must begin with a line WEBVTT");
    check_failure(
        "a.srt",
        b"1\n00:00:01,000 --> soon\nx\n",
        "a.srt:2: invalid cue times: 00:00:01,000 --> soon",
    );
    check_failure(
        "a.srt",
        b"1\nno times\n",
        "a.srt:1: a cue without times, such as 00:00:01.000 --> 00:00:04.000",
    );
}

#[test]
fn the_later_words_of_a_caption_keep_their_lines() {
    let srt = b"1\n00:00:01,000 --> 00:00:02,000\nP5: One\n\n2\n00:00:03,000 --> 00:00:04,000\ntwo\n";
    let document = Document::parse("a.srt", srt).unwrap();
    let at = document.text.find("two").unwrap();
    assert_eq!(document.line_at(at), 7);
}

fn docx(xml: &str) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut archive = zip::ZipWriter::new(&mut bytes);
    archive.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
    archive.write_all(xml.as_bytes()).unwrap();
    archive.finish().unwrap();
    bytes.into_inner()
}

#[test]
fn docx_paragraphs_are_lines_and_headings_are_not_speech() {
    let body = r#"<w:document><w:body><w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Talk</w:t></w:r></w:p>
        <w:p><w:r><w:t>P3:</w:t></w:r><w:r><w:t xml:space="preserve"> Fish &amp;</w:t><w:tab/><w:t>chips&#x21;</w:t></w:r></w:p>
        <w:p><w:r><w:t>and more</w:t></w:r></w:p></w:body></w:document>"#;
    check("a.docx", &docx(body), &[("P3", "Fish & chips!\nand more", 2)]);
    check_failure("a.docx", b"PK no", "a.docx: not a DOCX file: it is not a zip archive");
    check_failure("a.docx", &docx("<w:p><w:t>cut"), "a.docx:1: unexpected end of the document");
}

#[test]
fn the_tab_stops_of_a_paragraph_are_no_text() {
    let stops = r#"<w:pPr><w:tabs><w:tab w:val="left" w:pos="720"/><w:tab w:val="left" w:pos="1440"/></w:tabs></w:pPr>"#;
    let paragraph = |run: &str| format!("<w:p>{stops}<w:r>{run}</w:r></w:p>");
    let body = paragraph("<w:t>P3: one</w:t><w:tab/><w:t>two</w:t>")
        + &paragraph("<w:t>three</w:t><w:br></w:br><w:t>four</w:t>");
    let document = Document::parse("a.docx", &docx(&body)).unwrap();
    assert_eq!(&*document.text, "P3: one two\nthree\nfour\n");
}

#[test]
fn files_that_are_not_documents_fail_with_the_reason() {
    check_failure("a.txt", b"  \n", "a.txt: the file has no text");
    check_failure("a.md", b"\x00\x01\x02", "a.md: binary data, not text");
    check_failure(
        "a.pdf",
        b"",
        "a.pdf: unsupported file type; supported: txt, md, org, html, csv, json, jsonl, yaml, vtt, srt, docx",
    );
}

proptest! {
    /// Checks that a reader returns turns within the text, or a failure, for any bytes.
    #[test]
    fn any_bytes_are_read_or_rejected(text in "[a-zA-Z:*#<>\\[\\]{}\",\\-\n &;0-9é]{0,200}") {
        for name in ["a.txt", "a.md", "a.csv", "a.json", "a.jsonl", "a.vtt", "a.srt", "a.yaml", "a.html", "a.org"] {
            for text in [text.clone(), format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{text}")] {
                let Ok(document) = Document::parse(name, text.as_bytes()) else { continue };
                let mut end = 0;
                for turn in &document.turns {
                    prop_assert!(turn.span.start >= end && turn.span.end <= document.text.len());
                    prop_assert!(!document.words(turn).trim().is_empty());
                    prop_assert!(document.line_at(turn.span.start) >= 1);
                    end = turn.span.end;
                }
            }
        }
    }
}

#[test]
fn yaml_rows_are_turns_and_keep_their_lines() {
    check(
        "a.yaml",
        b"study: stalls\nturns:\n  - speaker: Interviewer\n    text: How is it?\n  - speaker: P1\n    text: |\n      Slow,\n      so slow.\n  - {speaker: P1, text: \"And \\\"dear\\\"\"}\n",
        &[("Interviewer", "How is it?", 4), ("P1", "Slow,\nso slow.", 7), ("P1", "And \"dear\"", 9)],
    );
    check(
        "a.yml",
        b"who: &who P2\n---\nwho: P3\nage: 40\ntext: Too early for me\n",
        &[("P3", "Too early for me", 5)],
    );
    check(
        "b.yaml",
        b"base: &b\n  who: P1\n  text: I like tea\nagain: *b\n",
        &[("P1", "I like tea", 3), ("P1", "I like tea", 3)],
    );
    check(
        "c.yaml",
        b"asks: &a {role: interviewer}\nturns:\n- {<<: *a, text: So what}\n- {who: P1, text: I bake}\n",
        &[("interviewer", "So what", 3), ("P1", "I bake", 4)],
    );
    check_failure(
        "a.yaml",
        b"a: b\n c: [1,\n",
        "a.yaml:2: not valid YAML: mapping values are not allowed in this context",
    );
    check_failure("a.yaml", b"? [a, b]\n: c\n", "a.yaml:1: a key must be a scalar, not a list or a mapping");
}

#[test]
fn a_page_is_read_as_it_is_shown() {
    check(
        "a.html",
        b"<!doctype html><html><head><title>No</title><style>p{a:b}</style></head>\n<body><h1>Talk</h1>\n<p><b>Interviewer:</b> How\n is it?</p><p><b>P1:</b> It&rsquo;s <i>too</i>\n slow &amp; dear.<br>P1: So.\n<script>var x = \"<p>P1: no\";</script><!-- P1: no -->\n</body></html>\n",
        &[("Interviewer", "How is it?", 3), ("P1", "It\u{2019}s too slow & dear.", 4), ("P1", "So.", 5)],
    );
    check(
        "b.htm",
        b"<h2>Notes</h2><p>They want\nspeed.<p>And sleep.<table><tr><td>one</td><td>two</td></tr></table>",
        &[("b", "They want speed.", 1), ("b", "And sleep.", 2), ("b", "one two", 2)],
    );
    check("c.html", b"<pre>P1: one\n  two\nP2: three</pre>", &[("P1", "one\ntwo", 1), ("P2", "three", 3)]);
    check_failure("a.html", b"<p>P1: yes\n<script>var x = 1;\n", "a.html:2: this <script> is never closed");
    check(
        "d.html",
        b"<script src=a.js /></script><p>P1: I bake.</p><svg/><p>P1: So.</p>",
        &[("P1", "I bake.", 1), ("P1", "So.", 1)],
    );
    check_failure(
        "a.html",
        b"<p>P1: yes\n<!-- and so on",
        "a.html:2: the page ends inside a comment or a tag",
    );
    check_failure("a.html", b"<img src=x>", "a.html: the file has no text");
}

#[test]
fn names_beside_words_on_a_page_are_labels() {
    check(
        "a.html",
        b"<dl><dt>Interviewer</dt>\n<dd><p>How so?</p></dd><dt><b>P1:</b><dd>I bake.\n<dd>Daily.<dt>a pan<dd>hot</dl><p>end",
        &[("Interviewer", "How so?", 2), ("P1", "I bake.\nDaily.\na pan\nhot\n\nend", 2)],
    );
    let table = "<table><thead><tr><th>Time<th>Speaker<th>Text</thead>\n<tr><td>0:01</td>\n<td><p>Interviewer</p></td><td><p>How\nso?</p><p>And?</p></td></tr>\n<tr><td>P1:<td>0:04<td>I bake.\n<tr><td><td>0:05<td>Daily.</table>";
    check(
        "b.html",
        table.as_bytes(),
        &[("Interviewer", "How so?\n\nAnd?", 3), ("P1", "I bake.\n0:05 Daily.", 5)],
    );
    let facts = "<table><tr><th>Day</th><th>Place</th></tr><tr><td>Monday</td><td>the market</td></tr></table><p>Study: <table><tr><td>P1<td><table><tr><td>P2<td>inner</table></table>";
    let document = Document::parse("c.html", facts.as_bytes()).unwrap();
    assert_eq!(&*document.text, "Day Place\nMonday the market\n\nStudy:\n\nP1\n\nP2: inner");
}

#[test]
fn an_org_file_keeps_its_lines_and_loses_keywords_comments_and_drawers() {
    check(
        "a.org",
        b"#+TITLE: Talk\n#+DATE: now\n* Morning :tag:\n:PROPERTIES:\n:ID: 7\n:END:\n- they want /speed/\n# a comment\n\n*bold* words\n",
        &[("a", "- they want /speed/", 7), ("a", "*bold* words", 10)],
    );
    check(
        "c.org",
        b":laughs:\nThey want speed\n* Next\n:so:\nsleep\n",
        &[("c", ":laughs:\nThey want speed", 1), ("c", ":so:\nsleep", 4)],
    );
    check(
        "b.org",
        b"* Talk\nInterviewer: Why?\nP1: Because.\n",
        &[("Interviewer", "Why?", 2), ("P1", "Because.", 3)],
    );
}

#[test]
fn inputs_that_expand_without_limit_are_rejected_with_their_line() {
    let laughs = (1..12).fold("a0: &a0 [lol, lol, lol]\n".to_owned(), |text, n| {
        let alias = format!("*a{}", n - 1);
        text + &format!("a{n}: &a{n} [{}]\n", [alias.as_str(); 9].join(", "))
    });
    check_failure("a.yaml", laughs.as_bytes(), "a.yaml:5: aliases repeat more than 1048576 bytes");
    check_failure(
        "a.yaml",
        b"a: &a [*a]\n",
        "a.yaml:1: an alias refers to a value that contains it, or to no anchor",
    );
    let nested = |levels| format!("{}x{}", "[".repeat(levels), "]".repeat(levels));
    check_failure("a.yaml", nested(65).as_bytes(), "a.yaml:1: nested more than 64 levels deep");
    let too_deep = "a.yaml:1: not valid YAML: recursion limit exceeded";
    check_failure("a.yaml", nested(100_000).as_bytes(), too_deep);
    let json = "[".repeat(100_000) + &"]".repeat(100_000);
    check_failure("a.json", json.as_bytes(), "a.json:1: nested more than 64 levels deep");
    let html = "<div><b>".repeat(100_000) + "x";
    check("a.html", html.as_bytes(), &[("a", "x", 1)]);
    let line = "word ".repeat(1 << 20);
    assert_eq!(Document::parse("a.txt", line.as_bytes()).unwrap().turns.len(), 1);
    check_failure("a.txt", b"one\0two", "a.txt: binary data, not text");
}

#[test]
fn an_archive_is_unpacked_only_up_to_the_limit() {
    let file = |xml: &mut dyn Iterator<Item = &[u8]>| {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        archive.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
        xml.for_each(|part| archive.write_all(part).unwrap());
        archive.finish().unwrap().into_inner()
    };
    let spaces = [b' '; 1 << 16];
    let bomb = file(&mut std::iter::repeat_n(&spaces[..], 1_100));
    assert!(bomb.len() < 200_000);
    check_failure("a.docx", &bomb, "a.docx: the text unpacks to more than 67108864 bytes");
    let entities: &[u8] =
        b"<!DOCTYPE x [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;\">]><w:p xmlns:w=\"w\"><w:t>&b;</w:t></w:p>";
    check_failure(
        "a.docx",
        &file(&mut std::iter::once(entities)),
        "a.docx:1: not valid XML: unknown entity &b;",
    );
}
