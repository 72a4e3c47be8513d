use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use antiphon_http::{ErrorKind as HttpKind, SecretString};
use antiphon_llm::{
    Billed, Completion, Cut, Delta, Error, ErrorKind, FinishReason, Head, Output, Phase, Streaming, Timing,
    json,
};
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

use super::answer::{Answer, Decode};
use super::fault::{Fault, cleaned, of_http};
use super::framing::{Framing, Pieces};

/// After an answer's end, so long is waited for what should follow: its count of tokens, a polite goodbye.
const LINGER: Duration = Duration::from_secs(2);

/// An answer on its way, read piece by piece.
pub(super) struct Reader<D> {
    pub(super) pieces: Pieces,
    pub(super) decode: D,
    pub(super) facts: Facts,
    answer: Answer,
    /// How much of the text has been given on.
    given: usize,
    first_token: Option<Duration>,
    alarm: Pin<Box<Sleep>>,
    /// Whether something came since the alarm was set.
    heard: bool,
    /// What came before the stream was given to its caller.
    first: Option<Result<Delta, Error>>,
    /// A line that could not be read: the last one of a body that was cut, or nonsense, as the next shows.
    unread: Option<Fault>,
    ended: bool,
}

/// What is known of a call before its answer.
pub(super) struct Facts {
    pub(super) place: String,
    pub(super) key: Option<SecretString>,
    pub(super) output: Output,
    pub(super) model: String,
    pub(super) max_tokens: Option<u64>,
    pub(super) head: Head,
    pub(super) token_timeout: Duration,
    pub(super) began: Instant,
    pub(super) first_byte: Duration,
    pub(super) http_version: &'static str,
}

impl<D: Decode> Reader<D> {
    /// In a box of its own: it is handed on often, and is large.
    pub(super) fn new(pieces: Pieces, decode: D, facts: Facts) -> Box<Self> {
        let alarm = Box::pin(sleep(facts.token_timeout));
        Box::new(Self {
            pieces,
            decode,
            facts,
            answer: Answer::default(),
            given: 0,
            first_token: None,
            alarm,
            heard: false,
            first: None,
            unread: None,
            ended: false,
        })
    }

    /// Takes an answer that came all at once.
    pub(super) fn take(&mut self, event: &str, data: &str) -> Result<(), Fault> {
        self.decode.take(event, data, &mut self.answer)
    }

    /// Whether what was taken is any answer at all.
    pub(super) fn has_something(&self) -> bool {
        let answer = &self.answer;
        answer.finish.is_some() || !answer.text.is_empty() || !answer.refusal.is_empty()
    }

    /// The answer from its first words on; what the vendor told before them is in its head.
    pub(super) async fn begin(mut self: Box<Self>) -> Result<Streaming, Error> {
        let first = std::future::poll_fn(|cx| self.poll_delta(cx)).await;
        let first = first.unwrap_or_else(|| Err(self.cut()))?;
        self.first = Some(Ok(first));
        Streaming::begun(self.head(), self).await
    }

    fn poll_delta(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Delta, Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            if self.answer.text.len() > self.given {
                let words = self.answer.text[self.given..].to_owned();
                self.given = self.answer.text.len();
                self.first_token.get_or_insert_with(|| self.facts.began.elapsed());
                return Poll::Ready(Some(Ok(Delta::Text(words))));
            }
            if self.answer.is_over {
                return self.end();
            }
            match self.pieces.poll_next(cx) {
                Poll::Pending => match self.poll_alarm(cx) {
                    Poll::Pending => return Poll::Pending,
                    // The answer is whole already.
                    Poll::Ready(()) if self.answer.finish.is_some() => return self.end(),
                    Poll::Ready(()) => {
                        let err = self.too_slow();
                        return self.fail(err);
                    }
                },
                Poll::Ready(Some(Ok(piece))) => {
                    self.heard = true;
                    if let Some(fault) = self.unread.take() {
                        let err = self.of_fault(&fault);
                        return self.fail(err);
                    }
                    match self.decode.take(&piece.event, &piece.data, &mut self.answer) {
                        Ok(()) => {}
                        Err(fault)
                            if D::FRAMING == Framing::Lines && fault.kind == ErrorKind::InvalidResponse =>
                        {
                            self.unread = Some(fault);
                        }
                        Err(fault) => {
                            let err = self.of_fault(&fault);
                            return self.fail(err);
                        }
                    }
                }
                Poll::Ready(None) => return self.finish(),
                // Whether the answer is whole, its own end tells.
                Poll::Ready(Some(Err(err))) if err.kind() == HttpKind::Truncated => return self.finish(),
                Poll::Ready(Some(Err(_))) if self.answer.finish.is_some() => return self.end(),
                Poll::Ready(Some(Err(err))) => return self.fail(of_http(&err)),
            }
        }
    }

    /// Rings after a silence. Any piece counts as a sign of life, reasoning included; comments, which proxies send by
    /// themselves, do not.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.heard {
            self.heard = false;
            let patience = match self.answer.finish {
                Some(_) => LINGER.min(self.facts.token_timeout),
                None => self.facts.token_timeout,
            };
            let at = Instant::now() + patience;
            self.alarm.as_mut().reset(at);
        }
        self.alarm.as_mut().poll(cx)
    }

    fn finish(&mut self) -> Poll<Option<Result<Delta, Error>>> {
        match self.decode.finish(&mut self.answer) {
            Ok(()) if self.answer.text.len() > self.given => {
                self.answer.is_over = true;
                let words = self.answer.text[self.given..].to_owned();
                self.given = self.answer.text.len();
                Poll::Ready(Some(Ok(Delta::Text(words))))
            }
            Ok(()) => self.end(),
            Err(fault) => {
                let err = self.of_fault(&fault);
                self.fail(err)
            }
        }
    }

    /// The end of the answer. Only its own end makes it one: some servers end a failed stream like a whole one.
    fn end(&mut self) -> Poll<Option<Result<Delta, Error>>> {
        if !self.answer.refusal.is_empty() {
            let said = cleaned(&self.answer.refusal, self.facts.key.as_ref());
            let err = Error::new(ErrorKind::Refused, format!("the model declined to answer: {said}"));
            let billed = if self.answer.is_free { Billed::No } else { Billed::Maybe };
            return self.fail(err.with_billed(billed));
        }
        let Some(finish) = self.answer.finish.take() else {
            let err = self.cut();
            return self.fail(err);
        };
        self.ended = true;
        let finish = if finish == FinishReason::Stop && self.ends_at_the_limit() {
            FinishReason::Length
        } else {
            finish
        };
        let whole = self.completion().finish(finish).into_whole(&self.facts.output);
        Poll::Ready(Some(match whole {
            Ok(answer) => Ok(Delta::End(Box::new(answer))),
            Err(err) => Err(self.told(err)),
        }))
    }

    /// Some servers call it a stop when they cut an answer: llama.cpp by its Responses, Ollama's imitators. An answer of
    /// exactly as many tokens as were allowed is taken for cut, unless it is JSON and whole.
    fn ends_at_the_limit(&self) -> bool {
        let at_limit = self.facts.max_tokens.is_some() && self.answer.usage.output == self.facts.max_tokens;
        at_limit && (self.facts.output.schema().is_none() || json::extract(&self.answer.text).is_err())
    }

    fn cut(&self) -> Error {
        let kind = ErrorKind::Truncated { cause: Cut::Disconnected };
        let message = format!("{}: the connection ended in the middle of the answer", self.facts.place);
        Error::new(kind, message).with_billed(Billed::Maybe)
    }

    fn too_slow(&self) -> Error {
        let phase = if self.given == 0 { Phase::FirstToken } else { Phase::NextToken };
        let message =
            format!("{}: no words for {} s", self.facts.place, self.facts.token_timeout.as_secs_f32());
        Error::new(ErrorKind::Timeout { phase }, message).with_billed(Billed::Maybe)
    }

    /// An error that the server reports inside an answer that began well.
    pub(super) fn of_fault(&self, fault: &Fault) -> Error {
        let said = cleaned(&fault.message, self.facts.key.as_ref());
        let message = match fault.kind {
            ErrorKind::InvalidResponse => format!("{}: {said}", self.facts.place),
            _ => format!("{}: the answer broke off with an error: {said}", self.facts.place),
        };
        let billed = if self.given == 0 { fault.billed_before_words() } else { Billed::Maybe };
        let limits = fault.limits.as_deref().copied().unwrap_or(self.facts.head.limits);
        Error::new(fault.kind, message).with_billed(billed).with_limits(limits)
    }

    /// Ends with an error, and with what there is of the answer.
    fn fail(&mut self, err: Error) -> Poll<Option<Result<Delta, Error>>> {
        self.ended = true;
        // A connection that breaks after the first words cuts the answer; before them there is nothing to cut.
        let err = match err.kind() {
            ErrorKind::Unavailable if self.given > 0 => {
                let kind = ErrorKind::Truncated { cause: Cut::Disconnected };
                let cut = Error::new(kind, format!("{err}, in the middle of the answer"));
                cut.with_billed(Billed::Maybe).with_limits(*err.limits())
            }
            _ => err,
        };
        // Before its end an answer is counted only as far as it had come, if at all.
        let is_counted = self.answer.finish.is_some() && self.answer.usage.output.is_some();
        let billed = match err.billed() {
            Billed::Maybe | Billed::Yes(_) if is_counted => Billed::Yes(self.answer.usage.plausible()),
            billed => billed,
        };
        let partial = self.completion();
        Poll::Ready(Some(Err(self.told(err.with_billed(billed).with_partial(partial)))))
    }

    fn told(&self, err: Error) -> Error {
        let head = self.head();
        err.with_request_id(head.request_id.or(head.response_id))
    }

    fn head(&self) -> Head {
        let mut head = self.facts.head.clone();
        head.response_id.clone_from(&self.answer.id);
        match &self.answer.model {
            Some(model) => head.served(model, &self.facts.model),
            None => head,
        }
    }

    fn completion(&mut self) -> Completion {
        let timing = Timing::new(self.first_token, self.facts.began.elapsed())
            .first_byte(Some(self.facts.first_byte))
            .http_version(self.facts.http_version);
        let head = self.head();
        Completion::new(std::mem::take(&mut self.answer.text))
            .usage(self.answer.usage.plausible())
            .head(head)
            .timing(timing)
    }
}

impl<D: Decode> Stream for Reader<D> {
    type Item = Result<Delta, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_delta(cx)
    }
}
