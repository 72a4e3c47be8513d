//! The number of attributes of each tag, before the page is read: the tokenizer compares each name with all those before it.
//!
//! Where this reader and the tokenizer may differ, it takes more of the page for tags, never less.

use crate::error::{FailureKind, Malformed};

/// The most attributes of a tag. A page for people has fewer than a hundred, also one that a framework wrote.
const MAX_ATTRIBUTES: usize = 256;

/// The elements whose content is skipped, since code may look like tags with many words. The
/// tokenizer reads it as text, too, wherever the element is.
const RAW: [&str; 2] = ["script", "style"];

/// The place within a tag (HTML, sections 13.2.5.32 to 13.2.5.39).
#[derive(Clone, Copy)]
enum At {
    BeforeName,
    Name,
    BehindName,
    BeforeValue,
    Quoted(u8),
    Unquoted,
}

/// Checks the tags of a page, in one pass.
///
/// # Errors
/// The line of a tag with more than [`MAX_ATTRIBUTES`] attributes.
pub(super) fn check(text: &str) -> Result<(), Malformed> {
    let mut at = 0;
    while let Some(begin) = memchr::memchr(b'<', &text.as_bytes()[at..]).map(|found| at + found) {
        let rest = &text[begin + 1..];
        at = begin + 1;
        if let Some(comment) = rest.strip_prefix("!--") {
            at += 3 + comment_length(comment);
            continue;
        }
        let is_end = rest.starts_with('/');
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        at += usize::from(is_end);
        let name_end = rest.find([' ', '\t', '\n', '\r', '\x0c', '/', '>']).unwrap_or(rest.len());
        let Some(length) = attributes(&rest[name_end..]) else {
            let line = text[..begin].matches('\n').count() + 1;
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            let why = format!("a tag with more than {MAX_ATTRIBUTES} attributes");
            return Err(Malformed::at(line, why).of_kind(FailureKind::TooLarge));
        };
        at += name_end + length;
        let (name, is_whole) = (&rest[..name_end], text[..at].ends_with("/>"));
        if let Some(raw) = RAW.iter().find(|raw| !is_end && !is_whole && raw.eq_ignore_ascii_case(name)) {
            at += raw_length(&text[at..], raw);
        }
    }
    Ok(())
}

/// Returns the length of a comment behind `<!--`, up to behind its end, which has four forms.
fn comment_length(text: &str) -> usize {
    if let Some(short) = [">", "->"].iter().find(|end| text.starts_with(**end)) {
        return short.len();
    }
    let ends = ["-->", "--!>"].map(|end| find(text, end).map(|at| at + end.len()));
    ends.into_iter().flatten().min().unwrap_or(text.len())
}

/// Returns the length of the attributes of a tag up to behind its end; `None` for too many.
fn attributes(text: &str) -> Option<usize> {
    let (mut count, mut state) = (0, At::BeforeName);
    for (at, byte) in text.bytes().enumerate() {
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
        state = match state {
            At::Quoted(end) if byte == end => At::BeforeName,
            At::Quoted(_) => state,
            _ if byte == b'>' => return Some(at + 1),
            At::BeforeName if is_space || byte == b'/' => At::BeforeName,
            At::Name | At::BehindName if byte == b'=' => At::BeforeValue,
            At::Name | At::BehindName if byte == b'/' => At::BeforeName,
            At::Name | At::BehindName if is_space => At::BehindName,
            At::Name => At::Name,
            At::BeforeName | At::BehindName => {
                count += 1;
                if count > MAX_ATTRIBUTES {
                    return None;
                }
                At::Name
            }
            At::BeforeValue if is_space => At::BeforeValue,
            At::BeforeValue if matches!(byte, b'"' | b'\'') => At::Quoted(byte),
            At::Unquoted if is_space => At::BeforeName,
            At::BeforeValue | At::Unquoted => At::Unquoted,
        };
    }
    Some(text.len())
}

/// Returns the length of the content of a raw element, up to its end tag.
fn raw_length(text: &str, name: &str) -> usize {
    let mut at = 0;
    while let Some(end) = find(&text[at..], "</").map(|found| at + found) {
        let rest = text.as_bytes().get(end + 2..end + 2 + name.len());
        if rest.is_some_and(|rest| rest.eq_ignore_ascii_case(name.as_bytes())) {
            return end;
        }
        at = end + 2;
    }
    text.len()
}

/// Returns the place of a part in a text.
fn find(text: &str, part: &str) -> Option<usize> {
    memchr::memmem::find(text.as_bytes(), part.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{MAX_ATTRIBUTES, check};

    fn line(text: &str) -> Option<u32> {
        check(text).err().and_then(|err| err.line)
    }

    fn many(part: &str, count: usize) -> String {
        (0..count).map(|n| part.replace('N', &n.to_string())).collect()
    }

    #[test]
    fn a_tag_with_too_many_attributes_is_found_at_its_line() {
        for part in [
            " aN",
            " aN=1",
            " aN='x y z'",
            "/aN=\"'\"",
            "\taN = 'a>b'",
            "\naN",
            " aN=\"1\"bN=2",
            "/=aN",
            " \"aN",
            " 'N'",
        ] {
            let text = format!("<p>so</p>\n<div{}>", many(part, MAX_ATTRIBUTES + 1));
            assert_eq!(line(&text), Some(2), "{part}");
            assert_eq!(line(&format!("</p{}", many(part, MAX_ATTRIBUTES + 1))), Some(1), "{part}");
        }
        assert_eq!(line(&format!("<div{}>", many(" aN=1", MAX_ATTRIBUTES))), None);
    }

    #[test]
    fn words_that_are_no_attributes_are_not_counted() {
        let words = many("w ", 2 * MAX_ATTRIBUTES);
        for text in [
            format!("a < b {words}"),
            format!("a <3 {words}"),
            format!("<!-- <p {words} --><p>"),
            format!("<script>if (i<n {words}) </script><p>"),
            format!("<STYLE> <p {words} </style >"),
            format!("<p title=\"{words}\">"),
            format!("<p title = '{words}'>"),
            format!("<p>{}</p>", many("<b class=x>w</b>", 2 * MAX_ATTRIBUTES)),
            "<".to_owned(),
            "</".to_owned(),
            "<!--".to_owned(),
            "<a".to_owned(),
            "<script></".to_owned(),
            "<!--><p>é</p>".to_owned(),
        ] {
            assert_eq!(line(&text), None, "{text}");
        }
        // Behind a comment that ended at once, and a script.
        let tag = format!("<p{}>", many(" aN", MAX_ATTRIBUTES + 1));
        for comment in
            ["<!-->", "<!--->", "<!-- a --!>", "<!-- a -->", "<p a=\"1\"=\">", "<xmp>", "<svg><script/>"]
        {
            assert_eq!(line(&format!("{comment}\n{tag}\n-->\"")), Some(2), "{comment}");
        }
        assert_eq!(line(&format!("<script>\"</p>\"\n</ScRipt>{tag}")), Some(2));
    }
}
