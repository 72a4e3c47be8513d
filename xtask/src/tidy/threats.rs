use crate::shell::{Done, read, root, words};

/// The table of threats, whose last column names tests.
const TABLE: &str = "docs/security.md";

/// Checks that each test that `docs/security.md` names exists, and that every row names one.
pub(crate) fn check() -> Done<Vec<String>> {
    let text = std::fs::read_to_string(root().join(TABLE)).map_err(|err| format!("{TABLE}: {err}"))?;
    let sources = read(&mut words("git -c safe.directory=* grep --untracked -h -w fn -- *.rs"))?;
    let mut breaches = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Some(row) = line.strip_prefix("| ").filter(|row| !row.starts_with("threat")) else { continue };
        let tests = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default();
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            breaches.push(format!("{TABLE}:{number}: this threat has no test"));
        }
        for name in named {
            if !sources.contains(&format!("fn {name}(")) {
                breaches.push(format!("{TABLE}:{number}: there is no test {name}"));
            }
        }
    }
    Ok(breaches)
}
