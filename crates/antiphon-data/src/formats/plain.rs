use std::borrow::Cow;

use crate::builder::Body;
use crate::document::Format;
use crate::error::Malformed;
use crate::formats::{captions, csv, html, json, yaml};

/// Reads any of the formats that are text; `person` names a speaker whom the file does not name.
pub(crate) fn text(format: Format, text: &str, person: &str) -> Result<Body, Malformed> {
    match format {
        Format::Csv => csv::read(text, person),
        Format::Json => json::read(text, person),
        Format::Jsonl => json::read_lines(text, person),
        Format::Vtt => captions::vtt(text, person),
        Format::Srt => captions::srt(text, person),
        Format::Yaml => yaml::read(text, person),
        Format::Html => html::read(text, person),
        Format::Org => Ok(plain((1..).zip(org(text)), person)),
        _ => Ok(plain((1..).zip(text.split('\n')), person)),
    }
}

/// Lines with their numbers, as text that may name its speakers.
pub(crate) fn plain<S: AsRef<str>>(lines: impl Iterator<Item = (u32, S)>, person: &str) -> Body {
    let mut body = Body::default();
    for (number, line) in lines {
        body.mark(number);
        body.text.push_str(line.as_ref());
        body.text.push('\n');
    }
    // `split` sees an empty last line behind the file's last line end.
    if body.text.ends_with("\n\n") {
        body.text.pop();
    }
    body.spoken(person)
}

/// The lines of an Org file, headings marked with `#`, and without what is not for readers: keywords, comments and
/// drawers (Org's manual, "Syntax").
fn org(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut in_drawer = false;
    text.split('\n').map(move |line| {
        let trimmed = line.trim();
        let is_drawer =
            trimmed.len() > 2 && trimmed.starts_with(':') && trimmed.ends_with(':') && !trimmed.contains(' ');
        if is_drawer {
            in_drawer = !trimmed.eq_ignore_ascii_case(":end:");
        }
        let title = trimmed.get(..8).is_some_and(|key| key.eq_ignore_ascii_case("#+title:"));
        let stars = line.len() - line.trim_start_matches('*').len();
        match line[stars..].strip_prefix(' ') {
            Some(heading) if stars > 0 => Cow::Owned(format!("{} {heading}", "#".repeat(stars))),
            _ if title => Cow::Owned(format!("# {}", trimmed[8..].trim())),
            _ if in_drawer || is_drawer || trimmed.starts_with("#+") || trimmed.starts_with("# ") => {
                Cow::Borrowed("")
            }
            _ => Cow::Borrowed(line),
        }
    })
}
