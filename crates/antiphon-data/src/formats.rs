//! One reader a format, each from text or bytes to a body of turns with source lines.

mod captions;
mod csv;
mod docx;
mod json;
mod plain;
mod record;

pub(crate) use csv::delimiter;
pub(crate) use docx::docx;
pub(crate) use plain::text;

#[cfg(test)]
mod tests;
