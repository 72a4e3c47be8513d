use crate::shell::{Done, read, root, words};

/// The table of threats, whose last column names tests.
const TABLE: &str = "docs/security.md";

/// Checks that each test that `docs/security.md` names exists, and that every row names one.
pub(crate) fn check() -> Done<Vec<String>> {
    let text = std::fs::read_to_string(root().join(TABLE)).map_err(|err| format!("{TABLE}: {err}"))?;
    let sources = read(&mut words("git -c safe.directory=* grep --untracked -h -B6 -w fn -- *.rs"))?;
    let lines: Vec<&str> = sources.lines().collect();
    let mut breaches = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Some(row) = line.strip_prefix("| ").filter(|row| !row.starts_with("threat")) else { continue };
        let tests = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default();
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            breaches.push(format!("{TABLE}:{number}: this threat has no test"));
        }
        for name in named {
            if !is_test(&lines, name) {
                breaches.push(format!("{TABLE}:{number}: there is no test {name}"));
            }
        }
    }
    Ok(breaches)
}

/// Returns whether the lines, which have the six before each function, have a test of this name.
fn is_test(lines: &[&str], name: &str) -> bool {
    let head = format!("fn {name}(");
    let at = (0..).zip(lines).filter(|(_, line)| line.contains(&head)).map(|(at, _): (usize, _)| at);
    at.map(|at| &lines[at.saturating_sub(6)..at]).any(|before| {
        // The lines of the function before it end with a brace, which is followed by an empty line.
        before
            .iter()
            .rev()
            .take_while(|line| !matches!(line.trim(), "" | "}" | "--"))
            .any(|line| line.contains("#[test]") || line.contains("::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::is_test;

    #[test]
    fn only_a_function_with_the_attribute_is_a_test() {
        let text = "#[test]\nfn a() {\n--\n    #[tokio::test(start_paused = true)]\n    // Why.\nasync fn b() {\n}\n\nfn c() {";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(["a", "b", "c", "d"].map(|name| is_test(&lines, name)), [true, true, false, false]);
    }
}
