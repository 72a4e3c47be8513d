//! The decoder of streamed chat completions.
//!
//! ```text
//! data: {"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}
//!
//! data: {"id":"chatcmpl-1","model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}
//!
//! data: [DONE]
//! ```
//!
//! Of several choices only the one with the index 0 is read, since one is requested.

use serde_json::Value;

use super::errors::fault;
use super::wire::{Choice, Chunk, filtered_categories};
use crate::exchange::{Answer, Decode, Fault, Framing, texts_in, value_of, word_of};

/// A decoder of server-sent events with `chat.completion.chunk`s, or of one complete `chat.completion`.
///
/// The stream ends with `[DONE]`, and is complete when a finish reason precedes it
/// (<https://developers.openai.com/api/reference/resources/chat>). Token counts follow the finish reason.
#[derive(Debug)]
pub(crate) struct ChatDecoder;

impl Decode for ChatDecoder {
    const FRAMING: Framing = Framing::Events;

    fn take(&mut self, event: &str, data: &str, answer: &mut Answer) -> Result<(), Fault> {
        if data.starts_with("[DONE]") {
            answer.is_closed = true;
            answer.is_over = true;
            return Ok(());
        }
        let Some(chunk) = parse(event, data)? else { return Ok(()) };
        answer.identify(chunk.id.as_str(), chunk.model.as_str());
        chunk.count(&mut answer.usage);
        answer.explain(filtered_categories(chunk.prompt_filter_results));
        let choices = chunk.choices.as_deref().unwrap_or_default();
        // The only choice of a complete answer is the answer, however it is numbered.
        let is_only = choices.iter().flatten().count() == 1 && choices.iter().flatten().all(Choice::is_whole);
        let mut choices = choices.iter().flatten().enumerate();
        if let Some((_, choice)) = choices.find(|(position, choice)| is_only || choice.is_first(*position)) {
            add_choice(choice, answer);
        }
        Ok(())
    }
}

/// Parses a chunk, or returns the error that it has in place of an answer. `None` for data that is no object, and for events of
/// another name that are no JSON, such as a `ping` with a time.
///
/// # Errors
/// The error in the data, even where the data is not a chunk otherwise; `InvalidResponse` for anything else.
fn parse<'d>(event: &str, data: &'d str) -> Result<Option<Chunk<'d>>, Fault> {
    let chunk: Chunk<'_> = match serde_json::from_str(data) {
        Ok(chunk) => chunk,
        Err(err) => {
            let is_other = match serde_json::from_str::<Value>(data) {
                Ok(value) => !value.is_object(),
                Err(_) => !matches!(event, "" | "message"),
            };
            return match Fault::within(data, fault) {
                Some(fault) => Err(fault),
                None if is_other => Ok(None),
                None => Err(Fault::malformed(&err)),
            };
        }
    };
    if chunk.has_error()
        && let Some(fault) = Fault::within(data, fault)
    {
        return Err(fault);
    }
    Ok(Some(chunk))
}

/// Adds the output of a choice to the answer, and its finish reason.
///
/// Some servers repeat the whole answer in `message` at the end, and some send only that beside an empty `delta`.
fn add_choice(choice: &Choice<'_>, answer: &mut Answer) {
    let has_neither = choice.delta.is_none() && choice.message.is_none();
    if let Some(delta) = &choice.delta {
        let before = answer.text.len() + answer.reasoning.len() + answer.refusal.len();
        delta.add_to(answer);
        answer.is_in_pieces |= answer.text.len() + answer.reasoning.len() + answer.refusal.len() > before;
    }
    if let Some(message) = &choice.message {
        let mut whole = Answer::default();
        message.add_to(&mut whole);
        answer.completes(&whole);
    }
    if has_neither {
        answer.text.push_str(choice.text.as_str().unwrap_or_default());
    }
    answer.explain(filtered_categories(choice.content_filter_results));
    if let Some(error) = value_of(choice.error) {
        answer.explain(error.get("message").map(texts_in).unwrap_or_default());
    }
    // Some servers send an empty reason with every chunk; OpenRouter repeats the real one with the token counts.
    if let Some(reason) = word_of(choice.finish_reason) {
        answer.ends(&reason);
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, ChatDecoder, Decode};

    #[track_caller]
    fn check(piece: &str, expected: &str) {
        let mut answer = Answer::default();
        ChatDecoder.take("", piece, &mut answer).unwrap();
        assert_eq!(answer.text, expected, "{piece}");
    }

    #[track_caller]
    fn check_unseen(delta: &str, expected: bool) {
        let mut answer = Answer::default();
        ChatDecoder.take("", &format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#), &mut answer).unwrap();
        assert_eq!((answer.hidden_bytes > 0, answer.text.as_str()), (expected, ""), "{delta}");
    }

    #[test]
    fn reasoning_and_tool_calls_are_output_and_empty_fields_are_not() {
        check_unseen(r#"{"reasoning_content":"hm"}"#, true);
        check_unseen(r#"{"reasoning":"hm","reasoning_details":[{"text":"hm"}]}"#, true);
        check_unseen(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#, true);
        check_unseen(r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}"#, true);
        check_unseen(r#"{"role":"assistant","content":"","reasoning_content":"","tool_calls":[]}"#, false);
        check_unseen(r#"{"role":"assistant","content":null,"reasoning":null,"function_call":null}"#, false);
        check_unseen("{}", false);
    }

    #[test]
    fn content_has_several_shapes() {
        check(r#"{"choices":[{"delta":{"content":"b"},"message":{"content":"ab"}}]}"#, "b");
        check(r#"{"choices":[{"message":{"content":"ab"}}]}"#, "ab");
        check(r#"{"choices":[{"delta":{"content":null}}]}"#, "");
        let parts =
            r#"[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]"#;
        check(&format!(r#"{{"choices":[{{"delta":{{"content":{parts}}}}}]}}"#), "a");
    }
}
