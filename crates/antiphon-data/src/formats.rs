//! One reader for each format, from text or bytes to turns with source lines.

mod captions;
mod csv;
mod docx;
mod html;
mod json;
mod plain;
mod record;
mod tree;
mod yaml;

pub(crate) use csv::delimiter;
pub(crate) use docx::docx;
pub(crate) use plain::text;

#[cfg(test)]
mod tests;
