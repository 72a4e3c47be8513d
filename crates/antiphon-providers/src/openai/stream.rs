//! The decoder of streamed responses.
//!
//! | event | effect |
//! |---|---|
//! | `response.created`, `response.in_progress` | id and model |
//! | `response.output_item.added` | remembers items that are commentary |
//! | `response.output_text.delta` | text, unless its item is commentary |
//! | `response.refusal.delta` | the model's refusal, an error at the end |
//! | other `*.delta` | hidden output: reasoning, arguments of tools |
//! | `response.output_item.done` | one byte of hidden output, for an item that may be reasoning |
//! | `response.completed`, `response.incomplete` | finish reason, token counts, the end |
//! | `response.failed`, `error` | the error |
//!
//! The complete texts in `response.completed` repeat the deltas; they are used only where no delta arrived.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::errors::fault;
use super::wire::{Event, ItemAdded, Response, ResponseEvent};
use crate::exchange::{Answer, Decode, Fault, Framing, Text, size_of};

/// A decoder of the server-sent events of a response, or of one complete response.
///
/// Every event has its type in its data; the last is `response.completed`, `.incomplete` or `.failed`, and no `[DONE]`
/// follows (<https://developers.openai.com/api/reference/resources/responses/streaming-events>).
#[derive(Debug, Default)]
pub(crate) struct ResponsesDecoder {
    /// The indices of items that are commentary and not part of the answer.
    commentary: Vec<u64>,
}

impl Decode for ResponsesDecoder {
    const FRAMING: Framing = Framing::Events;

    fn take(&mut self, event: &str, data: &str, answer: &mut Answer) -> Result<(), Fault> {
        if data.starts_with("[DONE]") {
            return Ok(());
        }
        let parsed: Event<'_> = serde_json::from_str(data).map_err(|err| Fault::malformed(&err))?;
        let kind = match Text::of(parsed.kind.as_ref()) {
            "" => event,
            kind => kind,
        };
        match kind {
            "response.output_text.delta" if !self.is_commentary(&parsed) => {
                answer.text.push_str(&words(&parsed)?);
            }
            "response.refusal.delta" => answer.refusal.push_str(&words(&parsed)?),
            "response.output_item.added" => {
                let added: ItemAdded = of(data)?;
                self.commentary.extend(parsed.output_index.filter(|_| added.item.is_commentary()));
            }
            "response.created" | "response.in_progress" => {
                let event: ResponseEvent = of(data)?;
                answer.identify(event.response.id.as_deref(), event.response.model.as_deref());
            }
            "response.completed" | "response.incomplete" => {
                let ended: ResponseEvent = of(data)?;
                ends(ended.response, answer);
            }
            "response.failed" | "error" => return Err(failed(data)),
            // A complete response of a server that does not stream.
            "" => {
                let value: Value = of(data)?;
                if value["object"] == "response" {
                    ends(Response::deserialize(&value).map_err(|err| Fault::malformed(&err))?, answer);
                }
            }
            // A complete item, for instance of reasoning that is not shown.
            "response.output_item.done" => answer.hidden_bytes += 1,
            // Commentary, reasoning and its summary, or the arguments of tools.
            kind if kind.ends_with(".delta") => answer.hidden_bytes += size_of(parsed.delta),
            _ => {}
        }
        Ok(())
    }
}

impl ResponsesDecoder {
    /// Returns whether an event belongs to an item that is commentary.
    fn is_commentary(&self, event: &Event<'_>) -> bool {
        event.output_index.is_some_and(|index| self.commentary.contains(&index))
    }
}

/// Returns the text of a delta, which borrows from the event where it has no escapes.
fn words<'d>(event: &Event<'d>) -> Result<Cow<'d, str>, Fault> {
    event.delta.map_or(Ok(Cow::Borrowed("")), |delta| of::<Text<'_>>(delta.get()).map(|text| text.0))
}

/// Parses the data of an event.
fn of<'d, T: Deserialize<'d>>(data: &'d str) -> Result<T, Fault> {
    serde_json::from_str(data).map_err(|err| Fault::malformed(&err))
}

/// Reads the error of a failed response; `Unavailable` where it names none.
fn failed(data: &str) -> Fault {
    Fault::within(data, fault)
        .unwrap_or_else(|| Fault::new(antiphon_llm::ErrorKind::Unavailable, "the response failed"))
}

/// Ends the answer with the complete response. Without a known status the answer is not finished.
fn ends(response: Response, answer: &mut Answer) {
    answer.identify(response.id.as_deref(), response.model.as_deref());
    answer.finish = response.finish();
    answer.is_over = answer.finish.is_some();
    let said = response.output.iter().filter(|item| !item.is_commentary());
    // Output that was received in deltas is not added twice.
    if answer.text.is_empty() && answer.refusal.is_empty() {
        for item in said {
            answer.text.push_str(&item.text());
            answer.refusal.push_str(&item.refusal());
        }
    }
    if let Some(usage) = response.usage {
        answer.usage = usage.into();
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Decode, ResponsesDecoder};

    #[track_caller]
    fn check_unseen(event: &str, expected: bool) {
        let mut answer = Answer::default();
        ResponsesDecoder::default().take("", event, &mut answer).unwrap();
        assert_eq!((answer.hidden_bytes > 0, answer.text.as_str()), (expected, ""), "{event}");
    }

    #[test]
    fn reasoning_and_arguments_are_output_and_states_are_not() {
        check_unseen(r#"{"type":"response.reasoning_text.delta","delta":"hm"}"#, true);
        check_unseen(r#"{"type":"response.reasoning_summary_text.delta","delta":"hm"}"#, true);
        check_unseen(r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#, true);
        check_unseen(r#"{"type":"response.output_item.done","item":{"type":"reasoning"}}"#, true);
        check_unseen(r#"{"type":"response.reasoning_text.delta","delta":""}"#, false);
        check_unseen(r#"{"type":"response.in_progress","response":{"id":"r"}}"#, false);
        check_unseen(r#"{"type":"keepalive","sequence_number":3}"#, false);
    }

    #[test]
    fn reasoning_in_a_complete_response_is_not_part_of_the_answer() {
        let complete = r#"{"object":"response","status":"completed","output":[
            {"type":"reasoning","content":[{"type":"reasoning_text","text":"hm"}]},
            {"type":"message","content":[{"type":"output_text","text":"yes"}]}]}"#;
        let mut answer = Answer::default();
        ResponsesDecoder::default().take("", complete, &mut answer).unwrap();
        assert_eq!(answer.text, "yes");
    }
}
