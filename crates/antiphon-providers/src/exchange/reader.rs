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
use super::framing::{Framing, Pieces};
use super::watchdog::{StreamWatchdog, TimeLimits, TimedOut};

/// A reader of an answer in progress, piece by piece.
pub(super) struct Reader<D> {
    pub(super) pieces: Pieces,
    pub(super) decode: D,
    pub(super) facts: Facts,
    answer: Answer,
    /// The bytes of the text that have been handed to the caller.
    emitted: usize,
    first_token: Option<Duration>,
    watchdog: StreamWatchdog,
    /// A timer set to the deadline of `watchdog`, or to an earlier one that tokens have extended since.
    timer: Pin<Box<Sleep>>,
    hurry: BoxFuture<'static, ()>,
    /// The time at which the last delta was handed to the caller.
    yielded_at: Option<Instant>,
    /// The first delta, received before the stream was handed to its caller.
    first: Option<Result<Delta, Error>>,
    /// The error of a line that could not be decoded: the last one of a truncated body, or, if another line follows, invalid.
    unread: Option<Fault>,
    ended: bool,
}

/// The facts of a call that are known before its answer.
pub(super) struct Facts {
    pub(super) place: String,
    pub(super) key: Option<SecretString>,
    pub(super) output: Output,
    pub(super) model: String,
    pub(super) head: Head,
    pub(super) limits: TimeLimits,
    /// A token after whose cancellation the answer may not stall.
    pub(super) hurry: CancellationToken,
    pub(super) began: Instant,
    /// The time at which the request was sent.
    pub(super) sent: Instant,
    pub(super) first_byte: Duration,
    pub(super) http_version: &'static str,
}

impl<D: Decode> Reader<D> {
    /// Creates a boxed reader, since it is large and often moved.
    pub(super) fn new(pieces: Pieces, decode: D, facts: Facts) -> Box<Self> {
        let watchdog = StreamWatchdog::new(facts.limits, facts.sent);
        let timer = Box::pin(sleep_until(watchdog.deadline()));
        let hurry = Box::pin(facts.hurry.clone().cancelled_owned());
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
    pub(super) async fn begin(mut self: Box<Self>) -> Result<Streaming, Error> {
        let first = std::future::poll_fn(|cx| self.poll_delta(cx)).await;
        let first = first.unwrap_or_else(|| Err(self.truncated()))?;
        self.first = Some(Ok(first));
        Streaming::start(self.head(), self).await
    }

    fn poll_delta(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Delta, Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            if self.answer.text.len() > self.emitted {
                let words = self.answer.text[self.emitted..].to_owned();
                self.emitted = self.answer.text.len();
                self.first_token.get_or_insert_with(|| self.facts.began.elapsed());
                return Poll::Ready(Some(Ok(Delta::Text(words))));
            }
            if self.answer.is_over {
                return self.end();
            }
            match self.pieces.poll_next(cx) {
                Poll::Pending => match self.poll_timeout(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(late) => return self.time_out(late),
                },
                Poll::Ready(Some(Ok(piece))) => {
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
                    // While pieces arrive without a pause, the timer is never polled.
                    let now = Instant::now();
                    self.watchdog.observe(&self.answer, now);
                    if let Some(late) = self.watchdog.late(now).filter(|_| !self.answer.is_over) {
                        return self.time_out(late);
                    }
                }
                Poll::Ready(None) => return self.finish(),
                // Whether the answer is complete is decided by its own end.
                Poll::Ready(Some(Err(err))) if err.kind() == HttpKind::Truncated => return self.finish(),
                Poll::Ready(Some(Err(_))) if self.answer.finish.is_some() => return self.end(),
                Poll::Ready(Some(Err(err))) => return self.fail(of_http(&err)),
            }
        }
    }

    /// Waits until the answer is late. The clock is read each time: while pieces without output arrive without a pause, tokio
    /// fires no timer of this task.
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

    /// Ends an answer that took too long, unless it is already complete.
    fn time_out(&mut self, late: TimedOut) -> Poll<Option<Result<Delta, Error>>> {
        if self.answer.finish.is_some() {
            return self.end();
        }
        let err = self.timeout_error(late);
        self.fail(err)
    }

    fn finish(&mut self) -> Poll<Option<Result<Delta, Error>>> {
        match self.decode.finish(&mut self.answer) {
            Ok(()) if self.answer.text.len() > self.emitted => {
                self.answer.is_over = true;
                let words = self.answer.text[self.emitted..].to_owned();
                self.emitted = self.answer.text.len();
                Poll::Ready(Some(Ok(Delta::Text(words))))
            }
            Ok(()) => self.end(),
            Err(fault) => {
                let err = self.of_fault(&fault);
                self.fail(err)
            }
        }
    }

    /// Ends the answer. Only a finish reason makes it complete: some servers end a failed stream like a complete one.
    fn end(&mut self) -> Poll<Option<Result<Delta, Error>>> {
        if !self.answer.refusal.is_empty() {
            let said = cleaned(&self.answer.refusal, self.facts.key.as_ref());
            let err = Error::new(ErrorKind::ModelRefusal, format!("the model declined to answer: {said}"));
            let billed = if self.answer.is_free { Billed::No } else { Billed::Maybe };
            return self.fail(err.with_billed(billed));
        }
        let Some(finish) = self.answer.finish.take() else {
            let err = self.truncated();
            return self.fail(err);
        };
        self.ended = true;
        let finish = if finish == FinishReason::Stop && self.ends_at_the_limit() {
            FinishReason::Length
        } else {
            finish
        };
        let completion = self.completion().finish(finish).into_complete(&self.facts.output);
        Poll::Ready(Some(match completion {
            Ok(answer) => Ok(Delta::End(Box::new(answer))),
            Err(err) => Err(self.with_request_id(err)),
        }))
    }

    /// Returns whether an answer was cut off at `max_tokens`. Some servers report that as a stop: llama.cpp's Responses API,
    /// Ollama's imitators. An answer of exactly `max_tokens` tokens counts as cut off, unless it is complete JSON.
    fn ends_at_the_limit(&self) -> bool {
        let max_tokens = self.facts.limits.max_tokens;
        let at_limit = max_tokens.is_some() && self.answer.usage.output == max_tokens;
        at_limit && (self.facts.output.schema().is_none() || json::extract(&self.answer.text).is_err())
    }

    fn truncated(&self) -> Error {
        let kind = ErrorKind::Truncated { cause: TruncationCause::Disconnected };
        let message = format!("{}: the connection ended in the middle of the answer", self.facts.place);
        Error::new(kind, message).with_billed(Billed::Maybe)
    }

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

    /// Ends the stream with an error, which has the partial answer.
    fn fail(&mut self, err: Error) -> Poll<Option<Result<Delta, Error>>> {
        self.ended = true;
        // A connection that breaks after the first token truncates the answer; before it, the call is simply unavailable.
        let err = match err.kind() {
            ErrorKind::Unavailable if self.emitted > 0 => {
                let kind = ErrorKind::Truncated { cause: TruncationCause::Disconnected };
                let cut = Error::new(kind, format!("{err}, in the middle of the answer"));
                cut.with_billed(Billed::Maybe).with_limits(*err.limits())
            }
            _ => err,
        };
        // Before the finish reason, token counts cover only a part of the answer, if any.
        let is_counted = self.answer.finish.is_some() && self.answer.usage.output.is_some();
        let billed = match err.billed() {
            Billed::Maybe | Billed::Yes(_) if is_counted => Billed::Yes(self.answer.usage.plausible()),
            billed => billed,
        };
        let partial = self.completion();
        Poll::Ready(Some(Err(self.with_request_id(err.with_billed(billed).with_partial(partial)))))
    }

    fn with_request_id(&self, err: Error) -> Error {
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

/// Creates the error of an answer that stalls while its caller is in a hurry.
pub(super) fn stalled(place: &str) -> Error {
    let message = format!("{place}: cancelled after the interruption: the answer stalled");
    Error::new(ErrorKind::Cancelled, message).with_billed(Billed::Maybe)
}

impl<D: Decode> Stream for Reader<D> {
    type Item = Result<Delta, Error>;

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
mod tests {
    use std::time::Duration;

    use antiphon_llm::{
        Billed, CallContext, CancellationToken, Completion, Error, ErrorKind, Head, Output, TimeoutPhase,
    };
    use futures_util::{FutureExt, StreamExt, stream};
    use tokio::time::{Instant, sleep, timeout};

    use super::{Facts, Reader, TimeLimits};
    use crate::chat::ChatDecoder;
    use crate::exchange::framing::{Piece, Pieces};

    const WORD: &str = r#"{"choices":[{"delta":{"content":"word "}}]}"#;
    const EMPTY: &str = r#"{"choices":[{"delta":{}}]}"#;

    fn facts() -> Facts {
        let token_timeout = Duration::from_secs(60);
        Facts {
            place: "POST h".to_owned(),
            key: None,
            output: Output::Text,
            model: "m".to_owned(),
            head: Head::default(),
            limits: TimeLimits { token_timeout, call_timeout: None, max_tokens: Some(1_000) },
            began: Instant::now(),
            sent: Instant::now(),
            first_byte: Duration::ZERO,
            http_version: "HTTP/1.1",
            hurry: CancellationToken::new(),
        }
    }

    /// Reads an answer of `first`, then of `again` every `seconds` for ever; returns its end and the seconds until then.
    async fn asked(
        facts: Facts,
        first: &[&'static str],
        (again, seconds): (&'static str, u64),
    ) -> (Result<Completion, Error>, u64) {
        let piece = |data: &str| Piece { event: String::new(), data: data.to_owned() };
        let first = stream::iter(first.iter().map(|data| piece(data)).collect::<Vec<_>>());
        let rest = stream::repeat(again).then(move |data| async move {
            sleep(Duration::from_secs(seconds)).await;
            piece(data)
        });
        let began = Instant::now();
        let reader = Reader::new(Pieces::Timed(first.chain(rest).boxed()), ChatDecoder, facts);
        let ended = async { reader.begin().await?.complete(&CallContext::default()).await };
        let ended = timeout(Duration::from_secs(1_000_000), ended).await.expect("it ends");
        (ended, began.elapsed().as_secs())
    }

    #[track_caller]
    fn check(
        (ended, seconds): (Result<Completion, Error>, u64),
        phase: TimeoutPhase,
        after: u64,
        text: &str,
    ) {
        let err = ended.unwrap_err();
        assert_eq!((err.kind(), seconds), (ErrorKind::Timeout { phase }, after), "{err}");
        let partial = err.partial().map(|partial| partial.text.as_str());
        assert_eq!((partial, err.billed()), (Some(text), Billed::Maybe));
    }

    #[tokio::test(start_paused = true)]
    async fn events_without_output_do_not_extend_the_limit() {
        let role = r#"{"choices":[{"delta":{"role":"assistant","content":"","reasoning_content":null}}]}"#;
        let usage = r#"{"choices":[],"usage":{"completion_tokens":0}}"#;
        for empty in [EMPTY, role, usage] {
            check(asked(facts(), &[], (empty, 7)).await, TimeoutPhase::FirstToken, 60, "");
            check(asked(facts(), &[WORD], (empty, 7)).await, TimeoutPhase::NextToken, 60, "word ");
        }
        // The head of the answer used up a part of the time limit.
        let late = Facts { sent: Instant::now() - Duration::from_secs(20), ..facts() };
        check(asked(late, &[], (EMPTY, 7)).await, TimeoutPhase::FirstToken, 40, "");
    }

    #[tokio::test(start_paused = true)]
    async fn occasional_tokens_end_with_the_partial_answer() {
        check(asked(facts(), &[WORD], (WORD, 50)).await, TimeoutPhase::Call, 196, "word word word word ");
        let mut bound = facts();
        bound.limits.call_timeout = Some(Duration::from_secs(130));
        check(asked(bound, &[WORD], (WORD, 50)).await, TimeoutPhase::Call, 130, "word word word ");
    }

    #[tokio::test(start_paused = true)]
    async fn hidden_output_keeps_a_call_alive() {
        for output in [
            r#"{"choices":[{"delta":{"reasoning_content":"hm, one two three four five six seven eight"}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"hm, one two three four five six seven eight nine"}}]}"#,
            r#"{"choices":[{"delta":{"refusal":"I cannot help with that, for I was told not to do so"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":12345}"}}]}}]}"#,
        ] {
            let mut bound = facts();
            bound.limits.call_timeout = Some(Duration::from_secs(3_000));
            check(asked(bound, &[], (output, 30)).await, TimeoutPhase::Call, 3_000, "");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_token_a_second_is_not_cut_off() {
        let piece = |data: &str| Piece { event: String::new(), data: data.to_owned() };
        let end = piece(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#);
        let words = stream::repeat(WORD).take(999).then(move |word| async move {
            sleep(Duration::from_secs(2)).await;
            piece(word)
        });
        let words = words.chain(stream::iter([end])).boxed();
        let answer = Reader::new(Pieces::Timed(words), ChatDecoder, facts()).begin().await.unwrap();
        assert_eq!(answer.complete(&CallContext::default()).await.unwrap().text.len(), 999 * WORD_LEN);
    }

    const WORD_LEN: usize = "word ".len();

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_empty_events_times_out() {
        let piece = || Piece { event: String::new(), data: EMPTY.to_owned() };
        // Never pending, while the clock moves.
        let flood = stream::repeat_with(piece).then(|piece| async {
            tokio::time::advance(Duration::from_secs(1)).await;
            piece
        });
        let began = Reader::new(Pieces::Timed(flood.boxed()), ChatDecoder, facts()).begin().await;
        assert_eq!(began.unwrap_err().kind(), ErrorKind::Timeout { phase: TimeoutPhase::FirstToken });
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_answer_is_cancelled_soon_after_an_interruption() {
        let (facts, hurry) = (facts(), CancellationToken::new());
        let facts = Facts { hurry: hurry.clone(), ..facts };
        let interrupted = async {
            sleep(Duration::from_secs(25)).await;
            hurry.cancel();
        };
        let ((ended, seconds), ()) = tokio::join!(asked(facts, &[WORD], (EMPTY, 7)), interrupted);
        let err = ended.unwrap_err();
        assert_eq!((err.kind(), err.billed(), seconds), (ErrorKind::Cancelled, Billed::Maybe, 35));
        assert_eq!(err.partial().unwrap().text, "word ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_caller_does_not_time_out_the_server() {
        let piece = |data: &str| Piece { event: String::new(), data: data.to_owned() };
        let words = stream::iter([piece(WORD), piece(WORD)]).chain(stream::pending());
        let mut answer =
            Reader::new(Pieces::Timed(words.boxed()), ChatDecoder, facts()).begin().await.unwrap();
        answer.next().await.unwrap().unwrap();
        sleep(Duration::from_secs(10_000)).await;
        answer.next().await.unwrap().unwrap();
        assert!(answer.next().now_or_never().is_none(), "the stream still waits");
    }
}
