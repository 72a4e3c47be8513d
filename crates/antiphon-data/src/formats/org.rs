//! Org files, whose lines are translated before they are read as plain text.
//!
//! | in the file | becomes |
//! |---|---|
//! | `** TODO [#A] Next :tag:` | `## Next`: the search for speakers knows Markdown's headings |
//! | `- Anna :: I bake.` | `Anna: I bake.` |
//! | keywords, comments, drawers, `SCHEDULED: <…>`, `CLOCK: […]` | an empty line: they are for machines |
//!
//! No line is removed, so that the numbers of lines remain those of the file.

use std::borrow::Cow;

use crate::speakers;

/// The keywords of headings without `#+TODO:` lines.
const STATES: [&str; 2] = ["TODO", "DONE"];
/// The keywords of `#+` lines that name more of them.
const STATE_KEYS: [&str; 3] = ["todo", "seq_todo", "typ_todo"];
/// The keywords of planning lines (Org's manual, "Deadlines and Scheduling").
const PLANNING: [&str; 3] = ["SCHEDULED:", "DEADLINE:", "CLOSED:"];

/// Returns the lines of an Org file as plain text (Org's manual, "Syntax"). Takes time linear in the length of the
/// text.
pub(crate) fn lines(text: &str) -> Vec<Cow<'_, str>> {
    let lines: Vec<&str> = text.split('\n').collect();
    let states = states(&lines);
    let ends = drawer_ends(&lines);
    let mut behind_drawer = 0;
    let translated = lines.iter().zip(&ends).enumerate().map(|(number, (line, end))| {
        if number >= behind_drawer && is_drawer(line.trim()) {
            behind_drawer = end.map_or(behind_drawer, |end| end + 1);
        }
        let is_in_drawer = number < behind_drawer;
        heading(line, &states).map(Cow::Owned).unwrap_or_else(|| {
            if is_in_drawer || is_for_machines(line) { Cow::Borrowed("") } else { words(line) }
        })
    });
    translated.collect()
}

/// Returns for each line the next one that may end a drawer: an `:END:` above the next heading.
fn drawer_ends(lines: &[&str]) -> Vec<Option<usize>> {
    let mut end = None;
    let mut ends: Vec<Option<usize>> = lines
        .iter()
        .enumerate()
        .rev()
        .map(|(number, line)| {
            let behind = end;
            if is_heading(line) {
                end = None;
            } else if line.trim().eq_ignore_ascii_case(":end:") {
                end = Some(number);
            }
            behind
        })
        .collect();
    ends.reverse();
    ends
}

/// Returns the keywords that may begin a heading: the usual ones, and those that `#+TODO:` lines name.
fn states<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let named = lines.iter().filter_map(|line| {
        let (key, words) = line.trim().strip_prefix("#+")?.split_once(':')?;
        STATE_KEYS.iter().any(|known| known.eq_ignore_ascii_case(key)).then_some(words)
    });
    // `WAIT(w@/!)` has a key behind the word.
    let word = |word: &'a str| word.split('(').next().unwrap_or_default();
    let named =
        named.flat_map(str::split_whitespace).map(word).filter(|word| *word != "|" && !word.is_empty());
    STATES.into_iter().chain(named).take(MAX_STATES).collect()
}

/// The most keywords of headings.
const MAX_STATES: usize = 64;

/// Returns a heading or the file's title (`#+TITLE:`) in Markdown, without its state, priority and tags; `None` for any
/// other line.
fn heading(line: &str, states: &[&str]) -> Option<String> {
    let trimmed = line.trim();
    if trimmed.get(..8).is_some_and(|key| key.eq_ignore_ascii_case("#+title:")) {
        return Some(format!("# {}", trimmed[8..].trim()));
    }
    if !is_heading(line) {
        return None;
    }
    let title = line.trim_start_matches('*');
    let marks = "#".repeat(line.len() - title.len());
    Some(format!("{marks} {}", without_tags(without_state(title.trim(), states))).trim_end().to_owned())
}

/// Returns a heading without a keyword such as `TODO` and a priority such as `[#A]`.
fn without_state<'a>(title: &'a str, states: &[&str]) -> &'a str {
    let (first, rest) = title.split_once(' ').unwrap_or((title, ""));
    let title = if states.contains(&first) { rest.trim_start() } else { title };
    let priority = title.strip_prefix("[#").and_then(|rest| rest.split_once(']'));
    priority.filter(|(value, _)| value.len() <= 2).map_or(title, |(_, rest)| rest.trim_start())
}

/// Returns a heading without tags at its end, as in `Next :work:now:`.
fn without_tags(title: &str) -> &str {
    let (before, last) = title.rsplit_once(' ').unwrap_or(("", title));
    let is_tags = last.len() > 2
        && last.starts_with(':')
        && last.ends_with(':')
        && last.chars().all(|c| c.is_alphanumeric() || ":_@#%".contains(c));
    if is_tags { before.trim_end() } else { title }
}

/// Returns the words of a line: a definition as a labelled line, and what follows planning.
fn words(line: &str) -> Cow<'_, str> {
    if let Some(rest) = behind_planning(line) {
        return Cow::Borrowed(rest);
    }
    definition(line).map_or(Cow::Borrowed(line), Cow::Owned)
}

/// Returns a definition such as `- Anna :: I bake.` as a line with a label; `None` for any other line.
fn definition(line: &str) -> Option<String> {
    let item = line.trim_start().strip_prefix(['-', '+', '*'])?.strip_prefix(' ')?;
    let (name, words) = item.split_once(" ::")?;
    let is_spaced = words.is_empty() || words.starts_with([' ', '\t']);
    let name = name.trim().trim_matches(['*', '/', '_']).trim_end_matches(':');
    (is_spaced && speakers::can_be_label(name)).then(|| format!("{name}: {}", words.trim()))
}

/// Returns the rest of a line that begins with planning or a clock; `None` for any other line.
fn behind_planning(line: &str) -> Option<&str> {
    let mut rest = line.trim();
    if let Some(clock) = rest.strip_prefix("CLOCK:") {
        let clock = clock.trim_start();
        return (clock.starts_with("=>") || behind_timestamp(clock).is_some()).then_some("");
    }
    let mut is_planning = false;
    while let Some(behind) = PLANNING.iter().find_map(|key| rest.strip_prefix(key)) {
        let Some(behind) = behind_timestamp(behind.trim_start()) else { break };
        rest = behind.trim_start();
        is_planning = true;
    }
    is_planning.then_some(rest)
}

/// Returns the text behind a timestamp such as `<2026-01-05 Mon>`, or a range of two.
fn behind_timestamp(text: &str) -> Option<&str> {
    let rest = behind_brackets(text)?;
    Some(rest.strip_prefix("--").and_then(behind_brackets).unwrap_or(rest))
}

/// Returns the text behind a date in brackets.
fn behind_brackets(text: &str) -> Option<&str> {
    let close = if text.starts_with('<') { '>' } else { ']' };
    let inner = text.strip_prefix(['<', '['])?;
    let (_, rest) = inner.split_once(close).filter(|_| inner.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(rest)
}

/// Returns whether a line is a keyword, such as `#+DATE:`, or a comment.
fn is_for_machines(line: &str) -> bool {
    let trimmed = line.trim();
    trimmed.starts_with("#+") || trimmed.starts_with("# ")
}

/// Returns whether a line is a heading: stars and a space at its beginning; `*bold*` is none.
fn is_heading(line: &str) -> bool {
    line.starts_with('*') && line.trim_start_matches('*').starts_with(' ')
}

/// Returns whether a trimmed line begins a drawer, as `:PROPERTIES:` does.
fn is_drawer(line: &str) -> bool {
    let name = line.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
    name.is_some_and(|name| {
        !name.is_empty() && !name.eq_ignore_ascii_case("end") && !name.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(lines(text), expected, "{text}");
    }

    #[test]
    fn planning_and_clocks_are_for_machines() {
        check("SCHEDULED: <2026-02-03 Tue> CLOSED: [2026-02-04 Wed 09:30]", &[""]);
        check("  DEADLINE: <2026-02-03 Tue +1w>--<2026-02-05 Thu>", &[""]);
        check("CLOCK: [2026-02-03 Tue 08:00]--[2026-02-03 Tue 08:20] =>  0:20\nCLOCK: => 0:20", &["", ""]);
        check("SCHEDULED: <2026-02-03 Tue> I bake", &["I bake"]);
        check(
            "DEADLINE: I never keep one\nCLOCK: it ticks",
            &["DEADLINE: I never keep one", "CLOCK: it ticks"],
        );
    }

    #[test]
    fn states_priorities_and_tags_are_no_words_of_a_heading() {
        check("* TODO Call Mia", &["# Call Mia"]);
        check("** DONE [#A] The list :work:at_home:", &["## The list"]);
        check("#+TODO: NEXT(n) | GONE\n* NEXT Mia\n* GONE\n* WAIT so", &["", "# Mia", "#", "# WAIT so"]);
        check("* What TODO means\n* 10:30: a start", &["# What TODO means", "# 10:30: a start"]);
    }

    #[test]
    fn definitions_of_names_are_labelled_lines() {
        check(
            "- Mia :: I bake.\n  Daily.\n+ *Bo Lund* :: Why?",
            &["Mia: I bake.", "  Daily.", "Bo Lund: Why?"],
        );
        check("- a pan :: it is hot\n- Mia::Bo\n- Mia", &["- a pan :: it is hot", "- Mia::Bo", "- Mia"]);
    }

    #[test]
    fn a_drawer_ends_above_the_next_heading_or_is_text() {
        check(":LOGBOOK:\na\n:END:\nb", &["", "", "", "b"]);
        check(":a:\n:b:\nc\n:end:\nd\n:END:", &["", "", "", "", "d", ":END:"]);
        check(":a:\nb\n* Next\n:END:", &[":a:", "b", "# Next", ":END:"]);
    }

    #[test]
    fn drawers_that_are_never_closed_are_text() {
        let text = ":open:\n".repeat(50_000);
        let read = lines(&text);
        assert!(read.iter().filter(|line| *line == ":open:").count() == 50_000, "{}", read.len());
    }
}
