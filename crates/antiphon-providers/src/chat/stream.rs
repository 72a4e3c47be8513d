use std::time::Duration;

use antiphon_http::{Events, Response, SecretString};
use antiphon_llm::{
    Billed, Completion, Cut, Delta, Error, ErrorKind, FinishReason, Head, Output, Phase, Timing, Usage,
};
use futures_util::stream::{Stream, StreamExt, unfold};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::errors::{self, Said};
use super::wire::{Chunk, finish_reason};

/// An answer on its way, read event by event.
pub(super) struct Reader {
    /// `None` for an answer that came whole.
    events: Option<Events>,
    place: String,
    key: Option<SecretString>,
    output: Output,
    token_timeout: Duration,
    began: Instant,
    http_version: &'static str,
    head: Head,
    text: String,
    refusal: String,
    finish: Option<FinishReason>,
    usage: Usage,
    first_token: Option<Duration>,
}

impl Reader {
    pub(super) fn new(response: Response, output: Output, key: Option<SecretString>, began: Instant) -> Self {
        let request_id = response.header("x-request-id").map(str::to_owned);
        let (place, version) = (response.place(), response.version());
        let reader = Self::whole(place, version, output, began);
        Self { events: Some(response.events()), key, head: Head::new(request_id, None), ..reader }
    }

    /// A reader of an answer that came whole, to be given to [`Reader::take`].
    pub(super) fn whole(place: String, http_version: &'static str, output: Output, began: Instant) -> Self {
        Self {
            events: None,
            place,
            key: None,
            output,
            token_timeout: Duration::MAX,
            began,
            http_version,
            head: Head::default(),
            text: String::new(),
            refusal: String::new(),
            finish: None,
            usage: Usage::default(),
            first_token: None,
        }
    }

    /// Sets the key, to be cut out of what the server says.
    pub(super) fn key(mut self, key: Option<SecretString>) -> Self {
        self.key = key;
        self
    }

    pub(super) fn token_timeout(mut self, timeout: Duration) -> Self {
        self.token_timeout = timeout;
        self
    }

    pub(super) fn head(&self) -> Head {
        self.head.clone()
    }

    /// The deltas, and then the end or an error.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Delta, Error>> + Send + 'static {
        unfold(Some(self), |reader| async {
            let mut reader = reader?;
            Some(match reader.next().await {
                Ok(Some(words)) => (Ok(Delta::Text(words)), Some(reader)),
                Ok(None) => (reader.end(), None),
                Err(err) => (Err(reader.failed(err)), None),
            })
        })
    }

    /// The next words; `None` when there are no more.
    async fn next(&mut self) -> Result<Option<String>, Error> {
        while let Some(events) = &mut self.events {
            let event = match timeout(self.token_timeout, events.next()).await {
                // The answer is whole already: what is missing is its count of tokens, or a polite end.
                Err(_) | Ok(Some(Err(_))) if self.finish.is_some() => break,
                Err(_) => return Err(self.too_slow()),
                Ok(None) => break,
                // Whether the answer is whole, its finish reason tells.
                Ok(Some(Err(err))) if err.kind() == antiphon_http::ErrorKind::Truncated => break,
                Ok(Some(event)) => event.map_err(|err| errors::of_http(&err))?,
            };
            if event.data.starts_with("[DONE]") {
                break;
            }
            let value: Value = serde_json::from_str(&event.data).map_err(|err| self.strange(&err))?;
            let said = Said::read(&value).or_else(|| (event.event == "error").then(|| Said::plain(&value)));
            if let Some(said) = said {
                return Err(errors::of_event(&said, &self.place, self.key.as_ref()));
            }
            if let Some(words) = self.take(value)? {
                return Ok(Some(words));
            }
        }
        Ok(None)
    }

    /// Any event that tells something counts as a sign of life, reasoning included; comments, which proxies send by
    /// themselves, do not.
    fn too_slow(&self) -> Error {
        let phase = if self.text.is_empty() { Phase::FirstToken } else { Phase::NextToken };
        let message = format!("{}: no words for {} s", self.place, self.token_timeout.as_secs_f32());
        Error::new(ErrorKind::Timeout { phase }, message).with_billed(Billed::Maybe)
    }

    fn strange(&self, err: &serde_json::Error) -> Error {
        let said = errors::cleaned(&err.to_string(), self.key.as_ref());
        let message = format!("{}: an event of the answer is not of its format: {said}", self.place);
        Error::new(ErrorKind::InvalidResponse, message).with_billed(Billed::Maybe)
    }

    /// Takes what a chunk tells; gives its words, if it has any.
    pub(super) fn take(&mut self, chunk: Value) -> Result<Option<String>, Error> {
        let chunk: Chunk = serde_json::from_value(chunk).map_err(|err| self.strange(&err))?;
        self.head.model = chunk.model.or_else(|| self.head.model.take());
        if let Some(usage) = chunk.usage {
            self.usage = usage.into();
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(None) };
        self.refusal.push_str(&choice.delta.refusal.unwrap_or_default());
        // Some servers send an empty reason with every piece.
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            self.finish = Some(finish_reason(&reason));
        }
        let words = choice.delta.content.filter(|words| !words.is_empty());
        if let Some(words) = &words {
            self.first_token.get_or_insert_with(|| self.began.elapsed());
            self.text.push_str(words);
        }
        Ok(words)
    }

    /// The end of the answer. Only a finish reason makes it one: some servers end a failed stream like a whole one.
    pub(super) fn end(&mut self) -> Result<Delta, Error> {
        if !self.refusal.is_empty() {
            let said = errors::cleaned(&self.refusal, self.key.as_ref());
            let err = Error::new(ErrorKind::Refused, format!("the model declined to answer: {said}"));
            return Err(self.failed(err.with_billed(Billed::Maybe)));
        }
        let Some(finish) = self.finish.take() else {
            let kind = ErrorKind::Truncated { cause: Cut::Disconnected };
            let message = format!("{}: the connection ended in the middle of the answer", self.place);
            return Err(self.failed(Error::new(kind, message).with_billed(Billed::Maybe)));
        };
        self.partial().finish(finish).into_end(&self.output)
    }

    /// An error with what there is of the answer.
    fn failed(&mut self, err: Error) -> Error {
        // A connection that breaks after the first words cuts the answer; before them there is nothing to cut.
        let err = match err.kind() {
            ErrorKind::Unavailable if !self.text.is_empty() && err.partial().is_none() => {
                let kind = ErrorKind::Truncated { cause: Cut::Disconnected };
                Error::new(kind, format!("{err}, in the middle of the answer")).with_billed(Billed::Maybe)
            }
            _ => err,
        };
        let billed = match self.usage {
            usage if usage == Usage::default() => err.billed(),
            usage => Billed::Yes(usage),
        };
        let id = self.head.request_id.clone();
        err.with_billed(billed).with_request_id(id).with_partial(self.partial())
    }

    fn partial(&mut self) -> Completion {
        let timing = Timing::new(self.first_token, self.began.elapsed()).http_version(self.http_version);
        Completion::new(std::mem::take(&mut self.text))
            .usage(self.usage)
            .head(self.head.clone())
            .timing(timing)
    }
}
