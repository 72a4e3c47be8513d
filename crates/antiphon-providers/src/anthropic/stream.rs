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
//! | `content_block_start` | redacted reasoning and names of tools count as hidden output |
//! | `content_block_delta` | `text_delta` is text; any other delta is hidden output |
//! | `message_delta` | stop reason, token counts of the whole answer |
//! | `message_stop` | the end |
//! | `error` | the error, with its kind |
//! | `ping`, `content_block_stop`, unknown ones | none |
//!
//! The type in the data decides; the `event:` line repeats it.

use antiphon_llm::FinishReason;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::errors::fault;
use super::wire::{BlockStart, Delta, Event, Message, MessageStart, StopDetails, WireUsage, finish_reason};
use crate::exchange::{Answer, Decode, Fault, Framing, Text};

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
        let event: Event<'_> = parse(data)?;
        match Text::of(event.kind.as_ref()) {
            "content_block_delta" => block_delta(event.delta, answer)?,
            "content_block_start" => block_start(event.content_block, answer)?,
            "message_start" => self.message(parse::<MessageStart>(data)?.message, answer),
            "message_delta" => self.message_delta(&event, answer)?,
            "message_stop" => answer.is_over = true,
            "message" => {
                self.message(parse(data)?, answer);
                answer.is_over = answer.finish.is_some() || !answer.refusal.is_empty();
            }
            "error" => return Fault::within(data, fault).map_or(Ok(()), Err),
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
    if Text::of(delta.kind.as_ref()) == "text_delta" {
        answer.text.push_str(Text::of(delta.text.as_ref()));
    }
    Ok(())
}

/// Takes the beginning of a block, which for redacted reasoning and tools has output.
fn block_start(block: Option<&RawValue>, answer: &mut Answer) -> Result<(), Fault> {
    let block: Option<BlockStart<'_>> = read(block)?;
    answer.hidden_bytes += block.as_ref().map_or(0, BlockStart::hidden_bytes);
    Ok(())
}

impl MessagesDecoder {
    /// Takes the end of a message: its token counts and its stop reason.
    fn message_delta(&mut self, event: &Event<'_>, answer: &mut Answer) -> Result<(), Fault> {
        if let Some(usage) = read(event.usage)? {
            self.count(usage, answer);
        }
        let delta: Option<Delta<'_>> = read(event.delta)?;
        if let Some(Delta { stop_reason: Some(reason), stop_details, .. }) = delta {
            stopped(&reason.0, stop_details, answer);
        }
        Ok(())
    }

    /// Updates the token counts of the answer with those of an event.
    fn count(&mut self, usage: WireUsage, answer: &mut Answer) {
        self.usage = self.usage.updated(usage);
        answer.usage = self.usage.into();
    }

    /// Takes a message: at its beginning, with no content yet, or as a complete answer of a server that does
    /// not stream.
    fn message(&mut self, message: Message, answer: &mut Answer) {
        answer.identify(message.id.as_deref(), message.model.as_deref());
        if let Some(mut usage) = message.usage {
            // At the beginning the count is a placeholder.
            usage.output_tokens = usage.output_tokens.filter(|_| message.stop_reason.is_some());
            self.count(usage, answer);
        }
        let texts = message.content.into_iter().filter(|block| block.kind.as_deref() == Some("text"));
        texts.filter_map(|block| block.text).for_each(|text| answer.text.push_str(&text));
        if let Some(reason) = message.stop_reason {
            stopped(&reason, message.stop_details, answer);
        }
    }
}

/// Records the stop reason. A refusal of the model comes with status 200
/// (<https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback>).
///
/// The reason `refusal` is an error with the vendor's explanation, or its category; a refusal before any text
/// is not billed.
fn stopped(reason: &str, details: Option<StopDetails>, answer: &mut Answer) {
    if reason == "refusal" {
        let details = details.and_then(|details| details.explanation.or(details.category));
        answer.refusal = details.unwrap_or_else(|| "no reason was reported".to_owned());
        // Its tokens are counted but not billed.
        answer.is_free = answer.text.is_empty();
        answer.finish = Some(FinishReason::Stop);
    } else {
        answer.finish = Some(finish_reason(reason));
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
