use std::io::Write;

use zip::write::SimpleFileOptions;

use crate::Document;
use crate::formats::lines_of_turns;

/// Returns a DOCX of these parts.
fn archive(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, xml) in parts {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(xml.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Parses a DOCX with this content of its body.
fn parse(body: &str) -> Document {
    let xml = format!("<w:document><w:body>{body}</w:body></w:document>");
    Document::parse("a.docx", &archive(&[("word/document.xml", &xml)])).unwrap()
}

/// Returns a paragraph of one run.
fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>")
}

/// Returns a table of rows of cells, each of which is a list of paragraphs.
fn table(rows: &[&[&[&str]]]) -> String {
    let cell = |lines: &&[&str]| {
        format!("<w:tc><w:tcPr/>{}</w:tc>", lines.iter().map(|line| paragraph(line)).collect::<String>())
    };
    let row = |cells: &&[&[&str]]| format!("<w:tr>{}</w:tr>", cells.iter().map(cell).collect::<String>());
    format!("<w:tbl>{}</w:tbl>", rows.iter().map(row).collect::<String>())
}

/// Checks the turns of a document, each as (speaker, words, paragraph).
#[track_caller]
fn check_turns(document: &Document, expected: &[(&str, &str, u32)]) {
    assert_eq!(lines_of_turns(document), expected, "{}", document.text);
}

#[track_caller]
fn check_text(body: &str, expected: &str) {
    assert_eq!(&*parse(body).text, expected);
}

#[test]
fn an_archive_of_too_many_files_is_refused_before_its_directory_is_read() {
    let mut bytes = archive(&[("word/document.xml", "<w:document/>")]);
    bytes.splice(0..0, b"PK\x01\x02".repeat(20_000));
    let failure = Document::parse("a.docx", &bytes).unwrap_err();
    assert_eq!(failure.to_string(), "a.docx: the archive has more than 16384 files");
    assert_eq!(failure.kind, crate::FailureKind::TooLarge);
}

#[test]
fn a_text_box_is_read_once_and_behind_its_paragraph() {
    let text = paragraph("P1: In a box");
    let shape = |text: &str| format!("<wps:txbx><w:txbxContent>{text}</w:txbxContent></wps:txbx>");
    let alternatives = |choice: &str, fallback: &str| {
        format!(
            "<w:p><w:r><mc:AlternateContent><mc:Choice>{choice}</mc:Choice><mc:Fallback>{fallback}</mc:Fallback></mc:AlternateContent><w:t>P1: around</w:t></w:r></w:p>"
        )
    };
    check_turns(
        &parse(&alternatives(&shape(&text), &shape(&text))),
        &[("P1", "around", 1), ("P1", "In a box", 2)],
    );
    check_turns(&parse(&alternatives("", &shape(&text))), &[("P1", "around", 1), ("P1", "In a box", 2)]);
    let nested = alternatives(&shape(&alternatives(&shape(&text), &shape(&text))), &shape(&text));
    assert_eq!(parse(&nested).text.matches("In a box").count(), 1);
}

#[test]
fn moved_text_is_read_at_its_new_place_and_deleted_text_is_not() {
    let run = |text: &str| format!("<w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r>");
    let body = format!(
        "<w:p><w:moveFrom>{}</w:moveFrom>{}</w:p><w:p><w:r><w:t>P2: </w:t></w:r><w:moveTo>{}</w:moveTo><w:del><w:r><w:delText>no</w:delText></w:r>{}</w:del><w:ins>{}</w:ins></w:p>",
        run("moved"),
        run("P1: So "),
        run("moved "),
        run("gone"),
        run("in")
    );
    check_turns(&parse(&body), &[("P1", "So", 1), ("P2", "moved in", 2)]);
    let format = "<w:p><w:pPr><w:pPrChange><w:pPr><w:pStyle w:val=\"Heading1\"/></w:pPr></w:pPrChange></w:pPr><w:r><w:rPr><w:del/></w:rPr><w:t>P1: So</w:t></w:r></w:p>";
    check_text(format, "P1: So\n");
}

#[test]
fn links_breaks_and_readings_of_characters() {
    check_text("<w:p><w:r><w:t>Mia   0:03</w:t><w:br/><w:t>I bake</w:t></w:r></w:p>", "Mia   0:03\nI bake\n");
    let link = "<w:p><w:r><w:t xml:space=\"preserve\">P1: see </w:t></w:r><w:hyperlink><w:r><w:t>my list</w:t></w:r></w:hyperlink><w:r><w:instrText>HYPERLINK no</w:instrText><w:t><![CDATA[ & so]]></w:t></w:r></w:p>";
    check_text(link, "P1: see my list & so\n");
    let ruby = "<w:p><w:r><w:ruby><w:rt><w:r><w:t>よみ</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>読</w:t></w:r></w:rubyBase></w:ruby></w:r></w:p>";
    check_text(ruby, "読\n");
}

#[test]
fn rows_of_a_name_and_words_are_turns() {
    let rows = table(&[
        &[&["Speaker"], &["Text"]],
        &[&["Interviewer"], &["How so?"]],
        &[&["P1"], &["I bake.", "", "Daily."]],
        &[&[""], &["And sell."]],
    ]);
    check_turns(&parse(&rows), &[("Interviewer", "How so?", 4), ("P1", "I bake.\nDaily.\nAnd sell.", 6)]);
    let timed = table(&[
        &[&["0:01"], &["Mia"], &["I bake."]],
        &[&["0:09"], &["Bo"], &["Why?"]],
        &[&["0:12"], &["Mia"], &["So."]],
        &[&["0:13"], &["Bo"], &["Oh."]],
    ]);
    assert_eq!(&*parse(&timed).text, "0:01 Mia: I bake.\n0:09 Bo: Why?\n0:12 Mia: So.\n0:13 Bo: Oh.\n");
}

#[test]
fn other_rows_are_lines() {
    let plain = table(&[&[&["a pan"], &["it is hot"], &["now"]], &[&["one"], &[""], &["three"]]]);
    check_text(&plain, "a pan | it is hot | now\none | three\n");
    let layout = table(&[&[&["our notes"], &["P1: I bake.", "P2: Why?"]]]);
    check_turns(&parse(&layout), &[("P1", "I bake.", 2), ("P2", "Why?", 3)]);
    let inner = table(&[&[&["P1"], &["I bake."]]]);
    let outer =
        format!("<w:tbl><w:tr><w:tc>{inner}</w:tc><w:tc>{}</w:tc></w:tr></w:tbl>", paragraph("beside"));
    check_text(&outer, "P1: I bake.\n\nbeside\n");
}

#[test]
fn a_table_of_facts_is_the_header_of_the_interview() {
    let facts = table(&[
        &[&["Study"], &["stalls"]],
        &[&["Participant"], &["Mia Holt"]],
        &[&["Interviewer"], &["Jo Marsh"]],
    ]);
    let body = facts + &paragraph("Jo: Why?") + &paragraph("Participant: I bake.") + &paragraph("Jo: And?");
    check_turns(&parse(&body), &[("Jo", "Why?", 7), ("Mia Holt", "I bake.", 8), ("Jo", "And?", 9)]);
}

#[test]
fn notes_are_behind_the_text_and_no_ones_words() {
    let note = |kind: &str, id: u32, attributes: &str, text: &str| {
        format!("<w:{kind} w:id=\"{id}\" {attributes}>{}</w:{kind}>", paragraph(text))
    };
    let footnotes = format!(
        "<w:footnotes>{}{}{}{}</w:footnotes>",
        note("footnote", 0, "w:type=\"separator\"", "line"),
        note("footnote", 2, "", "It was a Monday."),
        note("footnote", 3, "", ""),
        note("footnote", 4, "", "P1: I meant the van."),
    );
    let endnotes = format!("<w:endnotes>{}</w:endnotes>", note("endnote", 2, "", "The end."));
    let read = |body: &str| {
        let parts = [
            ("word/document.xml", body),
            ("word/footnotes.xml", &footnotes),
            ("word/endnotes.xml", &endnotes),
            ("word/comments.xml", "<no"),
        ];
        Document::parse("a.docx", &archive(&parts)).unwrap()
    };
    let labelled = read(&paragraph("P1: I bake."));
    check_turns(&labelled, &[("P1", "I bake.", 1), ("P1", "I meant the van.", 4)]);
    assert_eq!(
        &*labelled.text,
        "P1: I bake.\n# Footnote 1\nIt was a Monday.\n# Footnote 2\nP1: I meant the van.\n# Endnote 1\nThe end.\n"
    );
    let body = footnotes.replace("P1: ", "");
    let plain = [("word/document.xml", paragraph("I bake.")), ("word/footnotes.xml", body)];
    let plain = plain.each_ref().map(|(name, xml)| (*name, xml.as_str()));
    let document = Document::parse("a.docx", &archive(&plain)).unwrap();
    check_turns(&document, &[("a", "I bake.", 1)]);
    assert!(document.text.contains("It was a Monday."));
}

#[test]
fn notes_share_the_limit_of_the_text() {
    let spaces = " ".repeat(40 << 20);
    let parts = [("word/document.xml", spaces.as_str()), ("word/footnotes.xml", spaces.as_str())];
    let failure = Document::parse("a.docx", &archive(&parts)).unwrap_err();
    assert_eq!(failure.to_string(), "a.docx: the text unpacks to more than 67108864 bytes");
    let failure = Document::parse("a.docx", &archive(&[("word/a.xml", "")])).unwrap_err();
    assert_eq!(failure.to_string(), "a.docx: cannot read word/document.xml: the archive does not have it");
}
