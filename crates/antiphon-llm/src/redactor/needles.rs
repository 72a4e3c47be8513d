//! The forms in which a secret is looked for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::Redactor;

/// A form of a secret.
pub(super) struct Needle {
    pub(super) chars: Vec<char>,
    /// Whether escapes in a text are read; a secret with characters of escapes has a form for each case.
    pub(super) reads_escapes: bool,
    /// Whether most of it is replaced, too, such as a key that a server shortens.
    pub(super) counts_in_part: bool,
}

/// The values that servers without keys are configured with: no secrets, and words of ordinary texts.
const PLACEHOLDERS: [&str; 24] = [
    "anything",
    "api-key",
    "changeme",
    "default",
    "dummy-key",
    "lm-studio",
    "llamacpp",
    "llama.cpp",
    "lmstudio",
    "localhost",
    "no-key",
    "no-key-required",
    "none-needed",
    "not-needed",
    "ollama",
    "openai",
    "password",
    "placeholder",
    "secret",
    "sk-dummy",
    "sk-no-key-required",
    "test-key",
    "token-abc123",
    "unused",
];

/// Adds the forms of a secret: as it is, without a scheme before it, decoded, encoded, and the password of a user.
pub(super) fn add_secret(needles: &mut Vec<Needle>, secret: &str) {
    let secret = secret.trim();
    add_forms(needles, secret);
    let (_, credentials) = secret.rsplit_once(' ').unwrap_or(("", secret));
    if credentials.len() < secret.len() {
        add_forms(needles, credentials);
    }
    let decoded = decoded(credentials).unwrap_or_default();
    for user in [&*decoded, credentials] {
        if let Some((_, password)) = user.split_once(':') {
            add_forms(needles, user);
            add_forms(needles, password);
        }
    }
    // The pairs of a cookie, of which some are settings such as a language.
    for pair in secret.split("; ").filter(|pair| pair.len() < secret.len()) {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        if !is_word(value) {
            add_forms(needles, value);
        }
    }
}

/// Adds another value, as it is and in its encodings.
pub(super) fn add_value(needles: &mut Vec<Needle>, value: &str) {
    let value = value.trim();
    if is_value(value) {
        add(needles, value, false);
        encodings(value).for_each(|form| add(needles, &form, false));
    }
}

/// Returns whether a value is long enough, and neither a word of ordinary texts nor a date.
fn is_value(value: &str) -> bool {
    let is_date = value.chars().all(|c| c.is_ascii_digit() || "-./:".contains(c));
    value.chars().count() >= Redactor::MIN_VALUE && !is_word(value) && !is_date && !is_placeholder(value)
}

/// Returns whether a value is a word of letters.
fn is_word(value: &str) -> bool {
    value.chars().all(|c| c.is_ascii_alphabetic())
}

fn is_placeholder(value: &str) -> bool {
    PLACEHOLDERS.iter().any(|known| known.eq_ignore_ascii_case(value))
}

/// Adds a secret as it is, and in its encodings.
fn add_forms(needles: &mut Vec<Needle>, secret: &str) {
    if secret.chars().count() < Redactor::MIN_SECRET || is_placeholder(secret) {
        return;
    }
    add(needles, secret, true);
    encodings(secret).for_each(|form| add(needles, &form, true));
}

/// Returns a text in hexadecimal, and in both alphabets of Base64 at each offset.
fn encodings(text: &str) -> impl Iterator<Item = String> {
    let in_hex = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let in_base64 = (0..3).flat_map(|offset| {
        let standard = in_base64(text, offset);
        let url_safe = standard.replace('+', "-").replace('/', "_");
        [standard, url_safe]
    });
    std::iter::once(in_hex).chain(in_base64)
}

/// Adds one form, unless it is known.
fn add(needles: &mut Vec<Needle>, form: &str, counts_in_part: bool) {
    let chars: Vec<char> = form.chars().collect();
    if chars.is_empty() || needles.iter().any(|known| known.chars == chars) {
        return;
    }
    if form.contains(['\\', '%', '&']) {
        needles.push(Needle { chars: chars.clone(), reads_escapes: false, counts_in_part });
    }
    needles.push(Needle { chars, reads_escapes: true, counts_in_part });
}

/// Returns the characters of the Base64 of any text that depend on the secret alone, if the secret is `offset` bytes after a
/// multiple of three.
fn in_base64(secret: &str, offset: usize) -> String {
    let padded = [vec![0; offset], secret.as_bytes().to_vec()].concat();
    let encoded = STANDARD_NO_PAD.encode(&padded);
    let (begin, end) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    encoded.get(begin..end).unwrap_or_default().to_owned()
}

/// Returns the text that a value has in Base64, if it is one.
fn decoded(value: &str) -> Option<String> {
    if value.len() < Redactor::MIN_SECRET {
        return None;
    }
    let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    let bytes = engines.iter().find_map(|engine| engine.decode(value).ok())?;
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains(char::is_control)).then_some(text)
}

/// Returns the forms that may begin with each byte, by their positions.
pub(super) fn by_first_byte(needles: &[Needle]) -> Box<[Vec<usize>; 256]> {
    let mut found = Box::new(std::array::from_fn(|_| Vec::new()));
    for (position, needle) in needles.iter().enumerate() {
        let Some(first) = needle.chars.first() else { continue };
        let mut bytes: Vec<u8> = [first.to_ascii_lowercase(), first.to_ascii_uppercase()]
            .into_iter()
            .map(|first| first.encode_utf8(&mut [0; 4]).as_bytes()[0])
            .collect();
        if needle.reads_escapes {
            bytes.extend(b"\\%&");
        }
        if *first == ' ' {
            bytes.push(b'+');
        }
        bytes.sort_unstable();
        bytes.dedup();
        bytes.iter().for_each(|byte| found[usize::from(*byte)].push(position));
    }
    found
}
