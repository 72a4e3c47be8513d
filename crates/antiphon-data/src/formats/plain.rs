//! Plain text, Markdown and Org, and the dispatch to the readers of the other text-based formats.
//!
//! Plain text and Markdown are the text of the document as they are, so that byte offsets are those of the decoded
//! text. Org's lines are first translated: headings become Markdown's, since the search for speakers knows only those,
//! and lines for machines become empty. No line is removed, so that the numbers of lines remain those of the file.

use std::borrow::Cow;
use std::ops::Range;

use crate::builder::Body;
use crate::document::Format;
use crate::error::Malformed;
use crate::formats::{captions, csv, html, json, yaml};

/// Reads any text-based format; `person` is the name of a speaker whom the file does not name. Line ends have to be
/// `\n`.
///
/// # Errors
/// The first malformed place. Plain text, Markdown and Org have none.
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
        Format::Text | Format::Markdown if captions::looks_like(text) => captions::srt(text, person),
        Format::Org => Ok(plain((1..).zip(org(text)), person)),
        _ => Ok(plain((1..).zip(text.split('\n')), person)),
    }
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

/// Returns the lines of an Org file, headings marked with `#`; keywords, comments and drawers (Org's manual, "Syntax")
/// become empty lines.
fn org(text: &str) -> Vec<Cow<'_, str>> {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut read: Vec<Cow<'_, str>> = Vec::with_capacity(lines.len());
    let mut drawer = 0..0;
    for (number, line) in lines.iter().enumerate() {
        if !drawer.contains(&number) && is_drawer(line.trim()) {
            drawer = drawer_from(&lines, number);
        }
        read.push(match org_heading(line) {
            Some(heading) => Cow::Owned(heading),
            None if drawer.contains(&number) || is_for_machines(line) => Cow::Borrowed(""),
            None => Cow::Borrowed(*line),
        });
    }
    read
}

/// Returns a heading or the file's title (`#+TITLE:`) in Markdown; `None` for any other line.
fn org_heading(line: &str) -> Option<String> {
    let trimmed = line.trim();
    if trimmed.get(..8).is_some_and(|key| key.eq_ignore_ascii_case("#+title:")) {
        return Some(format!("# {}", trimmed[8..].trim()));
    }
    let heading = line.trim_start_matches('*');
    is_org_heading(line).then(|| format!("{}{heading}", "#".repeat(line.len() - heading.len())))
}

/// Returns the lines of the drawer that begins on the line with index `number`, its first and last line included. An
/// unclosed drawer is text: its range is empty.
fn drawer_from(lines: &[&str], number: usize) -> Range<usize> {
    let mut rest = lines[number + 1..].iter().take_while(|line| !is_org_heading(line));
    let end = rest.position(|line| line.trim().eq_ignore_ascii_case(":end:"));
    end.map_or(number..number, |end| number..number + end + 2)
}

/// Returns whether a line is a keyword, such as `#+DATE:`, or a comment.
fn is_for_machines(line: &str) -> bool {
    let trimmed = line.trim();
    trimmed.starts_with("#+") || trimmed.starts_with("# ")
}

/// Returns whether a line is a heading: stars and a space at its beginning; `*bold*` is none.
fn is_org_heading(line: &str) -> bool {
    line.starts_with('*') && line.trim_start_matches('*').starts_with(' ')
}

/// Returns whether a trimmed line begins a drawer, as `:PROPERTIES:` does.
fn is_drawer(line: &str) -> bool {
    let name = line.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
    name.is_some_and(|name| {
        !name.is_empty() && !name.eq_ignore_ascii_case("end") && !name.contains(char::is_whitespace)
    })
}
