//! A parser of one JSON value, with the repairs that need no guess.
//!
//! serde_json keeps the last of several equal keys, and repairs of the text before it would have to know where strings
//! begin. So this parser does both itself: it refuses a key that occurs twice, and notes each [`Repair`] that it makes.
//! Numbers are kept as they are written, whatever their size.
//!
//! | text | value |
//! |---|---|
//! | `{'a': “b”}` | strings in single or curly quotes |
//! | `{a: 1}` | a key that is a word |
//! | `[1, 2,]`, `[{} {}]` | a comma too many before a bracket, a comma too few after white space |
//! | `// x`, `/* x */`, `# x` | nothing: comments between tokens |
//! | `# x, "b": 2`, `// x}` | an error: the line may have values |
//! | `True`, `False`, `None` | `true`, `false`, `null` |
//! | `"\d"` | the backslash is part of the string, unless the string has escapes such as `\n` as well |
//! | `NaN`, `Infinity`, `[1,,2]`, `"a "b" c"`, `01`, a text that ends within a value | an error |

use std::str::Chars;

use serde_json::{Map, Number, Value};

use super::extract::{Repair, Strictness};

/// A value, and the part of the text that it takes.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) value: Value,
    /// The length in bytes, from the beginning of the text.
    pub(super) len: usize,
    pub(super) repairs: Vec<Repair>,
}

/// The reason why a text does not begin with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The text ends within the value.
    Truncated,
    /// An object has this key twice.
    Duplicate(String),
    /// The text is no JSON from this byte on.
    Broken(usize, String),
}

/// The maximum number of brackets around a value.
const MAX_DEPTH: usize = 127;

/// Python's literals, each with its JSON form, behind JSON's own.
static LITERALS: [(&str, Value); 6] = [
    ("true", Value::Bool(true)),
    ("false", Value::Bool(false)),
    ("null", Value::Null),
    ("True", Value::Bool(true)),
    ("False", Value::Bool(false)),
    ("None", Value::Null),
];

/// Parses the value at the beginning of a text; text after it is left alone.
pub(super) fn parse(text: &str, strictness: Strictness) -> Result<Parsed, Fault> {
    let is_lenient = strictness == Strictness::Lenient;
    let mut parser = Parser { text, at: 0, depth: 0, is_lenient, repairs: Vec::new() };
    let value = parser.value()?;
    Ok(Parsed { value, len: parser.at, repairs: parser.repairs })
}

/// Parses the key at the beginning of a text; returns it with its length in bytes.
pub(super) fn parse_key(text: &str) -> Option<(String, usize)> {
    let mut parser = Parser { text, at: 0, depth: 0, is_lenient: true, repairs: Vec::new() };
    let key = parser.key().ok()?;
    Some((key, parser.at))
}

/// Parses a text that is one value and nothing else but white space and comments.
pub(super) fn parse_whole(text: &str, strictness: Strictness) -> Result<Parsed, Fault> {
    let is_lenient = strictness == Strictness::Lenient;
    let mut parser = Parser { text, at: 0, depth: 0, is_lenient, repairs: Vec::new() };
    parser.skip()?;
    let value = parser.value()?;
    parser.skip()?;
    match parser.rest() {
        "" => Ok(Parsed { value, len: parser.at, repairs: parser.repairs }),
        _ => Err(parser.broken("text after the value")),
    }
}

/// Returns whether a character has no width and no meaning between tokens: byte order marks, joiners and the like.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{ad}')
}

/// The position in a text, and what was repaired before it.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    /// The number of open brackets.
    depth: usize,
    is_lenient: bool,
    repairs: Vec<Repair>,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn broken(&self, what: impl Into<String>) -> Fault {
        Fault::Broken(self.at, what.into())
    }

    fn note(&mut self, repair: Repair) {
        if !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
    }

    /// Skips white space, and comments and invisible characters where the parser is lenient.
    fn skip(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return Ok(()) };
            let len = match first {
                ' ' | '\t' | '\n' | '\r' => 1,
                _ if !self.is_lenient => return Ok(()),
                c if c.is_whitespace() || is_invisible(c) => {
                    self.note(Repair::InvisibleCharacters);
                    c.len_utf8()
                }
                '/' | '#' => {
                    let Some(len) = comment(rest)? else { return Ok(()) };
                    // A comment at the end of a text within a value is where the text was cut.
                    let is_last = len == rest.len() && self.depth > 0;
                    if !is_last && !rest.starts_with("/*") && may_have_values(&rest[..len]) {
                        return Err(self.broken("a comment that may have values"));
                    }
                    self.note(Repair::Comments);
                    len
                }
                _ => return Ok(()),
            };
            self.at += len;
        }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        match self.peek() {
            None => Err(Fault::Truncated),
            Some('{') => self.object(),
            Some('[') => self.list(),
            Some('-' | '0'..='9') => self.number(),
            Some(c) if c == '"' || (self.is_lenient && closing(c).is_some()) => {
                self.string(c).map(Value::String)
            }
            Some(_) => self.literal(),
        }
    }

    /// Enters a bracket, which is one byte.
    fn enter(&mut self) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(self.broken(format!("more than {MAX_DEPTH} brackets around a value")));
        }
        self.depth += 1;
        self.at += 1;
        self.skip()
    }

    fn object(&mut self) -> Result<Value, Fault> {
        self.enter()?;
        let mut entries = Map::new();
        let mut is_open = !self.ends('}');
        while is_open {
            let key = self.key()?;
            self.skip()?;
            match self.peek() {
                None => return Err(Fault::Truncated),
                Some(':') => self.at += 1,
                Some(_) => return Err(self.broken("no colon after a key")),
            }
            self.skip()?;
            let value = self.value()?;
            if entries.contains_key(&key) {
                return Err(Fault::Duplicate(key));
            }
            entries.insert(key, value);
            is_open = self.continues('}')?;
        }
        self.depth -= 1;
        Ok(Value::Object(entries))
    }

    fn list(&mut self) -> Result<Value, Fault> {
        self.enter()?;
        let mut items = Vec::new();
        let mut is_open = !self.ends(']');
        while is_open {
            items.push(self.value()?);
            is_open = self.continues(']')?;
        }
        self.depth -= 1;
        Ok(Value::Array(items))
    }

    /// Takes the closing bracket, if it is next.
    fn ends(&mut self, close: char) -> bool {
        let ends = self.peek() == Some(close);
        self.at += usize::from(ends);
        ends
    }

    /// Takes what follows a value within brackets; returns whether another value follows.
    fn continues(&mut self, close: char) -> Result<bool, Fault> {
        let end = self.at;
        self.skip()?;
        if self.ends(close) {
            return Ok(false);
        }
        match self.peek() {
            None => Err(Fault::Truncated),
            Some(',') => {
                self.at += 1;
                self.skip()?;
                match self.peek() {
                    None => Err(Fault::Truncated),
                    Some(next) if next == close && self.is_lenient => {
                        self.at += 1;
                        self.note(Repair::TrailingCommas);
                        Ok(false)
                    }
                    Some(next) if next == close || next == ',' => {
                        Err(self.broken("a comma without a value after it"))
                    }
                    Some(_) => Ok(true),
                }
            }
            Some(next) if self.is_lenient && lacks_comma(&self.text[end..self.at], next, close) => {
                self.note(Repair::MissingCommas);
                Ok(true)
            }
            Some(_) => Err(self.broken("no comma after a value")),
        }
    }

    fn key(&mut self) -> Result<String, Fault> {
        match self.peek() {
            None => Err(Fault::Truncated),
            Some(c) if c == '"' || (self.is_lenient && closing(c).is_some()) => self.string(c),
            Some(_) if self.is_lenient => self.bare_key(),
            Some(_) => Err(self.broken("no key in quotes")),
        }
    }

    /// Takes a key without quotes: a word, or a number as Python writes it.
    fn bare_key(&mut self) -> Result<String, Fault> {
        let rest = self.rest();
        let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
        let word = rest.split_once(|c| !is_of_word(c)).map_or(rest, |(word, _)| word);
        if word.len() == rest.len() {
            return Err(Fault::Truncated);
        }
        if word.is_empty() || LITERALS.iter().any(|(literal, _)| *literal == word) {
            return Err(self.broken("no key"));
        }
        self.note(Repair::BareKeys);
        self.at += word.len();
        Ok(word.to_owned())
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let rest = self.rest();
        let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let len = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
        let (token, behind) = rest.split_at(len);
        if behind.is_empty() && self.depth > 0 {
            return Err(Fault::Truncated);
        }
        if behind.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return Err(self.broken("a word that begins like a number"));
        }
        let Ok(number) = token.parse::<Number>() else {
            // A number that ends in its sign, its point or its exponent may continue behind the end of the text.
            let is_cut = behind.is_empty() && format!("{token}0").parse::<Number>().is_ok();
            return Err(if is_cut { Fault::Truncated } else { self.broken("no valid number") });
        };
        let is_integer = !token.contains(['.', 'e', 'E']);
        if is_integer && number.is_f64() {
            let token: String = token.chars().take(40).collect();
            return Err(self.broken(format!("{token} is an integer of more than 64 bits, which serde_json keeps only with its feature `arbitrary_precision`")));
        }
        self.at += len;
        Ok(Value::Number(number))
    }

    fn literal(&mut self) -> Result<Value, Fault> {
        let rest = self.rest();
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let word = &rest[..rest.find(|c| !is_of_word(c)).unwrap_or(rest.len())];
        let known = if self.is_lenient { &LITERALS[..] } else { &LITERALS[..3] };
        if let Some(at) = known.iter().position(|(literal, _)| *literal == word) {
            if at > 2 {
                self.note(Repair::PythonLiterals);
            }
            self.at += word.len();
            return Ok(LITERALS[at].1.clone());
        }
        let is_cut = word.len() == rest.len() && known.iter().any(|(literal, _)| literal.starts_with(word));
        match word {
            _ if is_cut => Err(Fault::Truncated),
            "NaN" | "Infinity" | "undefined" => Err(self.broken(format!("{word} is no JSON value"))),
            _ => Err(self.broken("no value")),
        }
    }

    /// Takes a string that begins with `open`.
    fn string(&mut self, open: char) -> Result<String, Fault> {
        let body = &self.rest()[open.len_utf8()..];
        let (close, nests) = if open == '"' { ("\"", None) } else { closing(open).unwrap_or(("\"", None)) };
        let (mut len, mut is_escaped) = (None, false);
        for (at, c) in body.char_indices() {
            if !is_escaped && close.contains(c) {
                len = Some((at, c.len_utf8()));
                break;
            }
            if !is_escaped && nests == Some(c) {
                return Err(self.broken("quotes within a string in quotes"));
            }
            is_escaped = c == '\\' && !is_escaped;
        }
        let Some((len, closing)) = len else { return Err(Fault::Truncated) };
        let (start, end) = (self.at, open.len_utf8() + len + closing);
        let plain = (open == '"').then(|| serde_json::from_str(&self.rest()[..end]));
        if let Some(Ok(text)) = plain {
            self.at += end;
            return Ok(text);
        }
        if !self.is_lenient {
            return Err(self.broken("no valid string"));
        }
        let text = self.unescape(&body[..len])?;
        self.at = start + end;
        if open != '"' {
            self.note(Repair::Quotes);
            // The quote may have been an apostrophe.
            let behind = self.rest().trim_start();
            if !(behind.is_empty() || behind.starts_with([',', ':', '}', ']', '/', '#'])) {
                return Err(self.broken("text behind a string in quotes"));
            }
        }
        Ok(text)
    }

    /// Returns the text of a string's body. A backslash before a character that needs none is kept; beside an escape
    /// such as `\n`, which would then have two readings, it is an error.
    fn unescape(&mut self, body: &str) -> Result<String, Fault> {
        let mut text = String::with_capacity(body.len());
        let (mut has_escapes, mut has_backslashes) = (false, false);
        let mut chars = body.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                if c < ' ' {
                    self.note(Repair::ControlCharacters);
                }
                text.push(c);
                continue;
            }
            match chars.next() {
                Some(c @ ('"' | '\\' | '/')) => text.push(c),
                Some(c @ ('\'' | '“' | '”' | '‘' | '’')) => {
                    self.note(Repair::Escapes);
                    text.push(c);
                }
                Some(c @ ('b' | 'f' | 'n' | 'r' | 't' | 'u')) => {
                    has_escapes = true;
                    let escaped = escape(c, &mut chars);
                    text.push(escaped.ok_or_else(|| self.broken("an escape without its digits"))?);
                }
                // Other languages have escapes with digits.
                Some(c) if c >= ' ' && !c.is_ascii_digit() && !is_code(c, &chars) => {
                    has_backslashes = true;
                    self.note(Repair::Escapes);
                    text.extend(['\\', c]);
                }
                // A backslash before a line break has no certain meaning.
                _ => return Err(self.broken("a backslash without a certain meaning")),
            }
        }
        if has_escapes && has_backslashes {
            return Err(self.broken("backslashes with two meanings"));
        }
        Ok(text)
    }
}

/// Returns whether the comment of a line has what may be values, in an answer that lost its line breaks: a key in quotes, a value
/// behind a comma, or a closing bracket at its end.
fn may_have_values(comment: &str) -> bool {
    let comment = comment.trim_end_matches(|c: char| c.is_whitespace() || c == ',');
    let has_key = |quote: char| {
        let mut pieces = comment.split(quote).skip(1);
        pieces.next();
        pieces.any(|behind| behind.trim_start().starts_with([':', '：']))
    };
    let is_value = |piece: &str| parse_whole(piece.trim(), Strictness::Strict).is_ok();
    comment.ends_with(['}', ']'])
        || ['"', '\'', '”', '’'].into_iter().any(has_key)
        || comment.split(',').skip(1).any(is_value)
}

/// Returns the length of the comment at the beginning of a text; `None` if there is none.
fn comment(rest: &str) -> Result<Option<usize>, Fault> {
    if rest.starts_with('#') || rest.starts_with("//") {
        return Ok(Some(rest.find('\n').unwrap_or(rest.len())));
    }
    match rest.strip_prefix("/*") {
        Some(inside) => inside.find("*/").map(|at| Some(at + 4)).ok_or(Fault::Truncated),
        None if rest == "/" => Err(Fault::Truncated),
        None => Ok(None),
    }
}

/// Returns the quotes that close a string which begins with a quote that JSON does not have, and one that would open another
/// string within it.
fn closing(open: char) -> Option<(&'static str, Option<char>)> {
    Some(match open {
        '\'' => ("'", None),
        '“' | '”' | '‟' => ("”", Some('“')),
        '„' => ("“”", Some('„')),
        '‘' | '’' => ("’", Some('‘')),
        _ => return None,
    })
}

/// Returns whether only a comma is missing between a value and what begins with `next`. Numbers and words on one line may
/// belong together, and so may texts without white space between them.
fn lacks_comma(gap: &str, next: char, close: char) -> bool {
    match next {
        '{' | '[' => close == ']',
        '"' => !gap.is_empty(),
        // A quote that is an apostrophe, or a word within a string, would be taken for the next value.
        _ => gap.contains('\n') && (next.is_alphanumeric() || next == '_' || next == '-'),
    }
}

/// Returns the character of an escape of JSON; `None` for one without its digits, and for half a pair.
fn escape(kind: char, chars: &mut Chars<'_>) -> Option<char> {
    Some(match kind {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        _ => {
            let first = four_digits(chars)?;
            if !(0xd800..0xdc00).contains(&first) {
                return char::from_u32(first);
            }
            if chars.next() != Some('\\') || chars.next() != Some('u') {
                return None;
            }
            let second = four_digits(chars).filter(|second| (0xdc00..0xe000).contains(second))?;
            return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
        }
    })
}

fn four_digits(chars: &mut Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |code, _| Some(code * 16 + chars.next()?.to_digit(16)?))
}

/// Returns whether `\x` or `\U` is followed by digits, as an escape of another language.
fn is_code(kind: char, behind: &Chars<'_>) -> bool {
    let digits = behind.as_str().bytes().take_while(u8::is_ascii_hexdigit).count();
    (kind == 'x' && digits >= 2) || (kind == 'U' && digits >= 8)
}
