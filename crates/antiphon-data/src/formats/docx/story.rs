//! The lines of a part, from the events of its XML.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::error::Malformed;
use crate::formats::docx::rows::{OpenRow, Table};

/// A part's text.
pub(super) struct Story {
    pub(super) lines: Vec<Line>,
    /// The number of the last paragraph.
    pub(super) paragraphs: u32,
}

/// A line of the text, with the number of its paragraph.
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) text: String,
}

/// A paragraph that is read. Its lines are separated by `\n`.
#[derive(Debug, Default)]
pub(super) struct Paragraph {
    pub(super) number: u32,
    pub(super) text: String,
    pub(super) is_heading: bool,
}

/// Reads a part, whose first paragraph follows that with the number `last`. Empty paragraphs are lines, too.
///
/// # Errors
/// Invalid XML, with the paragraph.
pub(super) fn read(xml: &str, last: u32) -> Result<Story, Malformed> {
    let mut reader = Reader::from_str(xml);
    // `<w:tab/>` and `<w:tab></w:tab>` are the same.
    reader.config_mut().expand_empty_elements = true;
    let mut found = StoryReader { number: last, ..StoryReader::default() };
    loop {
        match reader.read_event().map_err(|err| found.invalid(&err))? {
            Event::Start(tag) => found.start(&tag),
            Event::Text(text) if found.in_text => found.push(&text),
            Event::CData(text) if found.in_text => found.push(&text),
            Event::GeneralRef(name) if found.in_text => found.push_entity(&name)?,
            Event::End(tag) => found.end(tag.local_name().as_ref()),
            Event::Eof if found.depth > 0 => {
                return Err(Malformed::at(found.number.max(1), "unexpected end of the document"));
            }
            Event::Eof => return Ok(found.finish()),
            _ => {}
        }
    }
}

/// The paragraphs so far, and the open elements that matter.
#[derive(Default)]
struct StoryReader {
    /// The paragraphs in the order of their beginnings: a text box follows the paragraph that has it.
    paragraphs: Vec<Paragraph>,
    /// The indices of the open paragraphs.
    open: Vec<usize>,
    /// The number of the last paragraph.
    number: u32,
    /// Whether the reader is directly within a text element.
    in_text: bool,
    /// Whether the reader is within the list of a paragraph's tab stops, whose elements have the name of a tab.
    in_tab_stops: bool,
    /// The number of open elements.
    depth: u32,
    /// The number of open elements that are skipped.
    skipped: u32,
    /// The bytes of text so far.
    added: usize,
    alternatives: Vec<Alternative>,
    tables: Vec<Table>,
    /// The notes so far.
    notes: u32,
    /// The index of the open note's heading, and the bytes of text before it.
    note: Option<(usize, usize)>,
}

/// An `mc:AlternateContent` (ECMA-376, part 3): the first of its contents that has text is read.
struct Alternative {
    /// Whether a content with text was read.
    is_read: bool,
    /// The bytes of text before the content that is being read.
    before: usize,
}

impl StoryReader {
    /// Enters an element.
    fn start(&mut self, tag: &BytesStart<'_>) {
        self.depth += 1;
        self.in_text = false;
        let local = tag.local_name();
        let name = local.as_ref();
        if self.skipped > 0 || self.is_skipped(name, tag) {
            self.skipped += 1;
            return;
        }
        match name {
            "t" => self.in_text = true,
            "p" => self.begin_paragraph(),
            "tbl" | "tr" | "tc" | "tblHeader" => self.begin_table(name, tag),
            "AlternateContent" => self.alternatives.push(Alternative { is_read: false, before: self.added }),
            "Choice" | "Fallback" => {
                if let Some(alternative) = self.alternatives.last_mut() {
                    alternative.before = self.added;
                }
            }
            "footnote" | "endnote" => self.begin_note(name),
            _ => self.format(name, tag),
        }
    }

    /// Returns whether the content of an element is not part of the text: deleted and moved text, earlier formats,
    /// readings of characters, lines that separate notes, and alternatives of what was read.
    fn is_skipped(&self, name: &str, tag: &BytesStart<'_>) -> bool {
        match name {
            "del" | "moveFrom" | "rt" => true,
            "Choice" | "Fallback" => self.alternatives.last().is_some_and(|alternative| alternative.is_read),
            "footnote" | "endnote" => value(tag, "type").is_some_and(|kind| {
                kind.to_ascii_lowercase().contains("separator") || kind == "continuationNotice"
            }),
            name => name.ends_with("PrChange"),
        }
    }

    /// Adds the text of an element itself, such as a tab, and the format of a paragraph.
    fn format(&mut self, name: &str, tag: &BytesStart<'_>) {
        match name {
            "tabs" => self.in_tab_stops = true,
            "tab" if self.in_tab_stops => {}
            "tab" | "ptab" => self.push(" "),
            "br" | "cr" => self.push("\n"),
            "noBreakHyphen" => self.push("-"),
            "pStyle" => {
                let is_heading = value(tag, "val")
                    .is_some_and(|style| style.starts_with("Heading") || style.starts_with("Title"));
                if let Some(paragraph) = self.open.last().and_then(|index| self.paragraphs.get_mut(*index)) {
                    paragraph.is_heading |= is_heading;
                }
            }
            _ => {}
        }
    }

    /// Begins a paragraph, which may be within another: in a text box.
    fn begin_paragraph(&mut self) {
        self.number = self.number.saturating_add(1);
        self.open.push(self.paragraphs.len());
        self.paragraphs.push(Paragraph { number: self.number, ..Paragraph::default() });
    }

    /// Begins a table, a row or a cell, or marks a row of headings.
    fn begin_table(&mut self, name: &str, tag: &BytesStart<'_>) {
        if name == "tbl" {
            if let Some(row) = self.tables.last_mut().and_then(|table| table.row.as_mut()) {
                row.has_table = true;
            }
            self.tables.push(Table::default());
            return;
        }
        let Some(table) = self.tables.last_mut() else { return };
        match (name, &mut table.row) {
            ("tr", row) => *row = Some(OpenRow::default()),
            ("tc", Some(row)) => row.cells.push(self.paragraphs.len()),
            ("tblHeader", Some(row)) => {
                row.is_heading = !matches!(value(tag, "val").as_deref(), Some("0" | "false" | "off"));
            }
            _ => {}
        }
    }

    /// Begins a note with a heading, which ends the words of the last speaker.
    fn begin_note(&mut self, name: &str) {
        self.notes += 1;
        let kind = if name == "footnote" { "Footnote" } else { "Endnote" };
        let text = format!("{kind} {}", self.notes);
        self.note = Some((self.paragraphs.len(), self.added));
        self.paragraphs.push(Paragraph { number: self.number.saturating_add(1), text, is_heading: true });
    }

    /// Ends a note, and removes it if it has no text.
    fn end_note(&mut self) {
        let Some((heading, before)) = self.note.take().filter(|_| self.open.is_empty()) else { return };
        if self.added == before {
            self.paragraphs.truncate(heading);
            self.notes -= 1;
        }
    }

    /// Leaves an element with this local name.
    fn end(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.in_text = false;
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        match name {
            "p" => {
                self.open.pop();
            }
            "tabs" => self.in_tab_stops = false,
            "footnote" | "endnote" => self.end_note(),
            "tr" => {
                if let Some(table) = self.tables.last_mut() {
                    table.end_row(&mut self.paragraphs);
                }
            }
            "tbl" => {
                self.tables.pop();
                // An empty line, since the rows above may be the header of an interview.
                self.paragraphs.push(Paragraph { number: self.number, ..Paragraph::default() });
            }
            "Choice" | "Fallback" => {
                if let Some(alternative) = self.alternatives.last_mut() {
                    alternative.is_read = self.added > alternative.before;
                }
            }
            "AlternateContent" => {
                self.alternatives.pop();
            }
            _ => {}
        }
    }

    /// Adds text to the innermost open paragraph. Text outside paragraphs is none of the document's.
    fn push(&mut self, text: &str) {
        let Some(paragraph) = self.open.last().and_then(|index| self.paragraphs.get_mut(*index)) else {
            return;
        };
        paragraph.text.push_str(text);
        self.added += text.len();
    }

    /// Adds the text of an entity reference, such as `&amp;`.
    fn push_entity(&mut self, name: &str) -> Result<(), Malformed> {
        let text = entity(name).ok_or_else(|| self.invalid(&format!("unknown entity &{name};")))?;
        self.push(&text);
        Ok(())
    }

    /// Returns the failure of XML that is not valid, in the paragraph that was begun last.
    fn invalid(&self, err: &dyn std::fmt::Display) -> Malformed {
        Malformed::at(self.number.max(1), format!("not valid XML: {err}"))
    }

    /// Returns the lines of all paragraphs, headings marked with `#`.
    fn finish(self) -> Story {
        let mut lines = Vec::with_capacity(self.paragraphs.len());
        for Paragraph { number, text, is_heading } in self.paragraphs {
            if is_heading && !text.trim().is_empty() {
                lines.push(Line { number, text: format!("# {}", text.replace('\n', " ")) });
            } else if text.contains('\n') {
                lines.extend(text.split('\n').map(|text| Line { number, text: text.to_owned() }));
            } else {
                lines.push(Line { number, text });
            }
        }
        Story { lines, paragraphs: self.number }
    }
}

/// Returns the value of an attribute, by its local name.
fn value(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    // The search for repeated names would take quadratic time.
    let mut attributes = tag.attributes();
    let found = attributes
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name)?;
    Some(found.value.into_owned())
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
