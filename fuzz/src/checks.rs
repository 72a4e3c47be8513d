//! Invariants of the decoders and parsers for any input. The cross-crate tests replay the corpus with the same checks.

use std::time::{Duration, SystemTime};

use antiphon_http::{ndjson as lines, sse as events};
use antiphon_providers::fuzzing::decode;
use antiphon_resilience::{LimitHints, parse_reset, parse_retry_after, parse_retry_info};

const LIMIT: usize = 1 << 16;
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Checks the decoder of server-sent events: for every split of the input it returns the same as a literal reading of the
/// standard.
pub fn sse(input: &[u8]) {
    let (sizes, text) = split(input);
    let (mut decoder, mut decoded) = (events::SseDecoder::new(LIMIT), Vec::new());
    for piece in pieces(text, sizes) {
        if decoder.push(piece, &mut decoded).is_err() {
            assert!(text.len() > LIMIT, "only an oversized event or line is refused");
            return;
        }
    }
    let decoded: Vec<_> =
        decoded.into_iter().map(|event| (event.event, event.data, event.id.to_string())).collect();
    assert_eq!(decoded, plain_sse(text));
}

/// Decodes server-sent events by a literal transcription of the standard (WHATWG HTML, section 9.2.6).
fn plain_sse(bytes: &[u8]) -> Vec<(String, String, String)> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut event, mut data, mut id) = (String::new(), String::new(), String::new());
    let mut events = Vec::new();
    let Some((whole_lines, _)) = text.rsplit_once('\n') else { return events };
    for line in whole_lines.split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                data.truncate(data.len() - 1);
                events.push((event.clone(), data.clone(), id.clone()));
            }
            event.clear();
            data.clear();
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => event = value.to_owned(),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') => id = value.to_owned(),
            _ => {}
        }
    }
    events
}

/// Checks the decoder of newline-delimited JSON (NDJSON): for every split of the input it returns the lines of the text.
pub fn ndjson(input: &[u8]) {
    let (sizes, text) = split(input);
    let (mut decoder, mut decoded) = (lines::NdjsonDecoder::new(LIMIT), Vec::new());
    for piece in pieces(text, sizes) {
        if decoder.push(piece, &mut decoded).is_err() {
            assert!(text.len() > LIMIT, "only an oversized event or line is refused");
            return;
        }
    }
    decoded.extend(decoder.finish());
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let expected: Vec<_> = lines.filter(|line| !line.is_empty()).map(String::from_utf8_lossy).collect();
    assert_eq!(decoded, expected);
}

/// Checks the parsers of waits: no input results in a wait of more than a year, and a date counts from the given time.
pub fn waits(input: &[u8]) {
    let (seconds, text) = input.split_at(input.len().min(4));
    let seconds = seconds.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let text = String::from_utf8_lossy(text);
    for wait in [parse_retry_after(&text, now), parse_reset(&text, now), parse_retry_info(&text)] {
        assert!(wait.is_none_or(|wait| wait <= YEAR), "{wait:?}");
    }
    // A larger number is a date, in seconds since 1970.
    if let Ok(whole) = text.trim().parse::<u32>()
        && whole < 1_000_000_000
    {
        let expected = Duration::from_secs(whole.into()).min(YEAR);
        assert_eq!(parse_retry_after(&text, now), Some(expected));
    }
}

/// Checks the parser of rate-limit headers: no names or values result in a wait of more than a year, and a rate is finite and
/// positive.
pub fn limits(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let headers = text.lines().filter_map(|line| line.split_once(": "));
    let hints = LimitHints::read(headers, SystemTime::UNIX_EPOCH);
    assert!(hints.retry_after.is_none_or(|wait| wait <= YEAR));
    for allowance in [hints.requests, hints.tokens, hints.input_tokens, hints.output_tokens] {
        assert!(allowance.resets_in.is_none_or(|wait| wait <= YEAR));
        assert!(allowance.rate().is_none_or(|rate| rate.is_finite() && rate > 0.0));
    }
}

/// Splits the input into the sizes of the pieces, up to four bytes, and the text that is passed in such pieces.
fn split(input: &[u8]) -> (&[u8], &[u8]) {
    input.split_at(input.len().min(4))
}

fn pieces<'a>(mut text: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if text.is_empty() {
            break;
        }
        let (piece, rest) = text.split_at(usize::from(*size).clamp(1, text.len()));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

/// Returns the JSON key by which a format marks a complete answer.
fn end_of(format: &str) -> &'static str {
    match format {
        "responses" => "status",
        "anthropic" => "stop_reason",
        "gemini" => "finishReason",
        "ollama" => "done",
        "llamacpp" => "stop",
        _ => "finish_reason",
    }
}

/// Checks the decoder of a vendor's answers: text that was decoded stays when more input arrives, and no answer is complete
/// without the mark of its format.
pub fn answer(format: &str, input: &[u8]) {
    let mut pieces: Vec<(String, String)> = Vec::new();
    if matches!(format, "gemini" | "ollama") {
        let mut found = Vec::new();
        let mut decoder = lines::NdjsonDecoder::new(LIMIT);
        if decoder.push(input, &mut found).is_err() {
            return;
        }
        found.extend(decoder.finish());
        pieces.extend(found.into_iter().map(|line| (String::new(), line)));
    } else {
        let mut found = Vec::new();
        if events::SseDecoder::new(LIMIT).push(input, &mut found).is_err() {
            return;
        }
        pieces.extend(found.into_iter().map(|event| (event.event, event.data)));
    }
    let first = |count: usize| {
        decode(format, pieces[..count].iter().map(|(event, data)| (event.as_str(), data.as_str())))
    };
    let (text, whole) = first(pieces.len());
    for count in 0..pieces.len().min(64) {
        let (earlier, _) = first(count);
        assert!(text.starts_with(&earlier), "{earlier:?} is missing from {text:?}");
    }
    // JSON may escape any letter, so that the key is not found in the raw input.
    let said = String::from_utf8_lossy(input);
    if whole == Ok(true) && !said.contains("\\u") {
        assert!(said.contains(end_of(format)), "an answer without a mark of its end is complete");
    }
}
