//! What stands on pages, read by a parser that we did not write.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may block and panic")]

mod exports;
mod hostile;
mod site;
