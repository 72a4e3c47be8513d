use csv::{ErrorKind, ReaderBuilder};

use crate::builder::Body;
use crate::error::Malformed;
use crate::formats::record::{self, Field};

/// A table with a header row; each row must have as many fields as the header.
pub(crate) fn read(text: &str, stem: &str) -> Result<Body, Malformed> {
    let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
    let header = reader.headers().map_err(|err| malformed(&err))?.clone();
    let mut body = Body::default();
    for row in reader.records() {
        let row = row.map_err(|err| malformed(&err))?;
        let mut line = row.position().map_or(1, |position| line_number(position.line()));
        let mut fields = Vec::with_capacity(row.len());
        for (key, value) in header.iter().zip(&row) {
            let is_text = value.trim().parse::<f64>().is_err();
            fields.push(Field { key: key.trim(), value, line, is_text });
            line = line.saturating_add(line_number(value.matches('\n').count() as u64));
        }
        record::add(&mut body, &fields, stem);
    }
    Ok(body)
}

fn malformed(err: &csv::Error) -> Malformed {
    let line = err.position().map(|position| line_number(position.line()));
    let reason = match err.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("this row has {len} fields and the header has {expected_len}")
        }
        ErrorKind::Utf8 { .. } => "this row is not valid UTF-8".to_owned(),
        _ => "not valid CSV".to_owned(),
    };
    Malformed { line, reason }
}

fn line_number(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}
