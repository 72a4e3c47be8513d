use crate::builder::Body;
use crate::document::Format;
use crate::error::Malformed;
use crate::formats::{captions, csv, json};
use crate::speakers;

/// Reads any of the formats that are text; `person` names a speaker whom the file does not name.
pub(crate) fn text(format: Format, text: &str, person: &str) -> Result<Body, Malformed> {
    match format {
        Format::Csv => csv::read(text, person),
        Format::Json => json::read(text, person),
        Format::Jsonl => json::read_lines(text, person),
        Format::Vtt => captions::vtt(text, person),
        Format::Srt => captions::srt(text, person),
        _ => Ok(plain((1..).zip(text.split('\n')), person)),
    }
}

/// Lines with their numbers, as text that may name its speakers.
pub(crate) fn plain<'a>(lines: impl Iterator<Item = (u32, &'a str)>, person: &str) -> Body {
    let mut body = Body::default();
    for (number, line) in lines {
        body.mark(number);
        body.text.push_str(line);
        body.text.push('\n');
    }
    // `split` sees an empty last line behind the file's last line end.
    if body.text.ends_with("\n\n") {
        body.text.pop();
    }
    body.turns = speakers::turns(&body.text, person);
    body.or_unlabelled(person)
}
