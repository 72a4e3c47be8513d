//! The decoder of the native route.
//!
//! ```text
//! data: {"content":"Hello","stop":false}
//!
//! data: {"content":"","stop":true,"stop_type":"eos","model":"m","tokens_evaluated":9,"tokens_predicted":1}
//! ```

use super::errors::fault;
use super::wire::{Event, ends, usage};
use crate::exchange::{Answer, Decode, Fault, Framing};

/// A decoder of the server-sent events of `/completion`, or of its complete answer. The event with `stop` is the last; no
/// `[DONE]` follows.
#[derive(Debug)]
pub(crate) struct NativeDecoder;

impl Decode for NativeDecoder {
    const FRAMING: Framing = Framing::Events;

    fn take(&mut self, _: &str, data: &str, answer: &mut Answer) -> Result<(), Fault> {
        if data.starts_with("[DONE]") {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_str(data).map_err(|err| Fault::malformed(&err))?;
        if event.error.is_some()
            && let Some(fault) = Fault::within(data, fault)
        {
            return Err(fault);
        }
        if !event.is_of_prompt() {
            return Ok(());
        }
        answer.identify(None, event.model.as_str());
        if let Some(content) = &event.content {
            content.add_to(answer);
        }
        if event.is_last() {
            answer.usage = usage(&serde_json::from_str(data).unwrap_or_default());
            ends(&event.reason(), answer);
            answer.is_over = true;
        }
        Ok(())
    }
}
