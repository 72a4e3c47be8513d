//! The end of an answer that exceeds its limits: see [`AnswerLimits`](antiphon_llm::AnswerLimits).

use std::collections::VecDeque;

use antiphon_http::ErrorKind as HttpKind;
use antiphon_llm::{AnswerLimits, Billed, Error, ErrorKind, FinishReason, Usage};

use super::{PolledDelta, Reader};
use crate::exchange::answer::Decode;
use crate::exchange::fault::of_http;
use crate::exchange::framing::Pieces;

/// The bytes of tags around text and reasoning.
const TAGS: usize = 1 << 10;

/// The sizes in bytes at which the output of a stream last grew.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Grown {
    output: usize,
    received: u64,
}

impl<D: Decode> Reader<D> {
    /// Ends an answer whose output exceeds a limit.
    pub(super) fn check_output(&mut self) {
        if self.is_cut {
            return;
        }
        self.split();
        if let Some((what, limit)) = self.excess() {
            let why = self.blame(&format!("{what} has more than {limit} bytes"));
            self.cut(why);
        }
    }

    /// Returns the part of the output that exceeds its limit, and the limit in bytes.
    fn excess(&self) -> Option<(&'static str, usize)> {
        let (limits, answer) = (&self.facts.answer_limits, &self.answer);
        let reasoning = answer.reasoning.len() + self.spoken.reasoning.len();
        // Output behind the end of a message is in neither text nor reasoning, and tags are not, either.
        let (output, all) = (answer.text.len(), limits.text + limits.reasoning + TAGS);
        [
            ("its output", output, all),
            ("its text", self.spoken.text_len(), limits.text),
            ("its refusal", answer.refusal.len(), limits.text),
            ("its reasoning", reasoning, limits.reasoning),
            ("its hidden output", answer.hidden_bytes, limits.hidden),
        ]
        .into_iter()
        .find_map(|(what, len, limit)| (len > limit).then_some((what, limit)))
    }

    /// Ends an answer as one that was cut at its token limit, keeps what is within the limits, and closes the connection.
    ///
    /// Token counts before the end of an answer cover only a part of it, and are dropped: the bill is then an upper bound.
    pub(in crate::exchange) fn cut(&mut self, why: String) {
        self.is_cut = true;
        self.pieces = Pieces::Ready(VecDeque::new());
        let limits = self.facts.answer_limits;
        if self.answer.finish.is_none() && !self.answer.is_closed {
            let Usage { input, cached, cache_write, .. } = self.answer.usage;
            self.answer.usage = Usage::new(input, None).cached(cached).cache_write(cache_write);
        }
        self.answer.finish = Some(FinishReason::Length);
        self.answer.raw_finish = None;
        self.answer.details = vec![why];
        self.answer.is_over = true;
        shorten(&mut self.answer.refusal, limits.text);
        self.settle();
        shorten(&mut self.spoken.text, limits.text);
        self.emitted = self.emitted.min(self.spoken.text.len());
        shorten(&mut self.answer.reasoning, limits.reasoning);
        shorten(&mut self.spoken.reasoning, limits.reasoning - self.answer.reasoning.len());
    }

    /// Returns the explanation of a cut: a limit that follows from `max_tokens` shows that the server ignored it.
    pub(in crate::exchange) fn blame(&self, why: &str) -> String {
        match self.facts.limits.max_tokens {
            Some(tokens) => format!("the server ignored max_tokens ({tokens}): {why}"),
            None => format!("the server sent too much: {why}, and max_tokens is not set"),
        }
    }

    /// Ends a stream whose output does not grow while bytes arrive, such as one of keep-alives without end. If text has arrived, the
    /// answer ends as one that was cut.
    pub(super) fn flooded(&mut self) -> Option<PolledDelta> {
        let (received, answer) = (self.pieces.received_bytes(), &self.answer);
        let output =
            answer.text.len() + answer.refusal.len() + answer.hidden_bytes.max(answer.reasoning.len());
        if output > self.grown.output {
            self.grown = Grown { output, received };
        }
        let silent = received.saturating_sub(self.grown.received);
        if silent <= self.facts.answer_limits.silent && received <= AnswerLimits::MAX_RECEIVED {
            return None;
        }
        if self.answer.finish.is_some() {
            return Some(self.end());
        }
        let why = format!("the server sent {received} bytes with {output} bytes of an answer");
        if !self.answer.text.is_empty() {
            self.cut(why);
            return Some(self.end());
        }
        let err = self.foreign().unwrap_or_else(|| {
            let message = format!("{}: {why}", self.facts.place);
            Error::new(ErrorKind::InvalidResponse, message).with_billed(Billed::Maybe)
        });
        self.pieces = Pieces::Ready(VecDeque::new());
        Some(self.fail(err.with_status(Some(200))))
    }

    /// Ends a stream whose next piece cannot be read. One that is too large cuts an answer of which text has arrived.
    pub(super) fn fail_at_piece(&mut self, err: &antiphon_http::Error) -> PolledDelta {
        match err.kind() {
            HttpKind::TooLarge { limit } if !self.answer.text.is_empty() => {
                self.cut(format!("the server sent an event of more than {limit} bytes"));
                self.end()
            }
            _ => self.fail(of_http(err, &self.facts.redactor)),
        }
    }
}

/// Cuts a text to a maximum length in bytes, between two characters.
fn shorten(text: &mut String, max: usize) {
    text.truncate(text.floor_char_boundary(max));
}

/// Returns the beginning of a JSON text as whole JSON: its last string and its open brackets are closed. `None` for a text that is
/// not the beginning of JSON, or whose last value cannot be completed.
pub(in crate::exchange) fn closed(text: &str) -> Option<String> {
    let (mut open, mut is_text, mut escape) = (Vec::new(), false, None);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            // The digits of an escape are characters of the text like others: only its beginning has to be known.
            _ if is_text && escape == Some(at) => {}
            b'\\' if is_text => escape = Some(at + 1),
            b'"' => is_text = !is_text,
            b'{' if !is_text => open.push('}'),
            b'[' if !is_text => open.push(']'),
            b'}' | b']' if !is_text => {
                open.pop()?;
            }
            _ => {}
        }
    }
    let mut whole = match escape.filter(|_| is_text) {
        Some(at) if is_half_escape(&text[at..]) => text[..at - 1].to_owned(),
        _ => text.to_owned(),
    };
    if is_text {
        whole.push('"');
    } else {
        let end = whole.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "+-.".contains(c)).trim_end();
        whole.truncate(end.strip_suffix(',').unwrap_or(end).len());
    }
    let brackets: String = open.iter().rev().collect();
    let ends = ["", ":null", "null"].map(|value| format!("{whole}{value}{brackets}"));
    ends.into_iter().find(|whole| serde_json::from_str::<serde::de::IgnoredAny>(whole).is_ok())
}

/// Returns whether an escape, behind its backslash, ends before its last character.
fn is_half_escape(text: &str) -> bool {
    text.is_empty() || (text.starts_with('u') && text.len() < 5)
}

#[cfg(test)]
mod tests {
    use super::closed;

    #[test]
    fn every_beginning_of_json_is_completed() {
        let whole = r#"{"a":[{"text":"x\"y\\ \u00e9 é","n":[-1.5e3,true,null]},"z"],"b":{}}"#;
        for end in (1..=whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            let found = closed(&whole[..end]).unwrap_or_else(|| unreachable!("{}", &whole[..end]));
            assert!(serde_json::from_str::<serde_json::Value>(&found).is_ok(), "{found}");
        }
        assert_eq!(closed(r#"{"a":"x\u00"#).as_deref(), Some(r#"{"a":"x"}"#));
        assert_eq!(closed("<html>"), None);
        assert_eq!(closed("]"), None);
    }
}
