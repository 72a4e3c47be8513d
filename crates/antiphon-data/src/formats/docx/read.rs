//! The body of a DOCX: the main part, and behind it the notes.

use crate::builder::Body;
use crate::error::Malformed;
use crate::formats::docx::archive::Archive;
use crate::formats::docx::story::{self, Line};
use crate::formats::plain::plain;

/// The part with the document's text.
const MAIN: &str = "word/document.xml";
/// The parts with notes, whose paragraphs are read behind those of the main part.
const NOTES: [&str; 2] = ["word/footnotes.xml", "word/endnotes.xml"];

/// Reads the paragraphs of Word's main document part (ECMA-376, part 1, section 17.3) and of its notes (section 17.11),
/// headings marked with `#`.
///
/// # Errors
/// A failure of the whole file if it is not a zip archive, has no `word/document.xml`, or its parts cannot be unpacked,
/// are too large or are not UTF-8; a failure with the paragraph for invalid XML.
pub(crate) fn docx(bytes: &[u8], person: &str) -> Result<Body, Malformed> {
    let mut archive = Archive::open(bytes)?;
    let main = archive.part(MAIN)?;
    let main =
        main.ok_or_else(|| Malformed::whole(format!("cannot read {MAIN}: the archive does not have it")))?;
    let mut story = story::read(&main, 0)?;
    let end = offset_behind(&story.lines);
    for part in NOTES {
        if let Some(xml) = archive.part(part)? {
            let notes = story::read(&xml, story.paragraphs)?;
            story.paragraphs = notes.paragraphs;
            story.lines.extend(notes.lines);
        }
    }
    let mut body = plain(story.lines.iter().map(|line| (line.number, line.text.as_str())), person);
    // A document without labels is read by paragraphs: those of notes are no one's words.
    let is_paragraph = |start: usize| start >= end && body.text[..start].ends_with('\n');
    body.turns.retain(|turn| !is_paragraph(turn.span.start));
    Ok(body)
}

/// Returns the byte offset behind lines in the text.
fn offset_behind(lines: &[Line]) -> usize {
    lines.iter().map(|line| line.text.len() + 1).sum()
}
