//! The decoder of the native route.
//!
//! ```text
//! data: {"content":"Hello","stop":false}
//!
//! data: {"content":"","stop":true,"stop_type":"eos","model":"m","tokens_evaluated":9,"tokens_predicted":1}
//! ```

use super::errors::fault;
use super::wire::{Event, finish_reason, usage};
use crate::exchange::{Answer, Decode, Fault, Framing, Text};

/// A decoder of the server-sent events of `/completion`, or of its complete answer. The event with `stop` is the last; no
/// `[DONE]` follows.
#[derive(Debug)]
pub(crate) struct NativeDecoder;

impl Decode for NativeDecoder {
    const FRAMING: Framing = Framing::Events;

    fn take(&mut self, _: &str, data: &str, answer: &mut Answer) -> Result<(), Fault> {
        let event: Event<'_> = serde_json::from_str(data).map_err(|err| Fault::malformed(&err))?;
        if event.error.is_some()
            && let Some(fault) = Fault::within(data, fault)
        {
            return Err(fault);
        }
        answer.identify(None, Text::option(event.model.as_ref()));
        answer.text.push_str(Text::of(event.content.as_ref()));
        if event.stop {
            answer.usage = usage(&event);
            answer.finish = Some(finish_reason(Text::of(event.stop_type.as_ref())));
            answer.is_over = true;
        }
        Ok(())
    }
}
