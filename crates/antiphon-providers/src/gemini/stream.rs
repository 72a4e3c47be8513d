//! The decoder of streamed chunks.
//!
//! ```text
//! data: {"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"index":0}],"usageMetadata":{…}}
//!
//! data: {"candidates":[{"finishReason":"STOP","index":0}],"usageMetadata":{…},"modelVersion":"…","responseId":"…"}
//! ```
//!
//! Each chunk has the token counts so far. A prompt that is blocked has no candidate but
//! `promptFeedback.blockReason`, which becomes the error `Filtered`.

use antiphon_llm::{ErrorKind, FinishReason};
use serde_json::Value;

use super::errors::fault;
use super::wire::{Candidate, Chunk, blocked, categories, usage};
use crate::exchange::{Answer, Decode, Fault, Framing, Text, repaired, value_of, word_of};

/// The maximum size in bytes of a value over several lines: that of a whole answer.
///
/// What follows is ignored, so that a body of another kind does not fill the memory.
const MAX_PLAIN: usize = 16 << 20;

/// A decoder of chunks of `GenerateContentResponse`, or of one complete response.
///
/// There is no event for the end: a chunk with a finish reason is the last one, and after it the connection is closed. An
/// error in the middle is plain JSON without `data:`, over several lines (<https://github.com/vercel/ai/issues/5217>), which
/// is why lines are read here and not server-sent events.
#[derive(Debug, Default)]
pub(crate) struct GenerateDecoder {
    /// The beginning of a value whose lines belong to no event.
    plain: String,
    /// The brackets that are open in `plain`.
    depth: usize,
    /// Whether `plain` ends inside a string.
    is_text: bool,
    /// Whether `plain` ends with the first character of an escape.
    is_escaped: bool,
}

impl Decode for GenerateDecoder {
    const FRAMING: Framing = Framing::Lines;

    fn take(&mut self, _: &str, line: &str, answer: &mut Answer) -> Result<(), Fault> {
        let line = line.trim_end_matches('\r');
        match line.strip_prefix("data:") {
            Some(data) if data.trim_start().starts_with('[') => self.plain_line(data, answer),
            Some(data) => piece(data.trim_start(), answer),
            None if line.starts_with(':') || line.starts_with("event:") || line.starts_with("id:") => Ok(()),
            None => self.plain_line(line, answer),
        }
    }
}

impl GenerateDecoder {
    /// Takes a line that belongs to no event: a part of an error over several lines, a complete answer, or a part of a list of
    /// chunks, as the server streams them without `alt=sse`.
    fn plain_line(&mut self, line: &str, answer: &mut Answer) -> Result<(), Fault> {
        for c in line.chars() {
            if self.depth == 0 && c != '{' {
                continue;
            }
            if self.plain.len() < MAX_PLAIN {
                self.plain.push(c);
            }
            match c {
                _ if self.is_escaped => self.is_escaped = false,
                '\\' if self.is_text => self.is_escaped = true,
                '"' => self.is_text = !self.is_text,
                '{' | '[' if !self.is_text => self.depth += 1,
                '}' | ']' if !self.is_text => self.depth -= 1,
                _ => {}
            }
            if self.depth == 0 {
                self.take_plain(answer)?;
            }
        }
        Ok(())
    }

    /// Takes the value that the lines so far have.
    fn take_plain(&mut self, answer: &mut Answer) -> Result<(), Fault> {
        let plain = std::mem::take(&mut self.plain);
        match whole_piece(&plain, answer) {
            Err(fault) if fault.is_malformed => {}
            taken => return taken,
        }
        // Repaired here and not by the reader, which would repeat the values before it.
        let Some(better) = repaired(&plain) else { return Ok(()) };
        answer.has_halves |= better.has_halves;
        match whole_piece(&better.data, answer) {
            Err(fault) if fault.is_malformed => Ok(()),
            taken => taken,
        }
    }
}

/// Takes a value that is a chunk, or an error in the shape of any format.
fn whole_piece(data: &str, answer: &mut Answer) -> Result<(), Fault> {
    match Fault::within(data, fault) {
        Some(fault) => Err(fault),
        None => piece(data, answer),
    }
}

/// Takes a chunk: its error, or the first candidate and the token counts.
///
/// # Errors
/// The error in the chunk, `Filtered` for a blocked prompt, or `InvalidResponse` for text that is not JSON of this
/// shape. Unknown fields are ignored.
fn piece(data: &str, answer: &mut Answer) -> Result<(), Fault> {
    let chunk: Chunk<'_> = match serde_json::from_str(data) {
        Ok(chunk) => chunk,
        Err(_) if data.is_empty() || serde_json::from_str::<Value>(data).is_ok_and(|it| it.is_null()) => {
            return Ok(());
        }
        Err(err) => return Err(Fault::malformed(&err)),
    };
    if let Some(fault) = chunk.error.and_then(|_| Fault::within(data, fault)) {
        return Err(fault);
    }
    answer.identify(chunk.response_id.as_str(), chunk.model_version.as_str());
    if let Some(metadata) = value_of(chunk.usage_metadata).filter(Value::is_object) {
        answer.usage = usage(&metadata);
    }
    if let Some(reason) = blocked(chunk.prompt_feedback) {
        return Err(Fault::new(ErrorKind::Filtered, format!("the prompt is blocked: {reason}")));
    }
    let candidates = chunk.candidates.into_iter().flatten().flatten().enumerate();
    for (_, candidate) in candidates.filter(|(position, candidate)| candidate.is_first(*position)).take(1) {
        add_candidate(candidate, answer);
    }
    Ok(())
}

/// Adds the parts of a candidate to the answer, and its finish reason if it ends the answer.
///
/// A filter or a failure ends the answer immediately; after other reasons the last chunk with token counts may
/// follow.
fn add_candidate(candidate: Candidate<'_>, answer: &mut Answer) {
    for part in candidate.content.and_then(|content| content.parts).into_iter().flatten().flatten() {
        answer.hidden_bytes += part.hidden_bytes();
        let text = if part.is_thought() { &mut answer.reasoning } else { &mut answer.text };
        text.push_str(Text::of(part.text.as_ref()));
        if let Some(tool) = part.tool() {
            answer.calls_tool(Some(&tool));
        }
    }
    if let Some(reason) = word_of(candidate.finish_reason) {
        answer.ends(&reason);
        if answer.finish != Some(FinishReason::Stop) {
            answer.explain(candidate.finish_message.as_str().unwrap_or_default().to_owned());
        }
        answer.explain(value_of(candidate.safety_ratings).as_ref().map(categories).unwrap_or_default());
        answer.is_over = matches!(answer.finish, Some(FinishReason::Filtered | FinishReason::Failed));
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Decode, FinishReason, GenerateDecoder};

    #[track_caller]
    fn check_unseen(part: &str, expected: bool) {
        let mut answer = Answer::default();
        let line = format!(r#"data: {{"candidates":[{{"content":{{"parts":[{part}]}}}}]}}"#);
        GenerateDecoder::default().take("", &line, &mut answer).unwrap();
        assert_eq!((answer.hidden_bytes > 0, answer.text.as_str()), (expected, ""), "{part}");
    }

    #[test]
    fn reasoning_and_function_calls_are_output_and_empty_parts_are_not() {
        check_unseen(r#"{"text":"hm","thought":true}"#, true);
        check_unseen(r#"{"functionCall":{"name":"f"}}"#, true);
        check_unseen(r#"{"text":"","thoughtSignature":"EqQB"}"#, true);
        check_unseen(r#"{"text":""}"#, false);
        check_unseen("", false);
    }

    #[track_caller]
    fn check_text(lines: &[&str], expected: &str) {
        let (mut decoder, mut answer) = (GenerateDecoder::default(), Answer::default());
        for line in lines {
            decoder.take("", line, &mut answer).unwrap();
        }
        assert_eq!(answer.text, expected);
        assert_eq!(answer.finish, Some(FinishReason::Stop));
    }

    #[test]
    fn a_list_of_chunks_is_read_like_a_stream() {
        let go = r#"{"candidates":[{"content":{"parts":[{"text":"go"}]}}]}"#;
        let od = r#"{"candidates":[{"content":{"parts":[{"text":"od"}]},"finishReason":"STOP"}]}"#;
        check_text(&[&format!("[{go},{od}]")], "good");
        check_text(&[&format!("data: [{go},{od}]")], "good");
        check_text(&[&format!("[{go},"), &format!("{od}]")], "good");
        check_text(&[&format!("[{go}"), ",", od, "]"], "good");
        check_text(&["[", go, ",", od, "]"], "good");
        check_text(&[&format!("{go},"), od], "good");
        // A field that occurs twice makes one value unreadable; the one before it is not read again.
        let twice = r#"{"candidates":[],"candidates":[]}"#;
        check_text(&[&format!("[{go},{twice},{od}]")], "good");
    }

    #[test]
    fn a_long_answer_over_several_lines_is_read() {
        let text = "a".repeat(200 << 10);
        let line = format!(r#""content":{{"parts":[{{"text":"{text}"}}]}},"#);
        let pieces = ["{", r#""candidates":[{"#, &line, r#""finishReason":"STOP""#, "}]", "}"];
        check_text(&pieces, &text);
    }
}
