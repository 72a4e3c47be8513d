//! Tests of rendered pages, read by an independent HTML parser.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may block and panic")]

mod exports;
mod hostile;
mod layout;
mod site;
