//! One reader for each format, from text or bytes to turns with source lines.
//!
//! Three kinds of formats share their steps: prose, rows and captions.
//!
//! | formats | modules | turns are found by |
//! |---|---|---|
//! | plain text, Markdown, Org, HTML, DOCX | `plain`, `org`, `html`, `docx` | labels at the start of lines (`speakers`) |
//! | CSV, JSON, JSON Lines, YAML | `csv`, `json`, `yaml`, `tree` | keys such as `speaker` and `text` (`record`, `people`) |
//! | WebVTT, SubRip | `captions` | voice tags and labels |
//!
//! Every reader takes the text and `person`, the name for a speaker whom the file does not name, and returns a `Body`
//! or the first `Malformed` place. A reader never returns a part of a malformed file: a transcript without its end
//! would be analysed as if it were whole. Each format limits its expansion (zip bombs, YAML aliases) and its depth,
//! since inputs are not trusted.
//!
//! A reader that needs a dependency has a feature of its own; where the feature is off, `unbuilt` takes its place.

mod captions;
mod clock;
#[cfg(feature = "csv")]
mod csv;
#[cfg(feature = "docx")]
mod docx;
mod foreign;
#[cfg(any(feature = "docx", feature = "html"))]
mod grid;
#[cfg(feature = "csv")]
mod headings;
#[cfg(feature = "html")]
mod html;
mod json;
mod org;
mod people;
mod plain;
mod record;
#[cfg(feature = "csv")]
pub(crate) mod table;
mod texts;
mod tree;
#[cfg(not(all(feature = "csv", feature = "docx", feature = "html", feature = "yaml")))]
mod unbuilt;
#[cfg(feature = "yaml")]
mod yaml;

#[cfg(feature = "docx")]
pub(crate) use docx::docx;
pub(crate) use json::Borrowed;
pub(crate) use plain::text;
pub(crate) use record::{is_person_key, normal};
#[cfg(not(feature = "csv"))]
use unbuilt::csv;
#[cfg(not(feature = "docx"))]
pub(crate) use unbuilt::docx;
#[cfg(not(feature = "html"))]
use unbuilt::html;
#[cfg(not(feature = "csv"))]
pub(crate) use unbuilt::not_built;
#[cfg(not(feature = "yaml"))]
use unbuilt::yaml;

/// Returns the turns of a document for tests, each as (speaker, words, source line of the first word).
#[cfg(test)]
#[cfg(feature = "docx")]
fn lines_of_turns(document: &crate::Document) -> Vec<(&str, &str, u32)> {
    let line = |turn: &crate::Turn| document.line_at(turn.span.start);
    document.turns.iter().map(|turn| (&*turn.speaker, document.words(turn), line(turn))).collect()
}

#[cfg(test)]
#[cfg(all(feature = "csv", feature = "yaml"))]
mod dialogues;
#[cfg(test)]
#[cfg(all(feature = "csv", feature = "yaml"))]
mod hostile;
#[cfg(test)]
#[cfg(feature = "docx")]
mod round_trip;
#[cfg(test)]
#[cfg(all(feature = "csv", feature = "docx", feature = "html", feature = "yaml"))]
mod tests;
