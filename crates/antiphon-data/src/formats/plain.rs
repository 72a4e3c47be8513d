//! Plain text and Markdown, and the dispatch to the readers of the other text-based formats.
//!
//! Plain text and Markdown are the text of the document as they are, so that byte offsets are those of the decoded
//! text.

use crate::builder::Body;
use crate::document::{Format, LineStart};
use crate::error::Malformed;
use crate::formats::{captions, csv, html, json, org, yaml};

/// Reads any text-based format; `person` is the name of a speaker whom the file does not name. Line ends have to be
/// `\n`.
///
/// # Errors
/// The first malformed place. Org has none, and neither have plain text and Markdown, unless they are captions.
pub(crate) fn text(format: Format, text: &str, person: &str) -> Result<Body, Malformed> {
    match format {
        Format::Csv => csv::read(text, person),
        Format::Json => json::read(text, person),
        Format::Jsonl => json::read_lines(text, person),
        Format::Vtt => captions::vtt(text, person),
        Format::Srt => captions::srt(text, person),
        Format::Yaml => yaml::read(text, person),
        Format::Html => html::read(text, person),
        // Captions that were pasted into a text, or saved under its name.
        Format::Text | Format::Markdown if captions::looks_like(text) && !captions::has_names_above(text) => {
            captions::srt(text, person)
        }
        Format::Org => Ok(plain((1..).zip(org::lines(text)), person)),
        _ => Ok(whole(text).spoken(person)),
    }
}

/// Returns the body of a text that is that of the document as it is.
fn whole(text: &str) -> Body {
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
    let starts = std::iter::once(0).chain(ends);
    // Counted first, since the list would grow by doubling: the ends of lines are counted many at a time.
    let mut lines = Vec::with_capacity(memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1);
    lines.extend(starts.zip(1..).map(|(offset, line)| LineStart { offset, line }));
    let mut body = Body { text: String::with_capacity(text.len() + 1), lines, ..Body::default() };
    body.text.push_str(text);
    if !text.ends_with('\n') {
        body.text.push('\n');
    }
    body
}

/// Reads numbered lines as text that may name its speakers. The numbers are the source lines; for a DOCX, its
/// paragraphs.
pub(crate) fn plain<S: AsRef<str>>(lines: impl Iterator<Item = (u32, S)>, person: &str) -> Body {
    let mut body = Body::default();
    for (number, line) in lines {
        body.mark(number);
        body.text.push_str(line.as_ref());
        body.text.push('\n');
    }
    // `split` yields an empty last line behind the file's last line end.
    if body.text.ends_with("\n\n") {
        body.text.pop();
    }
    body.spoken(person)
}
