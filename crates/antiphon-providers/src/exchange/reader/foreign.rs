//! Streams that are none: a page, an empty body, or one JSON value under the content type of a stream.

use antiphon_llm::{Completion, Error};
use serde_json::{Value, json};

use super::{Decode, Reader};
use crate::exchange::error_body::ForeignBody;
use crate::exchange::fault::{Fault, cleaned};
use crate::exchange::framing::{Piece, without_mark};
use crate::exchange::rejected::not_an_answer;

impl<D: Decode> Reader<D> {
    /// Decodes a body that is one JSON value although a stream was declared: an answer, or an error. Anything else has nothing to
    /// decode.
    ///
    /// # Errors
    /// The error in the body.
    pub(super) fn take_unframed(&mut self) -> Result<(), Fault> {
        let Some(body) = self.unframed().filter(|body| !body.is_empty()) else { return Ok(()) };
        let Ok(value) = serde_json::from_str::<Value>(&body) else { return Ok(()) };
        match (self.facts.faults)(200, &value, None) {
            Some(fault) => Err(fault),
            // What cannot be decoded is described at the end of the answer.
            None => self.decode.take("", &body, &mut self.answer).or(Ok(())),
        }
    }

    /// Reads the error in a piece, in the shape of any format: a proxy sends its own errors in the stream of another one's format.
    ///
    /// An `error` event has an error whatever its data is. In other pieces, an error is the first field, or the one element of a
    /// list.
    pub(super) fn error_in(&self, piece: &Piece) -> Option<Fault> {
        let (data, is_marked) = (piece.data.trim_start(), piece.event == "error");
        if !is_marked && !data.starts_with("{\"error\"") && !data.starts_with("[{") {
            return None;
        }
        let value = match serde_json::from_str::<Value>(data) {
            Ok(value) => value,
            Err(_) if is_marked => Value::String(data.to_owned()),
            Err(_) => return None,
        };
        let found = (self.facts.faults)(200, &value, None);
        found.or_else(|| {
            if is_marked { (self.facts.faults)(200, &json!({ "error": value }), None) } else { None }
        })
    }

    /// Returns the error of a body that is no stream, such as a proxy's page; `None` where any of it was decoded, or where it
    /// began as one.
    pub(super) fn foreign(&self) -> Option<Error> {
        let body = self.unframed().filter(|_| !self.has_something())?;
        let foreign = ForeignBody { content_type: &self.facts.content_type, body: &body };
        Some(not_an_answer(&self.facts.place, foreign, |text| cleaned(text, &self.facts.redactor)))
    }

    /// Returns the beginning of a body that is no stream.
    fn unframed(&self) -> Option<String> {
        let body = self.pieces.unframed()?;
        Some(without_mark(&String::from_utf8_lossy(body)).to_owned())
    }

    /// Adds to an error of an answer that was read as a whole what the call knows: its request, and the part that arrived.
    pub(in crate::exchange) fn with_facts(&mut self, err: Error) -> Error {
        let partial = self.completion();
        let request_id = err.request_id().map(str::to_owned);
        let err = match request_id {
            Some(_) => err,
            None => self.with_request_id(err),
        };
        let status = err.status().or(Some(200));
        err.with_status(status).with_partial(partial)
    }

    /// Decodes the part of an answer that is beside the error in the same JSON value.
    pub(in crate::exchange) fn take_beside_error(&mut self, mut value: Value) {
        if let Some(fields) = value.as_object_mut() {
            fields.remove("error");
            // Whatever cannot be decoded is no part of the answer.
            let _ = self.decode.take("", &value.to_string(), &mut self.answer);
            let _ = self.decode.finish(&mut self.answer);
        }
    }
}

impl super::Facts {
    /// Adds to an error before the answer what the call knows.
    pub(in crate::exchange) fn add_to(&self, err: Error) -> Error {
        let timing = antiphon_llm::Timing::new(None, self.began.elapsed())
            .first_byte(Some(self.first_byte))
            .http_version(self.http_version);
        let partial = Completion::new("").head(self.head.clone()).timing(timing);
        err.with_request_id(self.head.request_id.clone()).with_status(Some(200)).with_partial(partial)
    }
}
