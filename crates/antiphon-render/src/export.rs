//! Rows as tables: CSV for spreadsheets and Markdown for documents, row by row.
//!
//! A row is any JSON value. Nested objects become columns with dotted names, and lists become one cell:
//!
//! | value | CSV cell | Markdown cell |
//! |---|---|---|
//! | `"x"` | `"x"` | `x` |
//! | `null`, or no such field | `""` | empty |
//! | `["a", "b"]` | `a` and `b` on two lines | `a; b` |
//! | `{"city": "Oslo"}` under `address` | column `address.city` | column `address.city` |
//! | a value that is not an object | column `value` | column `value` |

use antiphon_pipeline::{Persona, Quote};
use serde_json::Value;

use crate::markdown::{line, markdown};
use crate::support::{NO_EVIDENCE, Place};
use crate::visible::visible;

/// A writer of rows as CSV or Markdown. Rows are formatted one at a time, so that a table may be larger than memory.
/// The columns have to be known before the header: call [`add`](Self::add) with every row first, then format each row.
///
/// Spreadsheets run text that begins with `=`, `+`, `-` or `@` as a formula (OWASP, "CSV Injection"): such text gets an
/// apostrophe before it, unless it is a number. Control characters, and those that reorder or hide text, are escaped in both
/// formats as [`visible`](crate::visible) does.
///
/// Adding a row takes time proportional to its fields and to the columns; rows are not kept.
///
/// # Examples
/// ```
/// use antiphon_render::Table;
/// let rows = [serde_json::json!({ "name": "Ada", "tags": ["a", "b"] }), serde_json::json!({ "name": "=1+1" })];
/// let mut table = Table::default();
/// rows.iter().for_each(|row| table.add(row));
/// assert_eq!(table.csv_head(), "\"name\",\"tags\"\n");
/// assert_eq!(table.csv_row(&rows[1]), "\"'=1+1\",\"\"\n");
/// assert_eq!(table.markdown_row(&rows[0]), "| Ada | a; b |\n");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns, in order of first appearance.
    columns: Vec<String>,
}

/// Returns a persona as one row of a [`Table`]: claims and quotes are lists of lines, each with its source, or with
/// `(no evidence)`.
///
/// The fields are `id`, `name`, `title`, `demographics`, `goals`, `pain_points`, `behaviours`, `motivations`, `quotes`
/// and `unverified`, the number of citations that were not found. `demographics` always has `age_range`, `occupation`,
/// `industry`, `location` and `experience`, so that the tables of all runs have the same columns, and then the other
/// facts.
///
/// ```
/// use antiphon_pipeline::Persona;
/// let mut persona = Persona::default();
/// persona.goals = vec!["Sleep".to_owned()];
/// let row = antiphon_render::persona_row(&persona);
/// assert_eq!(row["goals"][0], "Sleep (no evidence)");
/// assert_eq!(row["unverified"], 0);
/// assert!(row["demographics"]["location"].is_null());
/// ```
#[must_use]
pub fn persona_row(persona: &Persona) -> Value {
    let claims = |field: &str| {
        let of_field = persona.claims_by_field().filter(|(of, _)| *of == field);
        of_field.map(|(field, claim)| claim_cell(persona, field, claim)).collect::<Value>()
    };
    let row: [(&str, Value); 10] = [
        ("id", persona.id.clone().into()),
        ("name", persona.name.clone().into()),
        ("title", persona.title.clone().into()),
        ("demographics", demographics(persona)),
        ("goals", claims("goals")),
        ("pain_points", claims("pain_points")),
        ("behaviours", claims("behaviours")),
        ("motivations", claims("motivations")),
        ("quotes", persona.quotes.iter().map(quote_cell).collect()),
        ("unverified", persona.unverified.len().into()),
    ];
    Value::Object(row.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
}

/// Returns a claim with the sources of its evidence, `Sleep longer (a.txt:3; P2, 12:41, b.txt:7)`, or `Eat (no evidence)`.
fn claim_cell(persona: &Persona, field: &str, claim: &str) -> String {
    let places = persona.evidence_of(field, claim).map(|found| Place::of_evidence(found).short(", "));
    let places: Vec<String> = places.collect();
    if places.is_empty() {
        format!("{claim} ({NO_EVIDENCE})")
    } else {
        format!("{claim} ({})", places.join("; "))
    }
}

/// Returns a quote with its speaker, its time if it is known, and its source: `“I bake.” P1, 12:41, a.txt:3`.
fn quote_cell(quote: &Quote) -> String {
    format!("“{}” {}", quote.text, Place::of_quote(quote).full(", "))
}

/// Returns the facts about a persona by their names; `null` for a known one that no participant mentioned.
fn demographics(persona: &Persona) -> Value {
    // These columns exist even if no persona has the fact.
    let known = ["age_range", "occupation", "industry", "location", "experience"];
    let others = persona.demographics.keys().map(String::as_str).filter(|key| !known.contains(key));
    let fact = |key: &str| (key.to_owned(), persona.demographics.get(key).cloned().into());
    Value::Object(known.into_iter().chain(others).map(fact).collect())
}

/// Returns personas as one Markdown document, separated by rules (`---`); empty without personas. See [`markdown()`]
/// for one persona.
#[must_use]
pub fn personas_markdown(personas: &[Persona]) -> String {
    personas.iter().map(markdown).collect::<Vec<_>>().join("\n---\n\n")
}

impl Table {
    /// Adds a row's fields to the columns, in order of first appearance. The fields of a nested object become columns
    /// with a dotted name, such as `address.city`. A row with known fields changes nothing.
    pub fn add(&mut self, row: &Value) {
        for (name, _) in fields(row) {
            if !self.columns.contains(&name) {
                self.columns.push(name);
            }
        }
    }

    /// Returns the header line as CSV (RFC 4180, but with `\n` as line end). All cells are quoted. Names of columns are
    /// made harmless as cells are.
    #[must_use]
    pub fn csv_head(&self) -> String {
        csv(self.columns.iter().map(|name| harmless(name)))
    }

    /// Returns a row as CSV, in the order of the columns. A field that is not a column is left out; a missing one is an
    /// empty cell.
    #[must_use]
    pub fn csv_row(&self, row: &Value) -> String {
        csv(self.cells(row, "\n").into_iter().map(|cell| harmless(&cell)))
    }

    /// Returns the two lines of a Markdown table's header: the names and the separator.
    #[must_use]
    pub fn markdown_head(&self) -> String {
        let rule = "---|".repeat(self.columns.len());
        format!("{}|{rule}\n", pipes(self.columns.iter().map(String::as_str)))
    }

    /// Returns a row of a Markdown table, in the order of the columns. A field that is not a column is left out. White
    /// space, line ends included, becomes single spaces, and characters with a meaning in Markdown are escaped.
    #[must_use]
    pub fn markdown_row(&self, row: &Value) -> String {
        pipes(self.cells(row, "; ").iter().map(String::as_str))
    }

    /// Returns the cells of a row in the order of the columns; `between` separates the items of a list.
    fn cells(&self, row: &Value, between: &str) -> Vec<String> {
        let fields = fields(row);
        let cell = |name: &String| {
            fields.iter().find(|(field, _)| field == name).map(|(_, value)| format_cell(value, between))
        };
        self.columns.iter().map(|name| cell(name).unwrap_or_default()).collect()
    }
}

/// Returns the values of a row, each with its name. A row that is not an object has one value.
fn fields(row: &Value) -> Vec<(String, &Value)> {
    fn collect<'v>(name: String, value: &'v Value, found: &mut Vec<(String, &'v Value)>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                    collect(name, value, found);
                }
            }
            value => found.push((if name.is_empty() { "value".to_owned() } else { name }, value)),
        }
    }
    let mut found = Vec::new();
    collect(String::new(), row, &mut found);
    found
}

/// Returns a value as the text of a cell. Objects within lists are written as JSON.
fn format_cell(value: &Value, between: &str) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            items.iter().map(|item| format_cell(item, between)).collect::<Vec<_>>().join(between)
        }
        other => other.to_string(),
    }
}

/// Puts an apostrophe before text that a spreadsheet would run, also behind white space and in full width. Numbers are
/// kept. Characters that are not seen are visible.
fn harmless(cell: &str) -> String {
    let cell = visible(cell);
    let acts =
        cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) || cell.starts_with('\t');
    if acts && cell.parse::<f64>().is_err() { format!("'{cell}") } else { cell.into_owned() }
}

/// Returns cells as a line of CSV.
fn csv(cells: impl Iterator<Item = String>) -> String {
    // Everything is quoted: in some countries spreadsheets separate cells at semicolons.
    let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    // Writing to memory cannot fail, and CSV of UTF-8 is UTF-8.
    let _ = writer.write_record(cells);
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// Returns cells between pipes, on one line, escaped so that neither Markdown nor a browser interprets them.
fn pipes<'c>(cells: impl Iterator<Item = &'c str>) -> String {
    cells.fold("|".to_owned(), |row, cell| format!("{row} {} |", line(cell).replace('|', "\\|"))) + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Table;

    #[track_caller]
    fn check(row: &Value, csv: &str) {
        let mut table = Table::default();
        table.add(row);
        assert_eq!(table.csv_row(row), csv);
    }

    #[test]
    fn formulas_are_escaped() {
        check(&json!({ "a": "=cmd|' /C calc'!A0" }), "\"'=cmd|' /C calc'!A0\"\n");
        check(&json!({ "a": " =1+1" }), "\"' =1+1\"\n");
        check(
            &json!({ "a": "@SUM(1)", "b": "+1", "c": "-2.5", "d": -3 }),
            "\"'@SUM(1)\",\"+1\",\"-2.5\",\"-3\"\n",
        );
        check(
            &json!({ "a": "\r=1", "b": "\n=1", "c": "\u{feff}=1" }),
            "\"\\r=1\",\"'\n=1\",\"\\u{feff}=1\"\n",
        );
        check(&json!({ "a": "x\r\n\u{1b}[2J\u{202e}" }), "\"x\n\\u{1b}[2J\\u{202e}\"\n");
        check(&json!({ "a": "\tx", "b": "＝1", "c": "-x" }), "\"'\tx\",\"'＝1\",\"'-x\"\n");
    }

    #[test]
    fn cells_are_quoted_and_lists_are_joined_by_lines() {
        check(&json!({ "a": "x, \"y\"", "b": null, "c": true }), "\"x, \"\"y\"\"\",\"\",\"true\"\n");
        check(&json!(["a", "b"]), "\"a\nb\"\n");
    }

    #[test]
    fn rows_with_different_fields_share_columns() {
        let (one, other) = (json!({ "a": { "x": 1, "y": 2 } }), json!({ "b": 3, "a": { "y": 4 } }));
        let mut table = Table::default();
        table.add(&one);
        table.add(&other);
        let csv = table.csv_head() + &table.csv_row(&one) + &table.csv_row(&other);
        assert_eq!(csv.replace('"', ""), "a.x,a.y,b\n1,2,\n,4,3\n");
        assert_eq!(table.markdown_head(), "| a.x | a.y | b |\n|---|---|---|\n");
        assert_eq!(table.markdown_row(&json!({ "b": "x | <b>" })), "|  |  | x \\| \\<b\\> |\n");
    }
}
