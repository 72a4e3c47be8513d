//! Bodies that are no JSON: the pages of proxies, empty ones, and texts.

use std::fmt;

use serde_json::Value;

/// The description of a body that is neither an answer nor an error in JSON, for a message. Not yet cleaned.
#[derive(Debug, Clone, Copy)]
pub(in crate::exchange) struct ForeignBody<'a> {
    /// The content type of the response; empty where it has none.
    pub(in crate::exchange) content_type: &'a str,
    /// The body, or its beginning.
    pub(in crate::exchange) body: &'a str,
}

impl ForeignBody<'_> {
    /// Returns whether the body is a page, as those of proxies and web sites are.
    pub(in crate::exchange) fn is_page(self) -> bool {
        let beginning = self.body.trim_start().chars().take(200).collect::<String>().to_lowercase();
        beginning.starts_with("<!doctype html")
            || beginning.contains("<html")
            || beginning.contains("<head")
            || (self.content_type.contains("html") && beginning.starts_with('<'))
    }

    /// Returns the text of the page's first element of a name.
    fn element(self, name: &str) -> Option<String> {
        let lower = self.body.to_ascii_lowercase();
        let begin = lower.find(&format!("<{name}"))?;
        let begin = begin + lower[begin..].find('>')? + 1;
        let end = begin + lower[begin..].find('<')?;
        let text: Vec<&str> = self.body[begin..end].split_whitespace().collect();
        Some(text.join(" ")).filter(|text| !text.is_empty())
    }
}

/// Formats a noun phrase, such as `an HTML page titled "502 Bad Gateway"`.
impl fmt::Display for ForeignBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.body.trim().is_empty() {
            return f.write_str("an empty body");
        }
        if self.is_page() {
            let title = self.element("title").or_else(|| self.element("h1")).or_else(|| self.element("h2"));
            match title {
                Some(title) => write!(f, "an HTML page titled \"{title}\"")?,
                None => f.write_str("an HTML page without a title")?,
            }
            return match self.content_type.split(';').next().unwrap_or_default().trim() {
                "" => Ok(()),
                kind => write!(f, " ({kind})"),
            };
        }
        let name = match self.content_type.split(';').next().unwrap_or_default().trim() {
            _ if self.body.trim_start().starts_with("<?xml") => "XML",
            "" => "a text of an unnamed type",
            kind => return write!(f, "a text of the type {kind} ({})", self.body.trim()),
        };
        write!(f, "{name} ({})", self.body.trim())
    }
}

/// Finds the error in a text that has JSON in the frame of a stream, as some servers send it under an error's status.
pub(in crate::exchange) fn error_in_text(body: &str) -> Option<Value> {
    let mut lines = body.lines().map(|line| line.trim().strip_prefix("data:").unwrap_or(line).trim());
    lines.find_map(|line| {
        serde_json::from_str::<Value>(line).ok().filter(|value| value.is_object() || value.is_array())
    })
}
