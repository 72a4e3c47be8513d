//! The reader of an answer in progress: a [`Stream`] of deltas over a vendor's decoder.
//!
//! ```text
//! Pieces ──piece──▶ Decode ──▶ Answer ──new text──▶ Delta::Text
//!                                 │ finish reason ──▶ Delta::End
//!    StreamWatchdog ◀──observes───┘ anything else ──▶ Err, with the partial answer
//! ```
//!
//! The end of an answer is decided by its finish reason, never by the end of the connection: servers close
//! connections of failed answers in order, and some keep connections of complete ones open. Each of these ends
//! is handled here:
//!
//! | end | with a finish reason | without one |
//! |---|---|---|
//! | the decoder's last piece | complete | `Truncated` |
//! | the body ends | complete | `Truncated` |
//! | the connection breaks | complete | `Unavailable` before the first text, then `Truncated` |
//! | a time-out, or the deadline of the call | complete | `Timeout`, or `Cancelled` in a hurry |
//! | the call is cancelled | complete | `Cancelled` |
//! | an error in a piece | the error; `Unavailable` after the first text becomes `Truncated` | the same |
//! | the last line cannot be decoded, with `Framing::Lines` | complete | `Truncated` |
//!
//! Every error that ends the stream carries the partial answer, with its timing and the usage so far.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use antiphon_http::{ErrorKind as HttpKind, SecretString};
use antiphon_llm::{
    Billed, CancellationToken, Completion, Delta, Error, ErrorKind, FinishReason, Head, Output, Streaming,
    TimeoutPhase, Timing, TruncationCause, json,
};
use futures_util::Stream;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer::{Answer, Decode};
use super::fault::{Fault, cleaned, of_http};
use super::framing::{Framing, Piece, Pieces};
use super::watchdog::{StreamWatchdog, TimeLimits, TimedOut};

/// The outcome of a poll for the next delta.
type PolledDelta = Poll<Option<Result<Delta, Error>>>;

/// A reader of an answer in progress, piece by piece.
///
/// # Cancel safety
/// Polls lose nothing: a poll that is pending can be repeated. Dropping the reader closes the connection, and
/// the model may have worked on the answer.
pub(super) struct Reader<D> {
    /// The pieces that have not been read.
    pub(super) pieces: Pieces,
    /// The vendor's decoder, with the state that it keeps between pieces.
    pub(super) decode: D,
    /// The facts of the call.
    pub(super) facts: Facts,
    /// The answer so far, as the decoder fills it in.
    answer: Answer,
    /// The bytes of the text that have been handed to the caller.
    emitted: usize,
    /// The time from the beginning of the call to its first text.
    first_token: Option<Duration>,
    /// The state machine that decides when the answer is late.
    watchdog: StreamWatchdog,
    /// A timer set to the deadline of `watchdog`, or to an earlier one that tokens have extended since.
    timer: Pin<Box<Sleep>>,
    /// A future that resolves when the caller gets into a hurry; not polled any more after that.
    hurry: BoxFuture<'static, ()>,
    /// A future that resolves when the caller cancels the call, which ends the reader.
    cancel: BoxFuture<'static, ()>,
    /// The time at which the last delta was handed to the caller.
    yielded_at: Option<Instant>,
    /// The first delta, received before the stream was handed to its caller.
    first: Option<Result<Delta, Error>>,
    /// The error of a line that could not be decoded: the last one of a truncated body, or, if another line follows, invalid.
    unread: Option<Fault>,
    /// Whether the last item has been returned.
    ended: bool,
}

/// The facts of a call that are known before its answer.
pub(super) struct Facts {
    /// The method and the host of the request, for messages.
    pub(super) place: String,
    /// The key, which is removed from the server's texts.
    pub(super) key: Option<SecretString>,
    /// The form of the answer: JSON that is cut off is an error, and text is not.
    pub(super) output: Output,
    /// The requested model, which is compared with the one that served the answer.
    pub(super) model: String,
    /// The metadata of the response's head. Response id and model are added from the answer.
    pub(super) head: Head,
    /// The time limits of the call.
    pub(super) limits: TimeLimits,
    /// A token after whose cancellation the answer may not stall.
    pub(super) hurry: CancellationToken,
    /// A token that ends the answer.
    pub(super) cancel: CancellationToken,
    /// The time at which the call began, before its request was built.
    pub(super) began: Instant,
    /// The time at which the request was sent.
    pub(super) sent: Instant,
    /// The time from the beginning of the call to the head of the response.
    pub(super) first_byte: Duration,
    /// The HTTP version in use, such as `HTTP/2.0`.
    pub(super) http_version: &'static str,
}

impl<D: Decode> Reader<D> {
    /// Creates a boxed reader, since it is large and often moved.
    pub(super) fn new(pieces: Pieces, decode: D, facts: Facts) -> Box<Self> {
        let watchdog = StreamWatchdog::new(facts.limits, facts.sent);
        let timer = Box::pin(sleep_until(watchdog.deadline()));
        let hurry = Box::pin(facts.hurry.clone().cancelled_owned());
        let cancel = Box::pin(facts.cancel.clone().cancelled_owned());
        Box::new(Self {
            pieces,
            decode,
            facts,
            answer: Answer::default(),
            emitted: 0,
            first_token: None,
            watchdog,
            timer,
            hurry,
            cancel,
            yielded_at: None,
            first: None,
            unread: None,
            ended: false,
        })
    }

    /// Decodes an answer that is not streamed.
    pub(super) fn take(&mut self, event: &str, data: &str) -> Result<(), Fault> {
        self.decode.take(event, data, &mut self.answer)
    }

    /// Returns whether anything of an answer has been decoded.
    pub(super) fn has_something(&self) -> bool {
        let answer = &self.answer;
        answer.finish.is_some() || !answer.text.is_empty() || !answer.refusal.is_empty()
    }

    /// Waits for the first delta and starts the stream with it; what the vendor reported before it is in the head.
    ///
    /// # Errors
    /// The error of an answer that ends before its first delta; `Truncated` for one without any.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(super) async fn begin(mut self: Box<Self>) -> Result<Streaming, Error> {
        let first = std::future::poll_fn(|cx| self.poll_delta(cx)).await;
        let first = first.unwrap_or_else(|| Err(self.truncated()))?;
        self.first = Some(Ok(first));
        Streaming::start(self.head(), self).await
    }

    /// Polls for the next delta: new text first, then the end of the answer, then the next piece.
    fn poll_delta(&mut self, cx: &mut Context<'_>) -> PolledDelta {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            if let Some(words) = self.new_text() {
                self.first_token.get_or_insert_with(|| self.facts.began.elapsed());
                return Poll::Ready(Some(Ok(Delta::Text(words))));
            }
            if let ControlFlow::Break(polled) = self.poll_piece(cx) {
                return polled;
            }
        }
    }

    /// Takes the text that has been decoded and not yet handed to the caller, if there is any.
    fn new_text(&mut self) -> Option<String> {
        let text = self.answer.text.get(self.emitted..).filter(|text| !text.is_empty())?.to_owned();
        self.emitted = self.answer.text.len();
        Some(text)
    }

    /// Reads the next piece. Breaks with the outcome of the poll where none is available, or where the answer ends.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> ControlFlow<PolledDelta> {
        if self.answer.is_over {
            return ControlFlow::Break(self.end());
        }
        ControlFlow::Break(match self.pieces.poll_next(cx) {
            Poll::Pending if self.cancel.as_mut().poll(cx).is_ready() => self.cancelled(),
            Poll::Pending => match self.poll_timeout(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(late) => self.time_out(late),
            },
            Poll::Ready(Some(Ok(piece))) => return self.take_piece(&piece),
            Poll::Ready(None) => self.finish(),
            // Whether the answer is complete is decided by its own end.
            Poll::Ready(Some(Err(err))) if err.kind() == HttpKind::Truncated => self.finish(),
            Poll::Ready(Some(Err(_))) if self.answer.finish.is_some() => self.end(),
            Poll::Ready(Some(Err(err))) => self.fail(of_http(&err)),
        })
    }

    /// Decodes a piece of a streamed answer. Breaks where it is an error, or where the answer is late.
    fn take_piece(&mut self, piece: &Piece) -> ControlFlow<PolledDelta> {
        if let Some(fault) = self.unread.take() {
            return ControlFlow::Break(self.fail_with(&fault));
        }
        match self.decode.take(&piece.event, &piece.data, &mut self.answer) {
            Ok(()) => {}
            Err(fault) if D::FRAMING == Framing::Lines && fault.kind == ErrorKind::InvalidResponse => {
                self.unread = Some(fault);
            }
            Err(fault) => return ControlFlow::Break(self.fail_with(&fault)),
        }
        self.check_time()
    }

    /// Lets the watchdog observe the answer after a piece. Breaks where the answer is late: while pieces
    /// arrive without a pause, the timer is never polled.
    fn check_time(&mut self) -> ControlFlow<PolledDelta> {
        let now = Instant::now();
        self.watchdog.observe(&self.answer, now);
        match self.watchdog.late(now).filter(|_| !self.answer.is_over) {
            Some(late) => ControlFlow::Break(self.time_out(late)),
            None => ControlFlow::Continue(()),
        }
    }

    /// Waits until the answer is late. The clock is read each time: while pieces without output arrive without a pause, tokio
    /// fires no timer of this task.
    ///
    /// The timer is reset only when it has fired too early, or when the deadline has moved to an earlier time.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<TimedOut> {
        if !self.watchdog.is_hurried() && self.hurry.as_mut().poll(cx).is_ready() {
            self.watchdog.hurry(Instant::now());
        }
        loop {
            if let Some(late) = self.watchdog.late(Instant::now()) {
                return Poll::Ready(late);
            }
            let deadline = self.watchdog.deadline();
            // Each token extends the deadline; the timer is not reset for it.
            if self.timer.deadline() > deadline || self.timer.is_elapsed() {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(cx));
        }
    }

    /// Ends an answer whose call is cancelled, unless it is already complete.
    fn cancelled(&mut self) -> PolledDelta {
        if self.answer.finish.is_some() {
            return self.end();
        }
        let err = cancelled(&self.facts.place);
        self.fail(err)
    }

    /// Ends an answer that took too long, unless it is already complete.
    fn time_out(&mut self, late: TimedOut) -> PolledDelta {
        if self.answer.finish.is_some() {
            return self.end();
        }
        let err = self.timeout_error(late);
        self.fail(err)
    }

    /// Ends the decoding, since no further piece follows.
    fn finish(&mut self) -> PolledDelta {
        if let Err(fault) = self.decode.finish(&mut self.answer) {
            return self.fail_with(&fault);
        }
        let Some(words) = self.new_text() else { return self.end() };
        self.answer.is_over = true;
        Poll::Ready(Some(Ok(Delta::Text(words))))
    }

    /// Ends the answer. Only a finish reason makes it complete: some servers end a failed stream like a complete one.
    ///
    /// An answer that the schema's form or the filter makes unusable is an error, too: see
    /// `Completion::into_complete`.
    fn end(&mut self) -> PolledDelta {
        if !self.answer.refusal.is_empty() {
            return self.refuse();
        }
        let Some(finish) = self.answer.finish.take() else {
            let err = self.truncated();
            return self.fail(err);
        };
        self.ended = true;
        let is_cut = finish == FinishReason::Stop && self.ends_at_the_limit();
        let finish = if is_cut { FinishReason::Length } else { finish };
        let completion = self.completion().finish(finish).into_complete(&self.facts.output);
        Poll::Ready(Some(match completion {
            Ok(answer) => Ok(Delta::End(Box::new(answer))),
            Err(err) => Err(self.with_request_id(err)),
        }))
    }

    /// Ends the answer of a model that declined to answer.
    ///
    /// A refusal that the vendor does not bill is reported as such.
    fn refuse(&mut self) -> PolledDelta {
        let said = cleaned(&self.answer.refusal, self.facts.key.as_ref());
        let err = Error::new(ErrorKind::ModelRefusal, format!("the model declined to answer: {said}"));
        let billed = if self.answer.is_free { Billed::No } else { Billed::Maybe };
        self.fail(err.with_billed(billed))
    }

    /// Returns whether an answer was cut off at `max_tokens`. Some servers report that as a stop: llama.cpp's Responses API,
    /// Ollama's imitators. An answer of exactly `max_tokens` tokens counts as cut off, unless it is complete JSON.
    fn ends_at_the_limit(&self) -> bool {
        let max_tokens = self.facts.limits.max_tokens;
        let at_limit = max_tokens.is_some() && self.answer.usage.output == max_tokens;
        at_limit && (self.facts.output.schema().is_none() || json::extract(&self.answer.text).is_err())
    }

    /// Creates the error of an answer without a finish reason. A retry may help, and the call is possibly
    /// billed.
    fn truncated(&self) -> Error {
        let kind = ErrorKind::Truncated { cause: TruncationCause::Disconnected };
        let message = format!("{}: the connection ended in the middle of the answer", self.facts.place);
        Error::new(kind, message).with_billed(Billed::Maybe)
    }

    /// Creates the error of a late answer. The phase distinguishes a server that never answered from one that
    /// stopped.
    fn timeout_error(&self, late: TimedOut) -> Error {
        let place = &self.facts.place;
        let (phase, message) = match late {
            TimedOut::Call(allowed) => {
                let message = format!("{place}: the answer did not end within {} s", allowed.as_secs_f32());
                (TimeoutPhase::Call, message)
            }
            TimedOut::Token if self.watchdog.is_hurried() => return stalled(place),
            TimedOut::Token => {
                let phase =
                    if self.emitted == 0 { TimeoutPhase::FirstToken } else { TimeoutPhase::NextToken };
                (phase, format!("{place}: no token for {} s", self.facts.limits.token_timeout.as_secs_f32()))
            }
        };
        Error::new(ErrorKind::Timeout { phase }, message).with_billed(Billed::Maybe)
    }

    /// Creates the error that the server reports inside an answer with status 200.
    ///
    /// Limits in the error itself prevail over those of the headers. Once text has arrived, a model ran, and
    /// the call is possibly billed whatever the kind is.
    pub(super) fn of_fault(&self, fault: &Fault) -> Error {
        let said = cleaned(&fault.message, self.facts.key.as_ref());
        let message = match fault.kind {
            ErrorKind::InvalidResponse => format!("{}: {said}", self.facts.place),
            _ => format!("{}: the answer ended with an error: {said}", self.facts.place),
        };
        let billed = if self.emitted == 0 { fault.billed_before_words() } else { Billed::Maybe };
        let limits = fault.limits.as_deref().copied().unwrap_or(self.facts.head.limits);
        Error::new(fault.kind, message).with_billed(billed).with_limits(limits)
    }

    /// Ends the stream with the error that the server reports inside the answer.
    fn fail_with(&mut self, fault: &Fault) -> PolledDelta {
        let err = self.of_fault(fault);
        self.fail(err)
    }

    /// Ends the stream with an error, which has the partial answer.
    ///
    /// A possibly billed call becomes billed for its tokens where the counts are final, and they are after the
    /// finish reason.
    fn fail(&mut self, err: Error) -> PolledDelta {
        self.ended = true;
        let err = self.as_truncation(err);
        // Before the finish reason, token counts cover only a part of the answer, if any.
        let is_counted = self.answer.finish.is_some() && self.answer.usage.output.is_some();
        let billed = match err.billed() {
            Billed::Maybe | Billed::Yes(_) if is_counted => Billed::Yes(self.answer.usage.plausible()),
            billed => billed,
        };
        let partial = self.completion();
        Poll::Ready(Some(Err(self.with_request_id(err.with_billed(billed).with_partial(partial)))))
    }

    /// Maps an error of the connection or of the server: after the first token it truncates the answer; before it, the call is
    /// simply unavailable.
    fn as_truncation(&self, err: Error) -> Error {
        if err.kind() != ErrorKind::Unavailable || self.emitted == 0 {
            return err;
        }
        let kind = ErrorKind::Truncated { cause: TruncationCause::Disconnected };
        let cut = Error::new(kind, format!("{err}, in the middle of the answer"));
        cut.with_billed(Billed::Maybe).with_limits(*err.limits())
    }

    /// Adds the id of the request to an error, or that of the answer where the head has none.
    fn with_request_id(&self, err: Error) -> Error {
        let head = self.head();
        err.with_request_id(head.request_id.or(head.response_id))
    }

    /// Returns the metadata of the head with those that the answer itself reports.
    fn head(&self) -> Head {
        let mut head = self.facts.head.clone();
        head.response_id.clone_from(&self.answer.id);
        match &self.answer.model {
            Some(model) => head.served(model, &self.facts.model),
            None => head,
        }
    }

    /// Takes the text and returns the answer with its usage and timing; called once, at the end. Implausible
    /// counts are left out.
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

/// Creates the error of an answer whose caller has cancelled the call.
pub(super) fn cancelled(place: &str) -> Error {
    Error::new(ErrorKind::Cancelled, format!("{place}: the call was cancelled")).with_billed(Billed::Maybe)
}

/// Creates the error of an answer that stalls while its caller is in a hurry.
pub(super) fn stalled(place: &str) -> Error {
    let message = format!("{place}: cancelled after the interruption: the answer stalled");
    Error::new(ErrorKind::Cancelled, message).with_billed(Billed::Maybe)
}

impl<D: Decode> Stream for Reader<D> {
    type Item = Result<Delta, Error>;

    /// The time from a delta to the next poll is excluded from the server's time: a caller that applies
    /// backpressure does not cause a time-out.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(yielded_at) = self.yielded_at.take() {
            self.watchdog.leave_out(yielded_at.elapsed());
        }
        let delta = self.poll_delta(cx);
        if delta.is_ready() {
            self.yielded_at = Some(Instant::now());
        }
        delta
    }
}

#[cfg(test)]
mod tests;
