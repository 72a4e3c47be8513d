//! Pictures in Markdown, and links that run or embed something.

use std::ops::Range;

/// A part of a Markdown text that a page without scripts and pictures cannot have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Embed {
    /// The byte range of the whole part, with its marks.
    pub range: Range<usize>,
    /// The byte range of the words that are left of a link; empty for a picture.
    pub words: Range<usize>,
    /// The target: the address or the name of a file.
    pub target: String,
    /// Whether the part is a picture, and no link.
    pub is_picture: bool,
}

/// Returns the pictures of a Markdown text, and its links to `javascript:`, `data:` and other addresses that are no place, in
/// order.
///
/// ```
/// let text = "Me: ![face](me.png) and [buy](javascript:pay()).";
/// let found = antiphon_text::embeds(text);
/// assert_eq!(found.iter().map(|embed| embed.target.as_str()).collect::<Vec<_>>(), ["me.png", "javascript:pay()"]);
/// assert_eq!(antiphon_text::without_embeds(text), "Me:  and buy.");
/// ```
#[must_use]
pub fn embeds(text: &str) -> Vec<Embed> {
    let mut found = Vec::new();
    // The positions of brackets that are open on this line.
    let mut open: Vec<usize> = Vec::new();
    let mut from = 0;
    for (at, mark) in text.char_indices() {
        if at < from {
            continue;
        }
        let embed = match mark {
            '\n' => {
                open.clear();
                None
            }
            '[' => {
                open.push(at);
                None
            }
            ']' => open.pop().and_then(|start| link_at(text, start, at)),
            '<' => tag_at(text, at),
            _ => None,
        };
        if let Some(embed) = embed {
            from = embed.range.end;
            found.push(embed);
        }
    }
    found
}

/// Returns the picture or the unsafe link whose words are between two brackets.
fn link_at(text: &str, start: usize, close: usize) -> Option<Embed> {
    let (target, end) = target_of(text, close + 1)?;
    let is_picture = text[..start].ends_with('!');
    let range = start - usize::from(is_picture)..end;
    let words = if is_picture { close..close } else { start + 1..close };
    (is_picture || is_unsafe(&target)).then_some(Embed { range, words, target, is_picture })
}

/// Returns a Markdown text without its pictures, and with the words alone of its links that are no place.
#[must_use]
pub fn without_embeds(text: &str) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut from = 0;
    for Embed { range, words, .. } in embeds(text) {
        if range.start >= from {
            rest.push_str(&text[from..range.start]);
            rest.push_str(&text[words]);
            from = range.end;
        }
    }
    rest.push_str(&text[from..]);
    rest
}

/// Returns the target in brackets behind the words of a link, and the end of the link.
fn target_of(text: &str, at: usize) -> Option<(String, usize)> {
    let rest = text[at..].strip_prefix('(')?;
    let mut depth = 1;
    for (offset, c) in rest.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\n' => return None,
            _ => {}
        }
        if depth == 0 {
            let inner = rest[..offset].trim().trim_matches(['<', '>']);
            let target = inner.split_once(" \"").map_or(inner, |(target, _)| target);
            return Some((target.trim().to_owned(), at + 1 + offset + 1));
        }
    }
    None
}

/// Returns whether a target is no place: a script, or content in the address itself.
fn is_unsafe(target: &str) -> bool {
    let scheme: String = target.chars().take(40).filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let scheme = scheme.to_lowercase();
    ["javascript:", "data:", "vbscript:", "file:", "blob:"].iter().any(|unsafe_| scheme.starts_with(unsafe_))
}

/// Returns the picture or the link in angle brackets at an offset: `<img src="me.png">` or `<javascript:pay()>`.
fn tag_at(text: &str, at: usize) -> Option<Embed> {
    let line = text[at..].split('\n').next().unwrap_or_default();
    let end = line.find('>')? + 1;
    let inner = &line[1..end - 1];
    let is_picture = inner.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("img "));
    let source = || inner.split_once("src=").map_or("", |(_, source)| source.trim_start_matches(['"', '\'']));
    let target = if is_picture { source().split(['"', '\'', ' ']).next().unwrap_or_default() } else { inner };
    let is_embed = is_picture || is_unsafe(inner);
    let (range, words) = (at..at + end, at..at);
    is_embed.then(|| Embed { range, words, target: target.to_owned(), is_picture })
}

#[cfg(test)]
mod tests {
    use super::{embeds, without_embeds};

    #[test]
    fn pictures_and_unsafe_links_are_found_and_others_kept() {
        let text = "![a](x.png) [b](https://b.test) [c](JavaScript:x('y')) <img src=\"z.png\"> <data:text/html,x>\n[d] (e) ![f";
        let targets: Vec<_> =
            embeds(text).into_iter().map(|embed| (embed.target, embed.is_picture)).collect();
        let expected =
            [("x.png", true), ("JavaScript:x('y')", false), ("z.png", true), ("data:text/html,x", false)];
        assert_eq!(targets, expected.map(|(target, is_picture)| (target.to_owned(), is_picture)));
        assert_eq!(without_embeds(text), " [b](https://b.test) c  \n[d] (e) ![f");
        assert_eq!(without_embeds("[![a](x.png)](https://b.test)"), "[](https://b.test)");
    }
}
