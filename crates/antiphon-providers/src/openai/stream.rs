//! The decoder of streamed responses.
//!
//! | event | effect |
//! |---|---|
//! | `response.created`, `response.in_progress` | id and model |
//! | `response.output_item.added` | remembers items that are commentary |
//! | `response.output_text.delta` | text, unless its item is commentary |
//! | `response.refusal.delta` | the model's refusal, an error at the end |
//! | other `*.delta` | hidden output: reasoning, arguments of tools |
//! | `response.output_text.done`, `response.output_item.done` | text, where no delta of it arrived |
//! | `response.output_item.done` | one byte of hidden output, for an item that may be reasoning |
//! | `response.completed`, `response.incomplete` | finish reason, token counts, the end |
//! | `response.failed`, `error` | the error |
//!
//! The complete texts in `response.completed` repeat the deltas; they are used only where no delta arrived.

use serde::Deserialize;
use serde_json::Value;

use super::errors::fault;
use super::wire::{Event, add_content, ends, is_commentary, tool};
use crate::chat::usage_of;
use crate::exchange::{Answer, Decode, Fault, Framing, Text, index_of, reasoning_of, size_of, texts_in};

/// The maximum number of items that are remembered as commentary; a model writes a few.
const MAX_COMMENTS: usize = 256;

/// A decoder of the server-sent events of a response, or of one complete response.
///
/// Every event has its type in its data; the last is `response.completed`, `.incomplete` or `.failed`, and no `[DONE]`
/// follows (<https://developers.openai.com/api/reference/resources/responses/streaming-events>).
#[derive(Debug, Default)]
pub(crate) struct ResponsesDecoder {
    /// The indices of items that are commentary and not part of the answer.
    commentary: Vec<u64>,
    /// The events in which text has arrived.
    source: TextSource,
}

/// The events in which a server sends the text of an answer, each of which repeats that of those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum TextSource {
    /// None so far.
    #[default]
    None,
    /// `response.output_item.done`.
    Items,
    /// `response.output_text.done`.
    Texts,
    /// `response.output_text.delta`.
    Deltas,
}

impl Decode for ResponsesDecoder {
    const FRAMING: Framing = Framing::Events;

    fn take(&mut self, event: &str, data: &str, answer: &mut Answer) -> Result<(), Fault> {
        if data.starts_with("[DONE]") {
            return Ok(());
        }
        let parsed: Event<'_> = match serde_json::from_str(data) {
            Ok(parsed) => parsed,
            // Data that is no object belongs to an event that is not known here.
            Err(_) if serde_json::from_str::<Value>(data).is_ok_and(|value| !value.is_object()) => {
                return Ok(());
            }
            Err(err) => return Err(Fault::malformed(&err)),
        };
        let kind = parsed.kind.as_str().filter(|kind| !kind.is_empty()).unwrap_or(event);
        match kind {
            "response.output_text.delta" if !self.is_commentary(&parsed) => {
                answer.text.push_str(Text::of(words(&parsed)?.as_ref()));
                self.source = TextSource::Deltas;
            }
            "response.output_text.done" => self.text_done(&parsed, data, answer)?,
            "response.refusal.delta" => answer.refusal.push_str(Text::of(words(&parsed)?.as_ref())),
            "response.output_item.added" => {
                let added: Value = of(data)?;
                let index = index_of(parsed.output_index).filter(|_| self.commentary.len() < MAX_COMMENTS);
                self.commentary.extend(index.filter(|_| is_commentary(&added["item"])));
            }
            "response.created" | "response.in_progress" => {
                let event: Value = of(data)?;
                answer.identify(event["response"]["id"].as_str(), event["response"]["model"].as_str());
            }
            "response.completed" | "response.incomplete" | "response.done" | "response.cancelled" => {
                end(&of::<Value>(data)?["response"], answer);
            }
            "response.failed" | "error" => return Err(failed(data)),
            // A complete response of a server that does not stream.
            "" => {
                let value: Value = of(data)?;
                if value["object"] == "response" {
                    end(&value, answer);
                } else if let Some(fault) = fault(200, &value, None) {
                    return Err(fault);
                }
            }
            "response.output_item.done" => self.item_done(&of(data)?, answer),
            // Commentary, reasoning and its summary, or the arguments of tools.
            kind if kind.ends_with(".delta") => {
                answer.hidden_bytes += size_of(parsed.delta);
                if kind.starts_with("response.reasoning") {
                    answer.reasoning.push_str(&reasoning_of(parsed.delta));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl ResponsesDecoder {
    /// Takes a whole text, of which some servers send no deltas.
    fn text_done(&mut self, event: &Event<'_>, data: &str, answer: &mut Answer) -> Result<(), Fault> {
        if self.source <= TextSource::Texts && !self.is_commentary(event) {
            self.source = TextSource::Texts;
            answer.text.push_str(&texts_in(&of::<Value>(data)?["text"]));
        }
        Ok(())
    }

    /// Takes a whole item: a call of a tool, reasoning that is not shown, or a text that was in no event before it.
    fn item_done(&mut self, event: &Value, answer: &mut Answer) {
        let item = &event["item"];
        answer.hidden_bytes += 1;
        tool(item).into_iter().for_each(|name| answer.calls_tool(Some(name)));
        if item["type"] == "message" && self.source <= TextSource::Items && !is_commentary(item) {
            self.source = TextSource::Items;
            add_content(item, answer);
        }
    }

    /// Returns whether an event belongs to an item that is commentary.
    fn is_commentary(&self, event: &Event<'_>) -> bool {
        index_of(event.output_index).is_some_and(|index| self.commentary.contains(&index))
    }
}

/// Returns the text of a delta, which borrows from the event where it has no escapes.
fn words<'d>(event: &Event<'d>) -> Result<Option<Text<'d>>, Fault> {
    event.delta.map(|delta| of(delta.get())).transpose()
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
fn end(response: &Value, answer: &mut Answer) {
    answer.identify(response["id"].as_str(), response["model"].as_str());
    ends(response, answer);
    answer.is_over = answer.finish.is_some();
    let items = || response["output"].as_array().into_iter().flatten();
    // Output that was received in deltas is not added twice.
    let mut whole = Answer::default();
    for item in items().filter(|item| !is_commentary(item)) {
        add_content(item, &mut whole);
        tool(item).into_iter().for_each(|name| whole.calls_tool(Some(name)));
    }
    for item in items().filter(|item| item["type"] == "reasoning") {
        let content = texts_in(&item["content"]);
        let text = if content.is_empty() { texts_in(&item["summary"]) } else { content };
        whole.reasoning.push_str(&text);
    }
    answer.is_in_pieces = true;
    answer.completes(&whole);
    if let Some(counted) = usage_of(&response["usage"].to_string()) {
        answer.usage = counted;
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
    fn a_text_without_deltas_is_read_once() {
        let message = r#"{"type":"message","content":[{"type":"output_text","text":"yes"}]}"#;
        let text = r#"{"type":"response.output_text.done","output_index":1,"text":"yes"}"#.to_owned();
        let item = format!(r#"{{"type":"response.output_item.done","output_index":1,"item":{message}}}"#);
        let delta = r#"{"type":"response.output_text.delta","output_index":1,"delta":"yes"}"#.to_owned();
        let end = |output: &str| {
            format!(
                r#"{{"type":"response.completed","response":{{"status":"completed","output":[{output}]}}}}"#
            )
        };
        for events in [
            vec![delta.clone(), text.clone(), item.clone(), end(message)],
            vec![text.clone(), item.clone(), end(message)],
            vec![item.clone(), end(message)],
            vec![item, end("")],
            vec![text, end("")],
            vec![end(message)],
        ] {
            let (mut decoder, mut answer) = (ResponsesDecoder::default(), Answer::default());
            for event in &events {
                decoder.take("", event, &mut answer).unwrap();
            }
            assert_eq!(answer.text, "yes", "{events:?}");
        }
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
