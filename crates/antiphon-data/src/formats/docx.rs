//! Word's DOCX: a zip archive (Office Open XML), of which only the main document part is read.
//!
//! The part is read as a stream of XML events, without a tree. The text of a paragraph is that of its `w:t` elements;
//! the names of elements are compared without their namespace prefix. Since a DOCX has no lines, paragraphs take their
//! place in turns, citations and failures. The paragraphs are then read as plain text is, with labels at their
//! beginnings.
//!
//! Neither a bomb nor an entity can expand: the unpacked part is limited, and entities other than XML's five and
//! numbers are rejected.

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
///
/// # Errors
/// A failure of the whole file if it is not a zip archive, has no `word/document.xml`, or that part cannot be unpacked,
/// is too large or is not UTF-8; a failure with the paragraph for invalid XML.
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

/// Returns the paragraphs of a document part in order, empty ones included.
fn paragraphs(xml: &str) -> Result<Vec<String>, Malformed> {
    let mut reader = Reader::from_str(xml);
    // `<w:tab/>` and `<w:tab></w:tab>` are the same.
    reader.config_mut().expand_empty_elements = true;
    let mut found = Paragraphs::default();
    loop {
        match reader.read_event().map_err(|err| found.invalid(&err))? {
            Event::Start(tag) => found.start(&tag),
            Event::Text(text) if found.in_text => found.open.push_str(&text),
            Event::GeneralRef(name) if found.in_text => found.add_entity(&name)?,
            Event::End(tag) => found.end(tag.local_name().as_ref()),
            Event::Eof if found.depth > 0 => {
                return Err(Malformed::at(found.number(), "unexpected end of the document"));
            }
            Event::Eof => return Ok(found.done),
            _ => {}
        }
    }
}

/// The paragraphs so far, and the one that is being read.
#[derive(Default)]
struct Paragraphs {
    done: Vec<String>,
    open: String,
    /// Whether the reader is directly within a text element.
    in_text: bool,
    /// Whether the reader is within the list of a paragraph's tab stops, whose elements have the name of a tab.
    in_tab_stops: bool,
    /// The number of open elements.
    depth: u32,
}

impl Paragraphs {
    /// Enters an element, and adds the text of the element itself, such as a space for a tab.
    fn start(&mut self, tag: &BytesStart<'_>) {
        self.depth += 1;
        match tag.local_name().as_ref() {
            "tabs" => self.in_tab_stops = true,
            _ if !self.in_tab_stops => self.open.push_str(&text_of(tag)),
            _ => {}
        }
        self.in_text = tag.local_name().as_ref() == "t";
    }

    /// Leaves an element with this local name. One paragraph is one line: a line break inside it becomes a space.
    fn end(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.in_text = false;
        match name {
            "p" => self.done.push(std::mem::take(&mut self.open)),
            "tabs" => self.in_tab_stops = false,
            _ => {}
        }
    }

    /// Adds the text of an entity reference, such as `&amp;`.
    fn add_entity(&mut self, name: &str) -> Result<(), Malformed> {
        let text = entity(name).ok_or_else(|| self.invalid(&format!("unknown entity &{name};")))?;
        self.open.push_str(&text);
        Ok(())
    }

    /// Returns the number of the paragraph that is being read, from 1.
    fn number(&self) -> u32 {
        u32::try_from(self.done.len() + 1).unwrap_or(u32::MAX)
    }

    /// Returns the failure of XML that is not valid, in the paragraph that is being read.
    fn invalid(&self, err: &dyn std::fmt::Display) -> Malformed {
        Malformed::at(self.number(), format!("not valid XML: {err}"))
    }
}

/// Returns the text that an element itself adds to a paragraph: a space for breaks and tabs, a `#` for a heading's
/// style.
fn text_of(tag: &BytesStart<'_>) -> String {
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

/// Returns the text of one of XML's five entities or of a character number, as in `&#x21;`; `None` for any other
/// entity.
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
