//! Notices on stderr about what an anonymisation replaced, and what it may have missed.

use antiphon_data::Strategy;
use antiphon_pipeline::Anonymised;

use super::output::Talk;
use super::progress::and_more;

/// The maximum number of words that are named; the report has all.
const MOST: usize = 8;

/// Prints the number of replacements, and the words that may be names. None is a warning: PII that was not found is sent to
/// the provider.
pub(super) fn print_anonymised(anonymised: &Anonymised, talk: Talk) {
    let kept = match anonymised.strategy {
        Strategy::Redact => "",
        _ => "; the originals are stored in .anonymised/ in the output folder",
    };
    match anonymised.replaced {
        0 => talk.warning("nothing was anonymised: no name, address or number was found. Check the input, and list names with --names"),
        found => talk.line(&format!("anonymised names, addresses and numbers: {found}{kept}")),
    }
    let misses = &anonymised.possible_misses;
    let named: Vec<String> = misses
        .iter()
        .take(MOST)
        .map(|miss| format!("{} ({} {})", miss.word, miss.document, miss.line))
        .collect();
    if !named.is_empty() {
        let more = and_more(misses.len().saturating_sub(MOST));
        talk.warning(&format!(
            "possibly missed names: {}{more}. List those that are names with --names",
            named.join(", ")
        ));
    }
}
