//! Web pages: the text as a reader sees it, from the tokens of html5ever.
//!
//! No tree is built: a page of transcripts needs only the order of its words, and a tree of untrusted input can be
//! arbitrarily deep. Each element falls into one of five groups:
//!
//! | group | elements | effect |
//! |---|---|---|
//! | unread | `script`, `style`, `svg` and others | the content is skipped, up to the matching end tag |
//! | paragraphs | `p`, `div`, headings and others | an empty line before the next word |
//! | lines | `br`, `li`, `tr` and others | a line end before the next word |
//! | cells | `td`, `th`, `img`, `input` | a space before the next word |
//! | others | `b`, `a`, `span` and others | none |
//!
//! A name and its words may be two elements, which become one line with a label:
//!
//! | on the page | in the text |
//! |---|---|
//! | `<dt>Anna</dt><dd>I bake.</dd>` | `Anna: I bake.` |
//! | `<tr><td>Anna</td><td>I bake.</td></tr>` | `Anna: I bake.` |
//!
//! Whether an element is hidden by a style sheet is not known: its words are read. The text then names its speakers as
//! plain text does.

mod page;
mod rows;
mod tags;

pub(super) use page::read;
