use std::borrow::Cow;

use crate::builder::Body;
use crate::document::Format;
use crate::error::Malformed;
use crate::formats::{captions, csv, html, json, yaml};

/// Reads any text-based format; `person` is the name of a speaker whom the file does not name.
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

/// Reads numbered lines as text that may name its speakers.
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
        let trimmed = line.trim();
        if !drawer.contains(&number) && is_drawer(trimmed) {
            // An unclosed drawer is text.
            let rest = lines[number + 1..].iter().take_while(|line| !is_org_heading(line));
            let end = rest.into_iter().position(|line| line.trim().eq_ignore_ascii_case(":end:"));
            drawer = end.map_or(number..number, |end| number..number + end + 2);
        }
        let title = trimmed.get(..8).filter(|key| key.eq_ignore_ascii_case("#+title:"));
        let is_for_machines = trimmed.starts_with("#+") || trimmed.starts_with("# ");
        read.push(match title {
            Some(_) => Cow::Owned(format!("# {}", trimmed[8..].trim())),
            None if is_org_heading(line) => {
                let heading = line.trim_start_matches('*');
                Cow::Owned(format!("{}{heading}", "#".repeat(line.len() - heading.len())))
            }
            None if drawer.contains(&number) || is_for_machines => Cow::Borrowed(""),
            None => Cow::Borrowed(*line),
        });
    }
    read
}

fn is_org_heading(line: &str) -> bool {
    line.starts_with('*') && line.trim_start_matches('*').starts_with(' ')
}

fn is_drawer(line: &str) -> bool {
    let name = line.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
    name.is_some_and(|name| {
        !name.is_empty() && !name.eq_ignore_ascii_case("end") && !name.contains(char::is_whitespace)
    })
}
