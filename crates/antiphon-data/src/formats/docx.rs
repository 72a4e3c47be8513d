//! Word's DOCX: a zip archive (Office Open XML), of which the main part and the notes are read.
//!
//! Each part is read as a stream of XML events, without a tree; the names of elements are compared without their
//! namespace prefix. Since a DOCX has no lines, paragraphs take their place in turns, citations and failures. The lines
//! are then read as plain text is, with labels at their beginnings.
//!
//! | in the document | in the text |
//! |---|---|
//! | a paragraph, and each line break in it | a line |
//! | a row of a table, `Ana` and `I bake.` | `Ana: I bake.` on one line |
//! | any other row | its cells on one line, between `\|`; cells with several lines stay lines |
//! | a text box, which Word stores as a drawing and as a fallback | its lines, once |
//! | deleted text, and text at the place that it was moved from | nothing |
//! | footnotes and endnotes | lines behind the last paragraph, below `# Footnote 1`; turns only if they are labelled |
//! | comments, headers, footers | nothing |
//!
//! Neither a bomb nor an entity can expand: the unpacked parts are limited, and entities other than XML's five and
//! numbers are rejected.

mod archive;
mod read;
mod rows;
mod story;
#[cfg(test)]
mod tests;

pub(crate) use read::docx;
