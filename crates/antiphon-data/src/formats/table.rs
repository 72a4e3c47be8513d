//! Tables: the separator of their fields, and the names of their columns. Documents and rows use the same rules, so that
//! both read one file alike.
//!
//! | the file | separator |
//! |---|---|
//! | begins with a line `sep=;`, as spreadsheets write it | that of the line, which is no row |
//! | is named `.tsv` | a tab |
//! | any other | the tab, semicolon or comma that gives the first records the same number of fields |

use std::collections::HashMap;

/// Separators, in order of preference: a comma is the one that texts have most.
const SEPARATORS: [u8; 3] = [b'\t', b';', b','];
/// The most records that are examined.
const SAMPLE: usize = 20;

/// Returns the separator that a table's first line names, as in `sep=;`.
pub(crate) fn named_separator(line: &str) -> Option<u8> {
    let line = line.trim_end_matches(['\r', '\n']).trim_matches('"');
    let name = line.get(..4).filter(|name| name.eq_ignore_ascii_case("sep="))?;
    match &line.as_bytes()[name.len()..] {
        [separator] if separator.is_ascii_punctuation() || *separator == b'\t' => Some(*separator),
        _ => None,
    }
}

/// Returns the separator of a table that begins with these lines, without a line that names it.
pub(crate) fn separator(beginning: &str) -> u8 {
    let mut best: Option<(u8, Shape)> = None;
    for separator in SEPARATORS {
        let shape = Shape::of(beginning, separator);
        if shape.columns > 1 && best.as_ref().is_none_or(|(_, other)| shape.is_better(other)) {
            best = Some((separator, shape));
        }
    }
    best.map_or(b',', |(separator, _)| separator)
}

/// The shape of a table's beginning with one of the separators.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The number of the header's fields.
    pub(crate) columns: usize,
    /// The number of records behind the header that were examined.
    pub(crate) records: usize,
    /// The rows that have as many fields as the header.
    pub(crate) fitting: usize,
}

impl Shape {
    /// Returns the shape of a table. A record that the end of the text cuts off does not count.
    pub(crate) fn of(beginning: &str, separator: u8) -> Self {
        let mut shape = Self { columns: 0, records: 0, fitting: 0 };
        let (mut fields, mut is_open) = (0, false);
        for line in beginning.split('\n').filter(|line| !line.trim().is_empty()) {
            fields += count(line, separator, &mut is_open);
            if is_open {
                continue;
            }
            match shape.columns {
                0 => shape.columns = fields + 1,
                columns => {
                    shape.records += 1;
                    shape.fitting += usize::from(fields + 1 == columns);
                }
            }
            fields = 0;
            if shape.records >= SAMPLE {
                break;
            }
        }
        shape
    }

    /// Returns whether more of the records fit, or as many with more columns.
    fn is_better(&self, other: &Self) -> bool {
        let share = (self.fitting * other.records.max(1), other.fitting * self.records.max(1));
        share.0 > share.1 || (share.0 == share.1 && self.columns > other.columns)
    }
}

/// Counts the separators outside quotes in a line; `is_open` is whether a quoted field is open before and behind it.
fn count(line: &str, separator: u8, is_open: &mut bool) -> usize {
    let (mut found, mut at_start) = (0, !*is_open);
    let mut bytes = line.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if *is_open && bytes.peek() == Some(&b'"') => drop(bytes.next()),
            b'"' if *is_open => *is_open = false,
            b'"' if at_start => *is_open = true,
            _ if !*is_open && byte == separator => found += 1,
            _ => {}
        }
        at_start = !*is_open && byte == separator;
    }
    found
}

/// Returns whether a quoted field is open behind a line. A quote opens one only at the beginning of a field; elsewhere
/// it is a literal quote (RFC 4180 does not allow that, but spreadsheets write it).
pub(crate) fn is_open_behind(line: &str, separator: u8, mut is_open: bool) -> bool {
    count(line, separator, &mut is_open);
    is_open
}

/// Returns the names of columns, trimmed: an empty one becomes `column_N`, with N from 1, and one that occurs again gets
/// its number, as in `Answer (2)`.
pub(crate) fn column_names<'a>(fields: impl Iterator<Item = &'a str>) -> Vec<String> {
    let fields: Vec<&str> = fields.map(str::trim).collect();
    let mut taken: HashMap<String, usize> = HashMap::new();
    for field in &fields {
        taken.entry((*field).to_owned()).or_insert(0);
    }
    let name = |(number, field): (usize, &&str)| {
        let field = if field.is_empty() { format!("column_{number}") } else { (*field).to_owned() };
        let count = taken.entry(field.clone()).or_insert(0);
        *count += 1;
        if *count == 1 {
            return field;
        }
        let mut again = *count;
        while taken.contains_key(&format!("{field} ({again})")) {
            again += 1;
        }
        let name = format!("{field} ({again})");
        taken.insert(field, again);
        taken.insert(name.clone(), 1);
        name
    };
    (1..).zip(&fields).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::{column_names, named_separator, separator};

    #[test]
    fn the_separator_gives_all_records_the_same_fields() {
        let check = |text: &str, expected: char| assert_eq!(char::from(separator(text)), expected, "{text}");
        check("a,b\n1,2\n", ',');
        check("a;b\n1;2\n", ';');
        check("a\tb\n1\t2\n", '\t');
        check("Name;What works, what does not?;Why?\nBo;The phone, mostly.;I forget it.\n", ';');
        check("Name;What works, what does not?\n", ';');
        check("\"a, b\";c\n1;2\n", ';');
        check("\"a; b\",c\n1,2\n", ',');
        check("name, first\tnote\nLee, Ana\tx\n", '\t');
        check("a,b\n\"1;2\n3;4\",2\n5,6\n", ',');
        check("name,note\nAna,\"one; two\"\nBo,a;b;c\n", ',');
        check("only\nwords\n", ',');
    }

    #[test]
    fn a_first_line_may_name_the_separator() {
        let named =
            ["sep=;", "SEP=|", "\"sep=,\"", "sep=\t\r", "sep=ab", "sep=", "separate"].map(named_separator);
        assert_eq!(named, [Some(b';'), Some(b'|'), Some(b','), Some(b'\t'), None, None, None]);
    }

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let names = column_names(["Answer", "", " Answer ", "Answer (2)", "Answer", ""].into_iter());
        assert_eq!(names, ["Answer", "column_2", "Answer (3)", "Answer (2)", "Answer (4)", "column_6"]);
    }
}
