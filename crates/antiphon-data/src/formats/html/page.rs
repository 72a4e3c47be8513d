//! The text of a page, from its tokens.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use crate::builder::Body;
use crate::document::LineStart;
use crate::error::Malformed;
use crate::formats::html::rows::{self, Rows};
use crate::formats::html::tags;

/// Elements whose content is not shown to a reader of the page.
const UNREAD: [&str; 10] =
    ["script", "style", "title", "template", "svg", "math", "iframe", "object", "noembed", "noframes"];
/// Elements on lines of their own.
const LINES: [&str; 11] =
    ["br", "li", "tr", "dt", "dd", "option", "caption", "summary", "thead", "tbody", "tfoot"];
/// Elements that are set apart as paragraphs.
const PARAGRAPHS: [&str; 30] = [
    "p",
    "div",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "aside",
    "nav",
    "ul",
    "ol",
    "dl",
    "table",
    "blockquote",
    "pre",
    "hr",
    "form",
    "fieldset",
    "figure",
    "figcaption",
    "address",
    "details",
    "body",
    "html",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
];

/// Reads the words of a page as a reader sees them, headings marked with `#`.
///
/// # Errors
/// A tag with too many attributes, or an element that is never closed, with its line; a comment or a tag that is never closed, with
/// the last line. All other errors of HTML are ignored.
pub(in crate::formats) fn read(text: &str, person: &str) -> Result<Body, Malformed> {
    tags::check(text)?;
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(text));
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    // The tokenizer stops behind each script, as a browser does to run it.
    while !input.is_empty() {
        let _ = tokenizer.feed(&input);
    }
    tokenizer.end();
    let mut page = tokenizer.sink.0.into_inner();
    page.end();
    let Page { text, lines, unread, cut_at, .. } = page;
    if let Some(Unread { name, line, .. }) = unread {
        return Err(Malformed::at(line, format!("this <{name}> is never closed")));
    }
    if let Some(line) = cut_at {
        return Err(Malformed::at(line, "the page ends inside a comment or a tag"));
    }
    Ok(Body { text, lines, turns: Vec::new() }.spoken(person))
}

/// The receiver of the tokens. The tokenizer shares it, so that its state needs a cell.
#[derive(Default)]
struct Sink(RefCell<Page>);

/// The text so far.
#[derive(Default)]
struct Page {
    text: String,
    /// The starts of source lines in `text`.
    lines: Vec<LineStart>,
    /// Line ends before the next word.
    ends: usize,
    /// Whether there is white space before the next word.
    is_spaced: bool,
    /// Open elements that keep their white space.
    kept: usize,
    /// The element whose content is being skipped.
    unread: Option<Unread>,
    /// The line on which the file ends inside a comment or a tag.
    cut_at: Option<u32>,
    rows: Rows,
    /// The byte offset of the last term of a definition list, before its definition.
    term: Option<usize>,
    /// Whether the next word follows its label on the same line.
    is_labelled: bool,
    /// Whether a message has begun whose words have not.
    is_message: bool,
}

/// A part of a message in a chat's export.
enum MessagePart {
    /// A picture's initials, or a notice.
    Unread,
    Time,
    Name,
    Words,
    /// Any other element.
    None,
}

/// Returns the part of a message that an element with this class is.
fn message_part(class: &str) -> MessagePart {
    match class {
        "initials" | "message service" => MessagePart::Unread,
        "pull_right date details" => MessagePart::Time,
        "from_name" => MessagePart::Name,
        "text" => MessagePart::Words,
        _ => MessagePart::None,
    }
}

/// Returns how the content of an element is read if it has no tags but its own end (HTML, section 13.2.5).
fn raw_kind(name: &str) -> Option<RawKind> {
    match name {
        "script" => Some(RawKind::ScriptData),
        "style" | "iframe" | "noembed" | "noframes" => Some(RawKind::Rawtext),
        "title" | "textarea" => Some(RawKind::Rcdata),
        _ => None,
    }
}

/// Returns how the content behind a tag within a skipped element is read: code has no tags, wherever it is.
fn code_in(tag: &Tag) -> TokenSinkResult<()> {
    let is_code =
        tag.kind == TagKind::StartTag && !tag.self_closing && matches!(&*tag.name, "script" | "style");
    let kind = if is_code { raw_kind(&tag.name) } else { None };
    kind.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData)
}

/// An element that is skipped.
struct Unread {
    name: String,
    /// The line of its start tag, for the failure if it is never closed.
    line: u32,
    /// Open elements of this name.
    depth: usize,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<()> {
        let mut page = self.0.borrow_mut();
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        match token {
            Token::TagToken(tag) => return page.tag(&tag, line),
            Token::CharacterTokens(text) if page.unread.is_none() => page.words(&text, line),
            // An unclosed comment or tag swallows the rest of the page.
            Token::ParseError(why) if why.contains("EOF") && !why.contains("EOF in RawData") => {
                page.cut_at.get_or_insert(line);
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Page {
    /// Processes a tag, and returns how the tokenizer has to read the content behind it.
    fn tag(&mut self, tag: &Tag, line: u32) -> TokenSinkResult<()> {
        if self.unread.is_some() {
            self.skip(tag);
            return code_in(tag);
        }
        if tag.kind == TagKind::StartTag && self.message(tag, line) {
            return code_in(tag);
        }
        let (name, begins) = (&*tag.name, tag.kind == TagKind::StartTag);
        // A browser ignores the slash of `<script/>`, but honours it on a drawing.
        let is_whole = tag.self_closing && matches!(name, "svg" | "math");
        if begins && UNREAD.contains(&name) && !is_whole {
            self.unread = Some(Unread { name: name.to_owned(), line, depth: 1 });
        }
        self.rows.tag(name, begins, &mut self.text, &mut self.lines);
        self.define(name, begins);
        self.set_apart(name);
        if name == "pre" {
            self.kept = if begins { self.kept + 1 } else { self.kept.saturating_sub(1) };
        }
        if begins { self.begin(name, line) } else { TokenSinkResult::Continue }
    }

    /// Processes the start tag of a part of a message in a chat's export, by its class (Telegram Desktop,
    /// `export_output_html`). Returns whether the tag is done with.
    fn message(&mut self, tag: &Tag, line: u32) -> bool {
        let class =
            tag.attrs.iter().find(|attr| &*attr.name.local == "class").map_or("", |attr| &*attr.value);
        match message_part(class) {
            MessagePart::Unread => self.unread = Some(Unread { name: tag.name.to_string(), line, depth: 1 }),
            MessagePart::Time => {
                self.ends = 2;
                self.is_message = true;
                self.term = None;
            }
            MessagePart::Name if self.is_message && self.term.is_none() => {
                self.is_labelled = true;
                self.term = Some(self.text.len());
            }
            MessagePart::Words if self.is_message => {
                self.is_message = false;
                let name = self.term.take().and_then(|start| self.text.get(start..));
                self.is_labelled = name.is_some();
                if self.is_labelled {
                    self.text.push(':');
                }
                self.ends = self.ends.max(1);
            }
            MessagePart::Name | MessagePart::Words | MessagePart::None => return false,
        }
        true
    }

    /// Counts a tag within a skipped element, and ends the skipping with the matching end tag.
    fn skip(&mut self, tag: &Tag) {
        let Some(unread) = &mut self.unread else { return };
        let begins = tag.kind == TagKind::StartTag;
        if unread.name != *tag.name || (begins && tag.self_closing) {
            return;
        }
        unread.depth = if begins { unread.depth + 1 } else { unread.depth - 1 };
        if unread.depth == 0 {
            self.unread = None;
        }
    }

    /// Ends the rows of tables that are never closed.
    fn end(&mut self) {
        self.rows.tag("tr", false, &mut self.text, &mut self.lines);
    }

    /// Processes a tag of a definition list: a name becomes the label of its definition.
    fn define(&mut self, name: &str, begins: bool) {
        match (name, begins) {
            ("dt", true) => {
                self.term = Some(self.text.len());
                self.is_labelled = false;
            }
            ("dd", true) => {
                let term = self.term.take().and_then(|start| self.text.get(start..));
                self.is_labelled = term.is_some_and(rows::is_speaker);
                if self.is_labelled && !self.text.ends_with(':') {
                    self.text.push(':');
                }
            }
            ("dd", false) | ("dl", _) => {
                self.term = None;
                self.is_labelled = false;
            }
            _ => {}
        }
    }

    /// Sets the next word apart from the one before the tag: by an empty line, a line end, a space, or not.
    fn set_apart(&mut self, name: &str) {
        if PARAGRAPHS.contains(&name) {
            self.ends = 2;
        } else if LINES.contains(&name) {
            self.ends = self.ends.max(1);
        } else if matches!(name, "td" | "th" | "img" | "input") {
            self.is_spaced = true;
        }
    }

    /// Marks a heading that begins, and returns how the tokenizer has to read the element's content: in some elements,
    /// tags are text (HTML Standard, "Parsing elements that contain only text").
    fn begin(&mut self, name: &str, line: u32) -> TokenSinkResult<()> {
        if matches!(name.as_bytes(), [b'h', b'1'..=b'6']) {
            self.push("#", line);
            self.is_spaced = true;
        }
        raw_kind(name).map_or(TokenSinkResult::Continue, TokenSinkResult::RawData)
    }

    /// Adds words that end on `last_line`, with white space collapsed to one space unless it is kept.
    fn words(&mut self, text: &str, last_line: u32) {
        let ends = u32::try_from(text.matches('\n').count()).unwrap_or(0);
        let mut line = last_line.saturating_sub(ends);
        // A no-break space is intended, so it is kept.
        let is_space = |c: char| c.is_ascii_whitespace();
        for piece in text.split_inclusive(is_space) {
            let word = piece.trim_end_matches(is_space);
            if !word.is_empty() {
                self.push(word, line);
            }
            line += u32::from(piece.ends_with('\n'));
            if word.len() < piece.len() {
                if self.kept > 0 && piece.ends_with('\n') { self.ends += 1 } else { self.is_spaced = true }
            }
        }
    }

    /// Adds a word of this source line, after the line ends or the space that are due. At the beginning of the text,
    /// none is.
    fn push(&mut self, word: &str, line: u32) {
        match (self.text.is_empty(), self.ends) {
            (true, _) => {}
            (false, _) if self.is_labelled => self.text.push(' '),
            (false, 0) if self.is_spaced => self.text.push(' '),
            (false, ends) => self.text.extend(std::iter::repeat_n('\n', ends)),
        }
        (self.ends, self.is_spaced, self.is_labelled) = (0, false, false);
        if self.lines.last().is_none_or(|last| last.line != line) {
            self.lines.push(LineStart { offset: self.text.len(), line });
        }
        self.text.push_str(word);
    }
}
