//! Questions behind a double dash, above answers that have no label, as in Japanese and Chinese magazines.
//!
//! ```text
//! ――在庫はどう管理しますか。
//! 手で数えます。
//! ```

use super::ends_sentence;
use super::label::Mark;
use super::lines::Line;
use super::scripts;
use super::settle::is_question;

/// The fewest questions with an answer.
const FEWEST: usize = 2;
/// The most lines for each line behind a dash: in a novel, thoughts behind dashes are rare.
const MOST_LINES: usize = 12;

/// Returns whether a label is a dash.
pub(super) fn is_dash(label: &str) -> bool {
    scripts::DASHES.contains(&label)
}

/// Returns the mark of a line that begins with a dash.
fn dashed<'m, 'a>(line: &'m Line<'a>) -> Option<&'m Mark<'a>> {
    line.mark.as_ref().filter(|mark| is_dash(mark.label))
}

/// Returns the dashes that begin questions: two questions at least have an answer below them, most lines behind dashes ask or
/// end as what an interviewer says does, and the lines with dashes are not rare. No line of the text has another label.
pub(super) fn asking<'a>(lines: &[Line<'a>]) -> Vec<&'a str> {
    let speech = || lines.iter().filter(|line| !line.ends_turn());
    let count = speech().filter(|line| dashed(line).is_some()).count();
    let asks = |line: &&Line<'_>| dashed(line).is_some() && is_question(line.text);
    let is_answer = |line: &Line<'_>| dashed(line).is_none() && !line.ends_turn();
    let answered = lines.windows(2).filter(|pair| asks(&&pair[0]) && is_answer(&pair[1])).count();
    let asked = speech().filter(asks).count();
    if answered < FEWEST || asked * 2 < count || count * MOST_LINES < speech().count() {
        return Vec::new();
    }
    let mut found: Vec<&'a str> = lines.iter().filter_map(dashed).map(|mark| mark.label).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns whether a line below the words of a question answers it: the question has ended.
pub(super) fn has_ended(words: &str) -> bool {
    ends_sentence(words) || is_question(words)
}
