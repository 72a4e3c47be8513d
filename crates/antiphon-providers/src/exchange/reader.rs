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
//! | an error in a piece | complete after a natural end, unless a filter intervened | the error; `Unavailable` after the first text becomes `Truncated` |
//! | a piece that cannot be decoded | complete | `InvalidResponse` |
//! | the output, or a piece behind the first text, exceeds a limit | cut: the finish reason becomes `Length`, with an explanation | the same |
//! | far more bytes than output | complete | cut, as above; `InvalidResponse` before the first text |
//! | the last line cannot be decoded, with `Framing::Lines` | complete | `Truncated` |
//!
//! A body that is no stream (a page, nothing at all) is an `InvalidResponse`, and no broken connection: see `foreign`.
//!
//! Every error that ends the stream carries the partial answer, with its timing and the usage so far.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use antiphon_http::ErrorKind as HttpKind;
use antiphon_llm::{
    AnswerLimits, Billed, CancellationToken, Delta, Error, ErrorKind, Head, Output, RedactedText, Redactor,
    Streaming, TimeoutPhase,
};
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer::{Answer, Decode};
use super::context_window::SentPrompt;
use super::fault::{Fault, ReadFault};
use super::framing::{Framing, Piece, Pieces};
use super::repaired::{ends_in_half, joined, repaired};
use super::schema_watch::SentSchema;
use super::thoughts::Spoken;
use super::watchdog::{StreamWatchdog, TimeLimits, TimedOut};

mod bounds;
mod ending;
mod signals;

use bounds::Grown;
pub(super) use bounds::closed;
use signals::Signals;

/// The bytes of a piece that an error has, of which fewer are shown.
const MAX_SHOWN: usize = 8 << 10;

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
    /// The output without secrets, of which the end that may begin one is held back.
    redacted: RedactedText,
    /// The output that has been received, split into text and reasoning.
    spoken: Spoken,
    /// The bytes of the output that have been split.
    taken: usize,
    /// The bytes of the text that have been handed to the caller.
    emitted: usize,
    /// Whether all output has been split, since no more arrives.
    is_settled: bool,
    /// Whether the text was taken from the reasoning.
    is_from_reasoning: bool,
    /// The time from the beginning of the call to its first text.
    first_token: Option<Duration>,
    /// The state machine that decides when the answer is late.
    watchdog: StreamWatchdog,
    /// A timer set to the deadline of `watchdog`, or to an earlier one that tokens have extended since.
    timer: Pin<Box<Sleep>>,
    /// The registration of the task for the caller's hurry and cancellation.
    signals: Signals,
    /// The time at which the last delta was handed to the caller.
    yielded_at: Option<Instant>,
    /// The time at which the last piece was decoded, where a delta came of it.
    decoded_at: Option<Instant>,
    /// The first delta, received before the stream was handed to its caller.
    first: Option<Result<Delta, Error>>,
    /// The error of a line that could not be decoded: the last one of a truncated body, or, if another line follows, invalid.
    unread: Option<Fault>,
    /// The sizes at which the output last grew.
    grown: Grown,
    /// Whether the answer was cut at a limit.
    is_cut: bool,
    /// Whether the last item has been returned.
    ended: bool,
}

/// The facts of a call that are known before its answer.
pub(super) struct Facts {
    /// The method and the host of the request, for messages.
    pub(super) place: String,
    /// The content type of the response; empty where it has none.
    pub(super) content_type: String,
    /// The reader of the server's errors.
    pub(super) faults: ReadFault,
    /// The remover of the request's secrets from the server's texts.
    pub(super) redactor: Redactor,
    /// The form of the answer: JSON that is cut off is an error, and text is not.
    pub(super) output: Output,
    /// The requested model, which is compared with the one that served the answer.
    pub(super) model: String,
    /// The metadata of the response's head. Response id and model are added from the answer.
    pub(super) head: Head,
    /// The schema as it was sent.
    pub(super) schema: SentSchema,
    /// The size of the prompt that was sent.
    pub(super) sent_prompt: SentPrompt,
    /// The time limits of the call.
    pub(super) limits: TimeLimits,
    /// The limits on the size of the answer.
    pub(super) answer_limits: AnswerLimits,
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
        let signals = Signals::new(&facts);
        Box::new(Self {
            pieces,
            decode,
            answer: Answer::default(),
            redacted: facts.redactor.stream(),
            spoken: Spoken::default(),
            taken: 0,
            emitted: 0,
            is_settled: false,
            is_from_reasoning: false,
            first_token: None,
            watchdog,
            timer,
            signals,
            yielded_at: None,
            decoded_at: None,
            first: None,
            unread: None,
            grown: Grown::default(),
            is_cut: false,
            ended: false,
            facts,
        })
    }

    /// Decodes an answer that is not streamed.
    pub(super) fn take(&mut self, event: &str, data: &str) -> Result<(), Fault> {
        self.decode_piece(event, data)?;
        self.answer.is_over = true;
        Ok(())
    }

    /// Decodes a piece; one that cannot be decoded is decoded once more after its repair.
    ///
    /// # Errors
    /// The error in the piece, or that of its first decoding, with the piece itself.
    pub(super) fn decode_piece(&mut self, event: &str, data: &str) -> Result<(), Fault> {
        let fault = match self.decode.take(event, data, &mut self.answer) {
            Err(fault) if fault.is_malformed => fault,
            taken => return taken,
        };
        let data = data.trim();
        let begin = &data[..data.floor_char_boundary(MAX_SHOWN)];
        let shown = Fault { message: format!("{} in {begin}", fault.message), ..fault };
        let Some(better) = repaired(data) else { return Err(shown) };
        self.answer.has_halves |= better.has_halves;
        match self.decode.take(event, &better.data, &mut self.answer) {
            Err(again) if again.is_malformed => Err(shown),
            taken => taken,
        }
    }

    /// Returns whether anything of an answer has been decoded.
    pub(super) fn has_something(&self) -> bool {
        let answer = &self.answer;
        answer.finish.is_some()
            || answer.tool.is_some()
            || [&answer.text, &answer.refusal, &answer.reasoning].into_iter().any(|text| !text.is_empty())
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
            self.check_output();
            if let Some(words) = self.new_text() {
                return Poll::Ready(Some(Ok(Delta::Text(words))));
            }
            if let ControlFlow::Break(polled) = self.poll_piece(cx) {
                return polled;
            }
        }
    }

    /// Takes the text that has been decoded and not yet handed to the caller, if there is any.
    fn new_text(&mut self) -> Option<String> {
        if self.answer.is_over {
            self.settle();
        }
        let text = self.spoken.text.get(self.emitted..).filter(|text| !text.is_empty())?.to_owned();
        self.emitted = self.spoken.text.len();
        self.first_token.get_or_insert_with(|| self.facts.began.elapsed());
        Some(text)
    }

    /// Splits the output that has arrived since the last time into text and reasoning, without secrets.
    fn split(&mut self) {
        let mut output = &self.answer.text[self.taken..];
        if self.answer.has_halves {
            if !self.is_settled && ends_in_half(output) {
                output = output.split_at(output.len() - char::len_utf8(char::MAX)).0;
            }
            self.spoken.add(&self.redacted.push(&joined(output)));
        } else if !output.is_empty() {
            self.spoken.add(&self.redacted.push(output));
        }
        self.taken += output.len();
    }

    /// Reads the next piece. Breaks with the outcome of the poll where none is available, or where the answer ends.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> ControlFlow<PolledDelta> {
        if self.answer.is_over {
            return ControlFlow::Break(self.end());
        }
        let polled = self.pieces.poll_next(cx);
        if let Some(flooded) = self.flooded() {
            return ControlFlow::Break(flooded);
        }
        ControlFlow::Break(match polled {
            Poll::Pending if self.is_cancelled(cx) => self.cancelled(),
            Poll::Pending => match self.poll_timeout(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(late) => self.time_out(late),
            },
            Poll::Ready(Some(Ok(piece))) => return self.take_piece(&piece),
            Poll::Ready(None) => self.finish(),
            // Whether the answer is complete is decided by its own end.
            Poll::Ready(Some(Err(err))) if err.kind() == HttpKind::Truncated => self.finish(),
            Poll::Ready(Some(Err(_))) if self.answer.finish.is_some() => self.end(),
            Poll::Ready(Some(Err(err))) => self.fail_at_piece(&err),
        })
    }

    /// Returns whether the call is cancelled. The task is woken when the caller cancels the call, or gets into a hurry.
    fn is_cancelled(&mut self, cx: &mut Context<'_>) -> bool {
        self.signals.register(cx);
        self.facts.cancel.is_cancelled()
    }

    /// Decodes a piece of a streamed answer. Breaks where it is an error, or where the answer is late.
    fn take_piece(&mut self, piece: &Piece) -> ControlFlow<PolledDelta> {
        if let Some(fault) = self.unread.take() {
            return ControlFlow::Break(self.fail_with(&fault));
        }
        // A proxy may keep a stream of lines alive with the comments of server-sent events.
        let is_nothing = match D::FRAMING {
            Framing::Events => piece.data.trim().is_empty(),
            Framing::Lines => piece.data.starts_with(':'),
        };
        if is_nothing {
            return self.check_time();
        }
        if let Some(fault) = self.error_in(piece) {
            return ControlFlow::Break(self.end_with(&fault));
        }
        match self.decode_piece(&piece.event, &piece.data) {
            Ok(()) => {}
            // The answer is complete; what cannot be decoded behind it says nothing about it.
            Err(fault) if fault.is_malformed && self.answer.finish.is_some() => {}
            Err(fault) if D::FRAMING == Framing::Lines && fault.is_malformed => {
                self.unread = Some(fault);
            }
            Err(fault) => return ControlFlow::Break(self.end_with(&fault)),
        }
        self.check_time()
    }

    /// Lets the watchdog observe the answer after a piece. Breaks where the answer is late: while pieces
    /// arrive without a pause, the timer is never polled.
    fn check_time(&mut self) -> ControlFlow<PolledDelta> {
        let now = Instant::now();
        self.decoded_at = Some(now);
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
        if !self.watchdog.is_hurried() && self.facts.hurry.is_cancelled() {
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
        let ended = self.take_unframed().and_then(|()| self.decode.finish(&mut self.answer));
        if let Err(fault) = ended {
            return self.fail_with(&fault);
        }
        self.end()
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
        self.decoded_at = None;
        let delta = self.poll_delta(cx);
        if delta.is_ready() {
            // A delta is handed over as soon as its piece is decoded, and a look at the clock costs as much as a short piece.
            self.yielded_at = Some(self.decoded_at.unwrap_or_else(Instant::now));
        }
        delta
    }
}

mod foreign;
#[cfg(test)]
#[cfg(feature = "_chat")]
mod tests;
