//! The decoder of streamed messages.
//!
//! ```text
//! event: content_block_delta
//! data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}
//! ```
//!
//! | event | effect |
//! |---|---|
//! | `message_start` | id, model, token counts of the prompt |
//! | `content_block_start` | redacted reasoning and names of tools count as hidden output; text of some proxies |
//! | `content_block_delta` | `text_delta` is text; any other delta is hidden output |
//! | `message_delta` | stop reason, token counts of the whole answer |
//! | `message_stop` | the end |
//! | `error` | the error, with its kind |
//! | `ping`, `content_block_stop`, unknown ones | none |
//!
//! The type in the data decides; the `event:` line repeats it.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::errors::fault;
use super::wire::{BlockStart, Delta, Event, WireUsage, is_tool};
use crate::exchange::{Answer, Decode, Fault, Framing, Text, reasoning_of, texts_in, value_of};

/// A decoder of the server-sent events of a message, or of one complete message.
///
/// The order is `message_start`, blocks of content, `message_delta` with the finish reason and the token counts,
/// `message_stop`; `ping` may occur anywhere, and so may event types that are added later
/// (<https://platform.claude.com/docs/en/build-with-claude/streaming>). Reasoning is in separate blocks.
#[derive(Debug, Default)]
pub(crate) struct MessagesDecoder {
    /// The counts so far: later events repeat only some of them.
    usage: WireUsage,
}

impl Decode for MessagesDecoder {
    const FRAMING: Framing = Framing::Events;

    fn take(&mut self, _: &str, data: &str, answer: &mut Answer) -> Result<(), Fault> {
        let event: Event<'_> = match serde_json::from_str(data) {
            Ok(event) => event,
            // Data that is no object belongs to an event that is not known here.
            Err(_) if serde_json::from_str::<Value>(data).is_ok_and(|value| !value.is_object()) => {
                return Ok(());
            }
            Err(err) => return Err(Fault::malformed(&err)),
        };
        match event.kind.as_str().unwrap_or_default() {
            "content_block_delta" => block_delta(event.delta, answer)?,
            "content_block_start" => block_start(event.content_block, answer)?,
            "message_start" => self.message(&parse::<Value>(data)?["message"], answer),
            "message_delta" => self.message_delta(&event, answer),
            "message_stop" => answer.is_over = true,
            "message" => {
                self.message(&parse(data)?, answer);
                answer.is_over = answer.finish.is_some() || !answer.refusal.is_empty();
            }
            // A proxy's error in OpenAI's format has no type.
            "error" | "" => return Fault::within(data, fault).map_or(Ok(()), Err),
            _ => {}
        }
        Ok(())
    }
}

/// Parses the data of an event.
fn parse<'d, T: Deserialize<'d>>(data: &'d str) -> Result<T, Fault> {
    serde_json::from_str(data).map_err(|err| Fault::malformed(&err))
}

/// Parses a field of an event, if the event has it.
///
/// # Errors
/// `InvalidResponse` for a field of another shape.
fn read<'d, T: Deserialize<'d>>(field: Option<&'d RawValue>) -> Result<Option<T>, Fault> {
    field.map(|field| parse(field.get())).transpose()
}

/// Takes a piece of a block: its text belongs to the answer, and anything else is hidden output.
fn block_delta(delta: Option<&RawValue>, answer: &mut Answer) -> Result<(), Fault> {
    let Some(delta) = read::<Delta<'_>>(delta)? else { return Ok(()) };
    answer.hidden_bytes += delta.hidden_bytes();
    match delta.kind.as_str() {
        Some("text_delta") => answer.text.push_str(Text::of(delta.text.as_ref())),
        Some("thinking_delta") => answer.reasoning.push_str(&reasoning_of(delta.thinking)),
        _ => {}
    }
    Ok(())
}

/// Takes the beginning of a block, which for redacted reasoning and tools has output.
fn block_start(block: Option<&RawValue>, answer: &mut Answer) -> Result<(), Fault> {
    let Some(block) = read::<BlockStart<'_>>(block)? else { return Ok(()) };
    answer.hidden_bytes += block.hidden_bytes();
    match block.kind.as_str() {
        Some("text") => answer.text.push_str(Text::of(block.text.as_ref())),
        Some("thinking") => answer.reasoning.push_str(&reasoning_of(block.thinking)),
        kind if is_tool(kind) => answer.calls_tool(value_of(block.name).as_ref().and_then(Value::as_str)),
        _ => {}
    }
    Ok(())
}

impl MessagesDecoder {
    /// Takes the end of a message: its token counts and its stop reason.
    fn message_delta(&mut self, event: &Event<'_>, answer: &mut Answer) {
        if let Some(usage) = value_of(event.usage) {
            self.count(&usage, false, answer);
        }
        stopped(&value_of(event.delta).unwrap_or_default(), answer);
    }

    /// Updates the token counts of the answer with those of an event.
    fn count(&mut self, usage: &Value, is_beginning: bool, answer: &mut Answer) {
        self.usage.update(usage, is_beginning);
        answer.usage = self.usage.into();
    }

    /// Takes a message: at its beginning, with no content yet, or as a complete answer of a server that does
    /// not stream.
    fn message(&mut self, message: &Value, answer: &mut Answer) {
        answer.identify(message["id"].as_str(), message["model"].as_str());
        if message["usage"].is_object() {
            self.count(&message["usage"], message["stop_reason"].is_null(), answer);
        }
        for block in message["content"].as_array().into_iter().flatten() {
            match block["type"].as_str() {
                Some("text") => match &block["text"] {
                    Value::String(text) => answer.text.push_str(text),
                    Value::Null => {}
                    other => answer.text.push_str(&other.to_string()),
                },
                Some("thinking") => answer.reasoning.push_str(&texts_in(&block["thinking"])),
                kind if is_tool(kind) => answer.calls_tool(block["name"].as_str()),
                _ => {}
            }
        }
        if let Some(text) = message["content"].as_str() {
            answer.text.push_str(text);
        }
        stopped(message, answer);
    }
}

/// Records the stop reason of a message or of its last delta. A refusal of the model comes with status 200
/// (<https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback>), and so does any other reason
/// (<https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>).
///
/// The reason `refusal` is an error with the vendor's explanation, or its category; a refusal before any text
/// is not billed.
fn stopped(message: &Value, answer: &mut Answer) {
    let reason = match &message["stop_reason"] {
        Value::Null => return,
        Value::String(reason) => reason.clone(),
        // No text is a natural end.
        other => other.to_string(),
    };
    answer.ends(&reason);
    if reason.eq_ignore_ascii_case("refusal") {
        let details = &message["stop_details"];
        let of = |key: &str| details[key].as_str().filter(|text| !text.trim().is_empty());
        answer.refuses(of("explanation").or_else(|| of("category")).unwrap_or_default());
        // Its tokens are counted but not billed.
        answer.is_free = answer.text.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Decode, MessagesDecoder};

    #[track_caller]
    fn check_unseen(event: &str, expected: bool) {
        let mut answer = Answer::default();
        MessagesDecoder::default().take("", event, &mut answer).unwrap();
        assert_eq!((answer.hidden_bytes > 0, answer.text.as_str()), (expected, ""), "{event}");
    }

    #[test]
    fn reasoning_and_tool_calls_are_output_and_pings_are_not() {
        let delta = |delta: &str| format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#);
        check_unseen(&delta(r#"{"type":"thinking_delta","thinking":"hm"}"#), true);
        check_unseen(&delta(r#"{"type":"signature_delta","signature":"EqQB"}"#), true);
        check_unseen(&delta(r#"{"type":"input_json_delta","partial_json":"{"}"#), true);
        check_unseen(&delta(r#"{"type":"thinking_delta","thinking":""}"#), false);
        let block =
            |block: &str| format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#);
        check_unseen(&block(r#"{"type":"redacted_thinking","data":"EmwK"}"#), true);
        check_unseen(&block(r#"{"type":"text","text":""}"#), false);
        check_unseen(r#"{"type":"ping"}"#, false);
        check_unseen(
            r#"{"type":"message_start","message":{"content":[],"usage":{"output_tokens":1}}}"#,
            false,
        );
    }
}
