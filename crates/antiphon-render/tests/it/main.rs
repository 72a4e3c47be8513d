//! What stands on pages, read by a parser that we did not write.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod hostile;
mod site;
