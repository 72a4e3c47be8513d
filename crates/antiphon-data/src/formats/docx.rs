use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use crate::builder::Body;
use crate::error::Malformed;
use crate::formats::plain::plain;

/// The most bytes of a document's unpacked text part: an archive of a few kilobytes can unpack to gigabytes (a zip
/// bomb).
const MAX_UNPACKED: u64 = 64 << 20;

/// Reads the paragraphs of Word's main document part (ECMA-376, part 1, section 17.3), headings marked with `#`.
pub(crate) fn docx(bytes: &[u8], person: &str) -> Result<Body, Malformed> {
    let not_docx = |_| Malformed::whole("not a DOCX file: it is not a zip archive");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(not_docx)?;
    let part = archive
        .by_name("word/document.xml")
        .map_err(|err| Malformed::whole(format!("cannot read word/document.xml: {err}")))?;
    let mut xml = Vec::new();
    let read = part.take(MAX_UNPACKED + 1).read_to_end(&mut xml);
    read.map_err(|err| Malformed::whole(format!("cannot unpack word/document.xml: {err}")))?;
    if xml.len() as u64 > MAX_UNPACKED {
        return Err(Malformed::whole(format!("the text unpacks to more than {MAX_UNPACKED} bytes")));
    }
    let xml = String::from_utf8(xml).map_err(|_| Malformed::whole("word/document.xml is not valid UTF-8"))?;
    let paragraphs = paragraphs(&xml)?;
    Ok(plain((1..).zip(paragraphs.iter().map(String::as_str)), person))
}

fn paragraphs(xml: &str) -> Result<Vec<String>, Malformed> {
    let mut reader = Reader::from_str(xml);
    let mut found: Vec<String> = Vec::new();
    let (mut paragraph, mut in_text, mut depth) = (String::new(), false, 0_u32);
    loop {
        let number = u32::try_from(found.len() + 1).unwrap_or(u32::MAX);
        let broken = |err: &dyn std::fmt::Display| Malformed::at(number, format!("not valid XML: {err}"));
        match reader.read_event().map_err(|err| broken(&err))? {
            Event::Start(tag) => {
                depth += 1;
                in_text = tag.local_name().as_ref() == "t";
            }
            Event::Empty(tag) => paragraph.push_str(&empty_tag(&tag)),
            Event::Text(text) if in_text => paragraph.push_str(&text),
            Event::GeneralRef(name) if in_text => {
                let text = entity(&name).ok_or_else(|| broken(&format!("unknown entity &{};", &*name)))?;
                paragraph.push_str(&text);
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                in_text = false;
                if tag.local_name().as_ref() == "p" {
                    // One paragraph is one line: a line break inside it becomes a space.
                    found.push(std::mem::take(&mut paragraph));
                }
            }
            Event::Eof if depth > 0 => return Err(Malformed::at(number, "unexpected end of the document")),
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

/// Returns the text that an empty element adds to a paragraph: a space for breaks and tabs, a `#` for a heading's
/// style.
fn empty_tag(tag: &BytesStart<'_>) -> String {
    match tag.local_name().as_ref() {
        "tab" | "br" | "cr" => " ".to_owned(),
        "noBreakHyphen" => "-".to_owned(),
        "pStyle" => {
            let style =
                tag.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == "val");
            let is_heading = style
                .is_some_and(|style| style.value.starts_with("Heading") || style.value.starts_with("Title"));
            if is_heading { "# ".to_owned() } else { String::new() }
        }
        _ => String::new(),
    }
}

fn entity(name: &str) -> Option<String> {
    let code = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let found = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => code(&hex[1..], 16),
            decimal => code(decimal, 10),
        },
    };
    found.map(String::from)
}
