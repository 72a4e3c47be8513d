//! Stage directions beside a name: `Anna (laughing)`, `Sam [whispering]`, `SAM (CONT'D)`. They are no part of the name.

use super::label::{bare, side_of};
use super::sides::is_code;

/// First words of directions that may begin with a capital letter, in lower case.
const DIRECTIONS: &str = "laugh laughs laughing laughter chuckles chuckling giggles giggling whisper whispers whispering \
    whispered crying cries sobbing sobs sighs sighing smiles smiling nods nodding pause pauses pausing silence silent \
    crosstalk inaudible unintelligible overlapping interrupting interrupts shouting shouts yelling cont'd cont’d contd \
    continued continuing v.o. v.o o.s. o.s off-mic off-screen off on via over phonetic quietly softly loudly sarcastic \
    sarcastically lacht lachend seufzt flüstert flüsternd leise rires rit risas ríe";

/// Returns whether words are a known direction.
fn is_known(inner: &str) -> bool {
    let first = inner.split_whitespace().next().unwrap_or_default().trim_end_matches(',').to_lowercase();
    DIRECTIONS.split_ascii_whitespace().any(|known| known == first)
}

/// Returns whether words in brackets say how something is said, or what someone is called.
fn is_direction(inner: &str) -> bool {
    let inner = inner.trim();
    let is_small = inner.starts_with(char::is_lowercase);
    !inner.is_empty() && side_of(inner).is_none() && !is_code(inner) && (is_small || is_known(inner))
}

/// Returns a label without the directions at its end.
pub(super) fn strip(mut label: &str) -> &str {
    while label.ends_with([')', ']']) {
        let Some(at) = label.rfind(['(', '[']) else { break };
        let outer = bare(&label[..at]);
        if outer.is_empty() || !is_direction(&label[at + 1..label.len() - 1]) {
            break;
        }
        label = outer;
    }
    match label.split_once(", ") {
        Some((name, more)) if !name.is_empty() && !more.contains(' ') && is_known(more) => name,
        _ => label,
    }
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn directions_are_no_part_of_a_name() {
        for label in [
            "Anna (laughing)",
            "Anna [whispering]",
            "Anna (CONT'D)",
            "Anna (she/her) (laughs)",
            "Anna, laughing",
        ] {
            assert_eq!(strip(label), "Anna", "{label}");
        }
        for label in [
            "Anna (P1)",
            "Anna (interviewer)",
            "Anna (Acme)",
            "Anna (Rita)",
            "Berg, Ana",
            "Ana, my sister",
            "(laughing)",
        ] {
            assert_eq!(strip(label), label);
        }
    }
}
