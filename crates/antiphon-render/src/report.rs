//! The report of a run as one HTML page.
//!
//! A page is made in two steps. [`RunPage::new`] turns the summary of a run into names and values, which a caller may
//! change or add to; [`RunPage::render`] computes the charts and renders the template. The charts are SVG in the page:
//!
//! | chart | data | shows |
//! |---|---|---|
//! | bar | [`RunPage::phases`] | the share of each phase in the time of all rows |
//! | timeline | [`RunPage::ends`] | done and failed rows in 48 slices of the run's time |
//! | histogram | [`RunPage::times`] | the times of calls in 24 bars, with their quantiles |
//!
//! # Rows
//!
//! The page is as quick with 200,000 rows as with 20. The first 50 rows are a table, for which no script is needed.
//! All rows are in one element that is no markup, a block a line, which a script unpacks when a page of 50 rows, or a
//! search, needs it:
//!
//! ```text
//! <script type="text/plain" id="data">
//! dddfddd…:eF6…            the state of each row, by a letter; then zlib in base64
//! ddddddl…:eF6…            of the JSON [[0,"done","{}","\"north\"","1.2 s"],…]
//! </script>
//! ```
//!
//! Blocks are written one after the other, so that memory does not grow with the rows: see [`RunPage::parts`]. Pages
//! opened as files may not load other files, and a database in the page would need a library as large as the page.
//!
//! Input files may be named after people, so that the report of an anonymised run shows neither the input nor the
//! texts of rows (PII).

mod charts;
mod page;
mod rows;

pub use page::{RunCause, RunPage, RunPageParts, RunRow};
