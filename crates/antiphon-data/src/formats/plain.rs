use crate::builder::Body;
use crate::document::Format;
use crate::error::Malformed;
use crate::formats::{captions, csv, json};
use crate::speakers;

/// Reads any of the formats that are text; `stem` names a speaker whom the file does not name.
pub(crate) fn text(format: Format, text: &str, stem: &str) -> Result<Body, Malformed> {
    match format {
        Format::Csv => csv::read(text, stem),
        Format::Json => json::read(text, stem),
        Format::Jsonl => json::read_lines(text, stem),
        Format::Vtt => captions::vtt(text, stem),
        Format::Srt => captions::srt(text, stem),
        _ => Ok(plain((1..).zip(text.split('\n')), stem)),
    }
}

/// Lines with their numbers, as text that may name its speakers.
pub(crate) fn plain<'a>(lines: impl Iterator<Item = (u32, &'a str)>, stem: &str) -> Body {
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
    body.turns = speakers::turns(&body.text, stem);
    body.or_unlabelled(stem)
}
