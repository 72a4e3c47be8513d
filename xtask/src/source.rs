//! The source files of the workspace, line by line, as far as style is concerned.

use crate::shell::{Done, read, root, words};

/// A Rust file of a crate.
pub(crate) struct Source {
    /// The path from the root of the workspace.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// Reads every Rust file of the crates, without their tests, examples and benches.
    pub(crate) fn of_crates() -> Done<Vec<Self>> {
        Ok(Self::all()?.into_iter().filter(Self::is_product).collect())
    }

    /// Reads every Rust file of the workspace.
    pub(crate) fn all() -> Done<Vec<Self>> {
        let listed = read(&mut words(
            "git -c safe.directory=* ls-files --cached --others --exclude-standard -- *.rs",
        ))?;
        let with_text = |name: &str| {
            let text = std::fs::read_to_string(root().join(name)).ok()?;
            Some(Self { name: name.to_owned(), text })
        };
        Ok(listed.lines().filter_map(with_text).collect())
    }

    fn is_product(&self) -> bool {
        self.name.starts_with("crates/")
            && self.name.contains("/src/")
            && !self.name.ends_with("/tests.rs")
            && !self.name.contains("/tests/")
    }

    /// Returns the text above the unit tests.
    pub(crate) fn code(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default()
    }

    /// Returns the first lines of doc comments, each with its line number from 1.
    pub(crate) fn doc_openings(&self) -> Vec<(usize, &str)> {
        let mut is_inside = false;
        let mut openings = Vec::new();
        for (number, line) in (1..).zip(self.text.lines()) {
            let doc = doc_of(line);
            if let Some(text) = doc.filter(|_| !is_inside) {
                openings.push((number, text));
            }
            is_inside = doc.is_some();
        }
        openings
    }

    /// Returns the numbers of lines of each function above the unit tests. The code is formatted, so that a function ends with the
    /// next brace at its own indentation.
    pub(crate) fn function_lengths(&self) -> Vec<usize> {
        let lines: Vec<&str> = self.code().lines().collect();
        let mut lengths = Vec::new();
        for (start, line) in lines.iter().enumerate() {
            let Some(indent) = indent_of_fn(line) else { continue };
            let closes =
                |line: &&str| line.len() == indent + 1 && line.ends_with('}') && line.trim().len() == 1;
            if is_in_one_line(line) {
                lengths.push(1);
            } else if let Some(length) = lines[start..]
                .iter()
                .position(|line| closes(line) || line.ends_with(");") && indent_is(line, indent))
            {
                lengths.push(length + 1);
            }
        }
        lengths
    }
}

/// Returns the text of a doc comment's line.
pub(crate) fn doc_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
    // Four slashes are a comment like others.
    (!text.starts_with('/')).then(|| text.trim())
}

fn indent_of_fn(line: &str) -> Option<usize> {
    const BEFORE: [&str; 5] = ["pub", "async", "const", "unsafe", "extern"];
    let code = line.trim_start();
    let (before, _) = code.split_once("fn ")?;
    let mut words = before.split_whitespace();
    words.all(|word| BEFORE.iter().any(|known| word.starts_with(known))).then(|| line.len() - code.len())
}

fn is_in_one_line(line: &str) -> bool {
    line.ends_with('}') || line.ends_with(';')
}

fn indent_is(line: &str, indent: usize) -> bool {
    line.len() - line.trim_start().len() == indent
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn source(text: &str) -> Source {
        Source { name: "crates/a/src/lib.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_function_is_as_long_as_to_its_closing_brace() {
        let text = "pub async fn a() {\n    b();\n}\n\nimpl X {\n    fn b() -> u8 {\n        1\n    }\n    fn c() {}\n}\n";
        assert_eq!(source(text).function_lengths(), [3, 3, 1]);
    }

    #[test]
    fn a_doc_comment_opens_once() {
        let text = "//! Crate.\n\n/// First.\n/// Second.\nfn a() {}\n//// no doc\n/// Third.\n";
        assert_eq!(source(text).doc_openings(), [(1, "Crate."), (3, "First."), (7, "Third.")]);
    }
}
