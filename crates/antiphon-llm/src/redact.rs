/// The prefixes of common vendors' API keys, each with the minimum length of a key.
const KEYS: [(&str, usize); 8] = [
    ("sk-", 12),
    ("AIza", 30),
    ("AQ.", 30),
    ("hf_", 12),
    ("gsk_", 12),
    ("xai-", 12),
    ("ghp_", 20),
    ("Bearer ", 20),
];

/// The first letters of these, which have one byte each.
const BEGINNINGS: [char; 6] = ['s', 'A', 'h', 'g', 'x', 'B'];

/// Returns a text in which API keys and the given `secrets` are replaced by `[key]`.
///
/// A word counts as an API key if it begins with the prefix of a common vendor, such as `sk-`, and is long enough. Use it for
/// messages from a vendor before they are logged.
///
/// ```
/// let text = antiphon_llm::redact("no: sk-abcdef123456 and hunter22", &["hunter22"]);
/// assert_eq!(text, "no: [key] and [key]");
/// ```
#[must_use]
pub fn redact(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if text.contains(secret) {
            text = text.replace(secret, "[key]");
        }
    }
    let (mut redacted, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(next) = text[at..].find(BEGINNINGS) {
        at += next;
        let is_inside_a_word = text[..at].ends_with(char::is_alphanumeric);
        match key_at_start(&text[at..]).filter(|_| !is_inside_a_word) {
            Some(length) => {
                redacted.push_str(&text[copied..at]);
                redacted.push_str("[key]");
                at += length;
                copied = at;
            }
            None => at += 1,
        }
    }
    if copied == 0 {
        return text;
    }
    redacted + &text[copied..]
}

/// Returns the length of the key that a text begins with.
fn key_at_start(text: &str) -> Option<usize> {
    let (begins, least) = KEYS.iter().find(|(begins, _)| text.starts_with(begins))?;
    let body = &text[begins.len()..];
    let len = body.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    Some(begins.len() + len.unwrap_or(body.len())).filter(|len| len >= least)
}

#[cfg(test)]
mod tests {
    use super::{BEGINNINGS, KEYS, redact};

    #[test]
    fn every_key_has_a_known_beginning() {
        assert!(KEYS.iter().all(|(begins, _)| begins.starts_with(BEGINNINGS)));
    }

    #[test]
    fn keys_are_redacted_and_words_are_kept() {
        let check = |text: &str, expected: &str| assert_eq!(redact(text, &[]), expected);
        check("disk-quota-exceeded", "disk-quota-exceeded");
        check("key=sk-ant-api03-abc_DEF, next", "key=[key], next");
        check("{\"k\":\"AIzaSyA1234567890123456789012345678901\"}", "{\"k\":\"[key]\"}");
        check("Authorization: Bearer abcdefgh12345678", "Authorization: [key]");
        check("Bearer of news, sk-learn, AQ. and hf_", "Bearer of news, sk-learn, AQ. and hf_");
        check("sk-aaaaaaaaaaaa sk-bbbbbbbbbbbb", "[key] [key]");
    }
}
