//! The decoder of streamed lines.
//!
//! ```text
//! {"model":"m","message":{"role":"assistant","content":"Hello"},"done":false}
//! {"model":"m","message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":9,"eval_count":1}
//! ```

use serde_json::Value;

use super::errors::fault;
use super::wire::{Line, ends, usage};
use crate::exchange::{Answer, Decode, Fault, Framing, word_of};

/// A decoder of the NDJSON lines of an answer, or of a complete answer: `/api/chat` has text in `message`, `/api/generate` in
/// `response`.
///
/// The line with `done` is the last, and may have text, too (<https://docs.ollama.com/api/streaming>). Reasoning is in a
/// separate field.
#[derive(Debug)]
pub(crate) struct OllamaDecoder;

impl Decode for OllamaDecoder {
    const FRAMING: Framing = Framing::Lines;

    fn take(&mut self, _: &str, data: &str, answer: &mut Answer) -> Result<(), Fault> {
        if data.trim().trim_start_matches('\u{feff}').is_empty() {
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_str(data).map_err(|err| Fault::malformed(&err))?;
        if let Some(fault) = line.error.and_then(|_| Fault::within(data, fault)) {
            return Err(fault);
        }
        answer.identify(None, line.model.as_str());
        answer.hidden_bytes += line.hidden_bytes();
        answer.reasoning.extend(line.reasoning());
        if let Some(tool) = line.tool() {
            answer.calls_tool(Some(&tool));
        }
        let message = line.message.as_ref().and_then(|message| message.content.as_ref());
        // Some proxies send the same text under both names.
        let mut contents = [line.response.as_ref(), message].into_iter().flatten();
        if let Some(content) = contents.find(|content| !content.is_empty()) {
            let begin = answer.text.len();
            content.add_to(answer);
            // Others repeat the whole text in the last line, where Ollama has none.
            if line.is_last() && answer.text[..begin] == answer.text[begin..] {
                answer.text.truncate(begin);
            }
        }
        if line.is_last() {
            let fields: Value = serde_json::from_str(data).unwrap_or_default();
            answer.usage = usage(&fields);
            let is_measured = line.done_reason.is_none()
                && ["total_duration", "eval_count"].iter().all(|name| fields[name].is_u64());
            ends(&word_of(line.done_reason).unwrap_or_default(), is_measured, answer);
            answer.is_over = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Decode, OllamaDecoder};

    #[track_caller]
    fn check_unseen(line: &str, expected: bool) {
        let mut answer = Answer::default();
        OllamaDecoder.take("", line, &mut answer).unwrap();
        assert_eq!((answer.hidden_bytes > 0, answer.text.as_str()), (expected, ""), "{line}");
    }

    #[test]
    fn reasoning_and_tool_calls_are_output_and_empty_lines_are_not() {
        check_unseen(r#"{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#, true);
        check_unseen(r#"{"response":"","thinking":"hm","done":false}"#, true);
        check_unseen(r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f"}}]}}"#, true);
        check_unseen(r#"{"message":{"content":[{"type":"thinking","thinking":"hm"}]}}"#, true);
        check_unseen(r#"{"message":{"role":"assistant","content":"","thinking":""},"done":false}"#, false);
    }

    #[test]
    fn a_whole_text_in_the_last_line_is_no_second_one() {
        let mut answer = Answer::default();
        for line in [
            r#"{"message":{"content":"Bl"},"done":false}"#,
            r#"{"message":{"content":"ue."},"done":false}"#,
            r#"{"message":{"content":"Blue."},"done":true,"done_reason":"stop"}"#,
        ] {
            OllamaDecoder.take("", line, &mut answer).unwrap();
        }
        assert_eq!(answer.text, "Blue.");
    }

    #[test]
    fn a_text_under_two_names_is_read_once() {
        let check = |line: &str| {
            let mut answer = Answer::default();
            OllamaDecoder.take("", line, &mut answer).unwrap();
            assert_eq!(answer.text, "good", "{line}");
        };
        check(r#"{"response":"good","message":{"content":"good"},"done":false}"#);
        check(r#"{"response":"","message":{"content":"good"},"done":false}"#);
        check(r#"{"response":"good","message":{"content":""},"done":false}"#);
    }
}
