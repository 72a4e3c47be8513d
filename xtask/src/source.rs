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
        let listed = read(&mut words(
            "git -c safe.directory=* ls-files --cached --others --exclude-standard -- *.rs",
        ))?;
        let with_text = |name: &str| {
            let text = std::fs::read_to_string(root().join(name)).ok()?;
            Some(Self { name: name.to_owned(), text })
        };
        Ok(listed.lines().filter_map(with_text).filter(Self::is_product).collect())
    }

    fn is_product(&self) -> bool {
        self.name.starts_with("crates/")
            && self.name.contains("/src/")
            && !self.name.ends_with("/tests.rs")
            && !self.name.contains("/tests/")
    }

    /// Returns the text above the unit tests, if they are in the file: a declaration of their module may stand anywhere.
    pub(crate) fn code(&self) -> &str {
        let starts = |rest: &str| {
            rest.lines().nth(2).is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
        };
        let mut tests = self.text.match_indices("\n#[cfg(test)]\n");
        let end = tests.find(|(at, _)| starts(&self.text[*at..])).map_or(self.text.len(), |(at, _)| at);
        &self.text[..end]
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

    /// Returns the functions above the unit tests. The code is formatted, so that a function ends with the next brace at its own
    /// indentation.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.code().lines().collect();
        let starts = lines.iter().enumerate().filter_map(|(start, line)| Some((start, indent_of_fn(line)?)));
        starts.filter_map(|(start, indent)| Function::of(&lines[start..], indent, start + 1)).collect()
    }
}

/// A function in its file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// The number of its first line, from 1.
    pub(crate) line: usize,
    /// Its lines, signature and braces included.
    pub(crate) length: usize,
    /// Whether one of several parameters is a tuple that is taken apart.
    pub(crate) has_tuple: bool,
}

impl Function {
    /// Reads the function with which `lines` begin.
    fn of(lines: &[&str], indent: usize, line: usize) -> Option<Self> {
        let is_last = |line: &&str| line.len() == indent + 1 && line.trim() == "}";
        // A declaration in a trait, or a function in one line, ends where it begins.
        let ends_signature = |line: &&str| line.ends_with(['{', '}', ';']);
        let signature = lines.iter().position(ends_signature)? + 1;
        let is_short = !lines[signature - 1].ends_with('{');
        let length = if is_short { signature } else { lines.iter().position(is_last)? + 1 };
        let signature: String = lines[..signature].iter().map(|line| line.trim()).collect();
        Some(Self { line, length, has_tuple: has_tuple(&signature) })
    }
}

/// Returns whether one of several parameters is a tuple. A single one is the item of an iterator.
fn has_tuple(signature: &str) -> bool {
    let Some((_, parameters)) = signature.split_once('(') else { return false };
    let mut depth = 1_u32;
    let mut count = 0;
    let mut has_tuple = false;
    let mut is_start = true;
    for letter in parameters.chars() {
        has_tuple |= is_start && depth == 1 && letter == '(';
        match letter {
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        // The last of several parameters may have a comma, too.
        count += u32::from(is_start && !letter.is_whitespace());
        is_start = letter == ',' && depth == 1 || is_start && letter.is_whitespace();
    }
    has_tuple && count > 1
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

#[cfg(test)]
mod tests {
    use super::{Function, Source};

    fn source(text: &str) -> Source {
        Source { name: "crates/a/src/lib.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_function_ends_at_its_brace_and_its_tuples_are_seen() {
        let text = "pub async fn a() {\n    b();\n}\n\nimpl X {\n    fn b(\n        &self,\n        (x, y): (u8, u8),\n    ) -> u8 {\n        1\n    }\n    fn c() {}\n    fn d((x, y): (u8, u8)) {}\n}\n";
        let function = |line, length, has_tuple| Function { line, length, has_tuple };
        let expected =
            [function(1, 3, false), function(6, 6, true), function(12, 1, false), function(13, 1, false)];
        assert_eq!(source(text).functions(), expected);
    }

    #[test]
    fn code_ends_where_tests_begin_and_not_where_they_are_declared() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests;\n\nfn b() {}\n";
        assert_eq!(source(text).code(), text);
        let with_tests = format!("{text}\n#[cfg(test)]\nmod tests {{\n    fn c() {{}}\n}}\n");
        assert_eq!(source(&with_tests).code(), text);
    }

    #[test]
    fn a_doc_comment_opens_once() {
        let text = "//! Crate.\n\n/// First.\n/// Second.\nfn a() {}\n//// no doc\n/// Third.\n";
        assert_eq!(source(text).doc_openings(), [(1, "Crate."), (3, "First."), (7, "Third.")]);
    }
}
