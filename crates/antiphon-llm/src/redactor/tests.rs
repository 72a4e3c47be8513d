use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Redactor;

const KEY: &str = "pk-Planted/0123+45.6789";

fn redactor() -> Redactor {
    Redactor::new([KEY], ["team-4711"])
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(redactor().redact(text), expected, "{text}");
    // As a stream of single characters, and of pairs.
    for size in [1, 2] {
        let mut stream = redactor().stream();
        let chars: Vec<char> = text.chars().collect();
        let mut shown: String = chars
            .chunks(size)
            .map(|piece| stream.push(&piece.iter().collect::<String>()).into_owned())
            .collect();
        shown += &stream.finish();
        assert_eq!(shown, expected, "{text} in pieces of {size}");
    }
}

#[test]
fn a_secret_is_removed_in_every_form() {
    check("no secret: pk-, 100 % & more \\ u", "no secret: pk-, 100 % & more \\ u");
    check(&format!("a {KEY}b {KEY}"), "a [key]b [key]");
    check(&KEY.to_uppercase(), "[key]");
    check(&format!("x{}y", KEY.to_lowercase()), "x[key]y");
    for escape in [
        |c: char| format!("\\u{:04x}", u32::from(c)),
        |c: char| format!("\\\\u{:04X}", u32::from(c)),
        |c: char| format!("\\u{{{:x}}}", u32::from(c)),
        |c: char| format!("%{:02X}", u32::from(c)),
        |c: char| format!("%25{:02x}", u32::from(c)),
        |c: char| format!("&#{};", u32::from(c)),
        |c: char| format!("&#x{:X};", u32::from(c)),
        |c: char| format!("{c}\u{200b}"),
        |c: char| format!("\\u200b{c}"),
    ] {
        let escaped: String = KEY.chars().map(escape).collect();
        let shown = redactor().redact(&format!("<{escaped}>")).into_owned();
        assert!(shown.contains("[key]") && shown.len() < 26, "{escaped}: {shown}");
    }
    check(&KEY.replace('/', "\\/"), "[key]");
    check("{\"k\": \"p\\u006b-Planted\\/0123+45.6789\"}", "{\"k\": \"[key]\"}");
    check(&KEY.replace('/', "%2F").replace('+', "%2b"), "[key]");
    check("pk\u{0}-Planted/01\u{202e}23+45.6789.", "[key].");
    check("for TEAM-4711: no", "for [key]: no");
}

#[test]
fn a_secret_is_removed_in_base64_and_hexadecimal() {
    for user in ["", "a:", "ab:", "abc:", "user:"] {
        for encoded in [STANDARD.encode(format!("{user}{KEY}")), URL_SAFE.encode(format!("{user}{KEY}\n"))] {
            let shown = redactor().redact(&encoded).into_owned();
            assert!(shown.contains("[key]") && shown.len() <= 20, "{user} {encoded}: {shown}");
        }
    }
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02X}")).collect();
    check(&hex, "[key]");
}

#[test]
fn parts_of_headers_are_secrets_as_well() {
    let check = |secret: &str, text: &str, expected: &str| {
        assert_eq!(Redactor::new([secret], []).redact(text), expected, "{secret}");
    };
    check("Bearer tok-123456", "tok-123456", "[key]");
    check("Bearer tok-123456", "bearer tok-123456", "[key]");
    let basic = format!("Basic {}", STANDARD.encode("ada:hunter22"));
    check(&basic, "ada with hunter22", "ada with [key]");
    check(&basic, "ada:hunter22", "[key]");
    check("ada:hunter22", &basic, "Basic [key]");
    check("sid=0123456789; theme=darkness", "0123456789", "[key]");
}

#[test]
fn a_part_of_a_secret_is_removed_where_it_is_most_of_it() {
    check("given pk-Planted/0123+4***", "given [key]***");
    check("cut at pk-Planted/01", "cut at [key]");
    check("cut at pk-Plan", "cut at pk-Plan");
}

#[test]
fn a_value_is_removed_in_its_encodings() {
    let value = "team-4711";
    for form in [STANDARD.encode(value), URL_SAFE.encode(value), STANDARD.encode(format!("xy{value}"))] {
        let shown = redactor().redact(&form).into_owned();
        assert!(shown.contains("[key]") && !shown.contains(&form[4..10]), "{shown}");
    }
    check("7465616d2d34373131 team", "[key] team");
}

#[test]
fn short_values_and_placeholders_destroy_no_text() {
    let text = "x, 1, ollama and not-needed: production of 2024-10-21";
    let secrets = ["x", "1", "", "and", "ollama", "not-needed"];
    let values = ["1", "of", "ollama and", "production", "2024-10-21"];
    assert_eq!(
        Redactor::new(secrets, values).redact(text),
        "x, 1, [key] not-needed: production of 2024-10-21"
    );
    assert_eq!(Redactor::new(["hunter"], []).redact("hunter"), "[key]");
    assert_eq!(format!("{:?}", Redactor::new(["hunter"], [])), "Redactor { forms: 5, .. }");
}

#[test]
fn values_are_redacted_with_their_keys() {
    let mut value = json!({ "a": [KEY, 1, null], KEY: { "b": format!("<{KEY}>") } });
    redactor().redact_value(&mut value);
    assert_eq!(value, json!({ "a": ["[key]", 1, null], "[key]": { "b": "<[key]>" } }));
}

#[test]
fn only_what_may_begin_a_secret_is_held_back() {
    let mut stream = redactor().stream();
    for (piece, shown) in [
        ("words p", "words "),
        ("k-Plan", ""),
        ("ets ", "pk-Planets "),
        ("pkpk-Planted", "pk"),
        ("/0123+45.6789", "[key]"),
        ("50 %", "50 "),
        (" of", "% of"),
        ("\\", ""),
        ("n", "\\n"),
    ] {
        assert_eq!(stream.push(piece), shown, "{piece}");
    }
    assert_eq!(stream.finish(), "");
}

#[test]
fn characters_that_may_begin_an_escape_are_not_held_back_without_end() {
    for begin in ["\\", "%25", "\\u{0", "&#0", "&#x"] {
        let mut stream = redactor().stream();
        let piece = begin.chars().last().map(String::from).unwrap_or_default();
        let held = std::iter::once(begin).chain(std::iter::repeat_n(&*piece, 1_000)).map(|piece| {
            stream.push(piece);
            stream.held.len()
        });
        assert!(held.max() <= Some(40), "{begin}");
    }
}

#[test]
fn the_settings_of_a_cookie_are_words_of_texts() {
    let redactor = Redactor::new(["sid=0123456789; theme=darkness; lang=english"], []);
    assert_eq!(redactor.redact("darkness in english: 0123456789"), "darkness in english: [key]");
}

proptest! {
    #[test]
    fn a_stream_shows_what_the_whole_text_does(
        parts in prop::collection::vec(prop_oneof![
            Just(KEY.to_owned()), Just(KEY[..9].to_owned()), Just("\\u0070k-Planted\\/0123%2B45.6789".to_owned()),
            Just("&#112".to_owned()), "[pk\\\\u0-9%&;é]{0,6}",
        ], 0..8),
        cuts in prop::collection::vec(1..9_usize, 1..9),
    ) {
        let text = parts.concat();
        let mut stream = redactor().stream();
        let (mut shown, mut rest, mut cuts) = (String::new(), text.as_str(), cuts.into_iter().cycle());
        while !rest.is_empty() {
            let at = rest.char_indices().nth(cuts.next().unwrap_or(1)).map_or(rest.len(), |(at, _)| at);
            shown += &stream.push(&rest[..at]);
            rest = &rest[at..];
        }
        shown += &stream.finish();
        prop_assert_eq!(&shown, &*redactor().redact(&text));
        prop_assert!(!shown.contains(KEY));
        let unescaped = serde_json::from_str::<Value>(&format!("\"{shown}\""));
        prop_assert!(!unescaped.unwrap_or_default().as_str().unwrap_or_default().contains(KEY));
    }
}
