//! The body of a response: an answer as hyper polls it, with its pace and its damage, and the report of its end.
//!
//! A body is a small state machine (`Pieces`). Each poll returns the next frame, waits for the time of the next one, or
//! ends:
//!
//! ```text
//! Words ──middle, by fate──▶ Never | Empty | Endless | Ended
//!   └────────last word─────▶ Ended
//! Drops ──last bytes───────▶ Ended
//! Whole ──its only frame───▶ (no more frames; with the fault stall, no end either)
//! ```
//!
//! The `Report` of a request travels with its body. It counts the words that were handed to hyper, and reports the end
//! exactly once: when a fault has cut the answer, when the last byte is handed over, or on drop, which means that the
//! client closed the connection before that.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::faults::Fate;
use crate::shared::{Admission, Shared};
use crate::wire::Answer;

/// The result of polling a body.
type Polled = Poll<Option<Result<Frame<Bytes>, ConnectionBroken>>>;

/// The body of an answer, sent whole or word by word, with its faults.
pub(crate) struct AnswerBody {
    pieces: Pieces,
    /// The fault that is still to come; `Fate::Answer` once it has been applied and the answer continues.
    fate: Fate,
    report: Report,
}

/// The rest of an answer.
enum Pieces {
    /// One frame; `None` once it was sent.
    Whole(Option<Bytes>),
    /// An event for each word.
    Words {
        answer: Answer,
        /// The index of the next word.
        next: u32,
        /// The schedule; without one, all words are ready.
        pace: Option<Pace>,
    },
    /// The bytes of an answer a few at a time, cut anywhere.
    Drops {
        /// The number of bytes at the start.
        all: usize,
        /// The number of words in all bytes.
        tokens: u32,
        /// The bytes that are still to be sent.
        bytes: Bytes,
        sleep: Pin<Box<Sleep>>,
    },
    /// The same words, repeated for ever behind the bytes of the beginning.
    Endless { begin: Bytes, frame: Bytes, tokens: u64 },
    /// The same event without output, repeated for ever.
    Empty { event: Bytes, sleep: Pin<Box<Sleep>> },
    /// No data and no end.
    Never,
    /// The end.
    Ended,
}

/// The schedule of the words. All times are relative to the start, so that a late word does not delay the next ones.
struct Pace {
    started_at: Instant,
    /// The word that is sent at the start.
    first: u32,
    /// The time between two words.
    gap: Duration,
    sleep: Pin<Box<Sleep>>,
}

/// A guard that reports how the answer ended; dropped without a report, it reports that the client closed the
/// connection.
pub(crate) struct Report {
    shared: Arc<Shared>,
    /// The fingerprint of the request.
    request: u64,
    epoch: u64,
    /// The tokens of the prompt.
    input: u64,
    /// The number of words sent.
    tokens: u64,
    /// Whether the end was reported. Later ends are ignored: the first one is the cause.
    ended: bool,
}

/// The size in bytes of a slow answer's pieces, chosen so that characters, words and events are cut.
const DROP: usize = 31;

/// The interval between the pieces of a slow answer, so that each is a frame, and usually a packet, of its own.
const DROP_INTERVAL: Duration = Duration::from_millis(1);

/// The number of words in a frame of an answer without end.
const ENDLESS_WORDS: u32 = 64;

/// The interval between events without output.
const EMPTY_INTERVAL: Duration = Duration::from_millis(50);

/// The error that makes hyper reset the connection or the HTTP/2 stream.
#[derive(Debug)]
pub(crate) struct ConnectionBroken;

impl std::fmt::Display for ConnectionBroken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection reset: a simulated fault")
    }
}

impl std::error::Error for ConnectionBroken {}

impl Pace {
    /// Polls the time of a word, and sets the time of the next one.
    fn poll_due(&mut self, word: u32, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.sleep.as_mut().poll(cx));
        let due = self.started_at + self.gap.saturating_mul(word + 1 - self.first);
        self.sleep.as_mut().reset(due);
        Poll::Ready(())
    }
}

impl Report {
    /// Creates the report of an admitted request.
    pub(crate) fn new(shared: Arc<Shared>, admission: &Admission) -> Self {
        let Admission { fingerprint: request, epoch, prompt_tokens: input, .. } = *admission;
        Self { shared, request, epoch, input, tokens: 0, ended: false }
    }

    /// Creates a report that counts nothing.
    pub(crate) fn none(shared: Arc<Shared>) -> Self {
        Self { shared, request: 0, epoch: 0, input: 0, tokens: 0, ended: true }
    }

    /// Returns the pause between the words of a trickling answer.
    fn trickle_every(&self) -> Duration {
        self.shared.trickle_every()
    }

    /// Returns the tokens that are billed for an answer that was begun: its prompt, and the words sent.
    fn billed(&self) -> Option<(u64, u64)> {
        (self.tokens > 0).then_some((self.input, self.tokens))
    }

    /// Reports a complete answer.
    fn whole(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.answered(self.request, self.epoch, self.input, self.tokens);
        }
    }

    /// Reports a refusal, with the time until which it holds, if that was sent to the client.
    pub(crate) fn refused(&mut self, until: Option<Instant>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.refused(self.request, self.epoch, until);
        }
    }

    /// Reports that the account has no credit.
    pub(crate) fn out_of_money(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.out_of_money(self.request, self.epoch);
        }
    }

    /// Reports an answer that failed or was cut.
    pub(crate) fn cut(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.cut(self.request, self.epoch, self.billed());
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.hung_up(self.request, self.epoch, self.billed());
        }
    }
}

impl AnswerBody {
    /// Creates a body that is not an answer to a prompt.
    pub(crate) fn plain(body: impl Into<Bytes>, report: Report) -> Self {
        Self { pieces: Pieces::Whole(Some(body.into())), fate: Fate::Answer, report }
    }

    /// Creates a complete answer in one frame, replaced or cut in half by its fault.
    pub(crate) fn whole(answer: &Answer, fate: Fate, mut report: Report) -> Self {
        let body = answer.whole();
        if fate == Fate::Endless {
            return Self { pieces: endless_whole(answer, &body), fate, report };
        }
        // A web page is not billed.
        report.tokens = if fate == Fate::WrongType { 0 } else { u64::from(answer.tokens) };
        let pieces = match fate {
            Fate::Garbage => Bytes::from_static(b"<html>not what was asked for"),
            Fate::WrongType => Bytes::from_static(b"<html><h1>Welcome to nginx!</h1></html>"),
            Fate::Half | Fate::Stall => body.slice(..body.len() / 2),
            _ => body,
        };
        Self { pieces: Pieces::Whole(Some(pieces)), fate, report }
    }

    /// Creates a streamed answer of `per_second` words per second. A rate that is not positive is no limit.
    pub(crate) fn words(answer: Answer, per_second: Option<f64>, fate: Fate, report: Report) -> Self {
        let gap = per_second.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        let pace = gap.map(|gap| {
            let started_at = Instant::now();
            Pace { started_at, first: 0, gap, sleep: Box::pin(sleep_until(started_at)) }
        });
        Self { pieces: Pieces::Words { answer, next: 0, pace }, fate, report }
    }

    /// Creates a complete answer that is sent a few bytes at a time.
    pub(crate) fn drops(answer: &Answer, is_stream: bool, report: Report) -> Self {
        let bytes = if is_stream {
            let mut bytes: Vec<u8> = (0..answer.tokens).flat_map(|at| answer.piece(at)).collect();
            bytes.extend(answer.end());
            bytes.into()
        } else {
            answer.whole()
        };
        let sleep = Box::pin(sleep_until(Instant::now()));
        let pieces = Pieces::Drops { all: bytes.len(), tokens: answer.tokens, bytes, sleep };
        Self { pieces, fate: Fate::Slow, report }
    }

    /// Polls the next word, which is ready when it is due.
    fn poll_word(&mut self, cx: &mut Context<'_>) -> Polled {
        let Pieces::Words { answer, next, pace } = &mut self.pieces else { return Poll::Ready(None) };
        if let Some(pace) = pace {
            ready!(pace.poll_due(*next, cx));
        }
        if self.fate.is_mid_stream() && *next >= answer.tokens / 2 {
            return self.poll_middle(cx);
        }
        if *next >= answer.tokens {
            return self.send_end();
        }
        *next += 1;
        self.report.tokens = u64::from(*next);
        let piece = answer.piece(*next - 1);
        // Where the format has the end in the last word, a client may close the connection after it.
        if *next == answer.tokens && answer.end().is_empty() {
            self.report.whole();
            self.pieces = Pieces::Ended;
        }
        frame(piece)
    }

    /// Sends the bytes after the last word, if the format has any, and reports a complete answer.
    fn send_end(&mut self) -> Polled {
        let end = match &self.pieces {
            Pieces::Words { answer, .. } => answer.end(),
            _ => Bytes::new(),
        };
        self.pieces = Pieces::Ended;
        self.report.whole();
        if end.is_empty() { Poll::Ready(None) } else { frame(end) }
    }

    /// Applies the fault of a stream of which half of the words are sent.
    fn poll_middle(&mut self, cx: &Context<'_>) -> Polled {
        match self.fate {
            Fate::Garbage => self.send_garbage(),
            Fate::Stall => {
                self.pieces = Pieces::Never;
                Poll::Pending
            }
            Fate::Empty => self.begin_keep_alives(),
            Fate::Trickle => self.begin_trickle(cx),
            Fate::Endless => self.begin_endless(),
            Fate::Breaks => self.send_error(),
            _ => {
                self.pieces = Pieces::Ended;
                self.report.cut();
                Poll::Ready(None)
            }
        }
    }

    /// Sends an event that breaks the format. The rest is still sent, but the answer is broken.
    fn send_garbage(&mut self) -> Polled {
        self.fate = Fate::Answer;
        self.report.cut();
        let garbage = match &self.pieces {
            Pieces::Words { answer, .. } => answer.wire.garbage(),
            _ => "",
        };
        frame(garbage)
    }

    /// Sends the first event without output, which is then repeated until the client closes the connection.
    fn begin_keep_alives(&mut self) -> Polled {
        let event = match &self.pieces {
            Pieces::Words { answer, .. } => answer.wire.empty(answer).into(),
            _ => Bytes::new(),
        };
        let sleep = Box::pin(sleep_until(Instant::now() + EMPTY_INTERVAL));
        self.pieces = Pieces::Empty { event: Bytes::clone(&event), sleep };
        frame(event)
    }

    /// Sends the first of the words that are then repeated until the client closes the connection.
    fn begin_endless(&mut self) -> Polled {
        if let Pieces::Words { answer, .. } = &mut self.pieces {
            // The event of the last word may have the end of the answer.
            answer.tokens = answer.tokens.max(3);
            let event = answer.wire.piece(answer, u32::from(answer.word(1).len() > 2));
            let frame = event.repeat(ENDLESS_WORDS as usize).into();
            self.pieces = Pieces::Endless { begin: Bytes::new(), frame, tokens: u64::from(ENDLESS_WORDS) };
        }
        self.poll_endless()
    }

    /// Returns the next frame of an answer without end: its beginning, and then the same words.
    fn poll_endless(&mut self) -> Polled {
        let Pieces::Endless { begin, frame: words, tokens } = &mut self.pieces else {
            return Poll::Ready(None);
        };
        if !begin.is_empty() {
            return frame(std::mem::take(begin));
        }
        self.report.tokens += *tokens;
        frame(words.clone())
    }

    /// Replaces the schedule by that of a trickle, of which the first word is due after one pause.
    fn begin_trickle(&mut self, cx: &Context<'_>) -> Polled {
        self.fate = Fate::Answer;
        let (started_at, gap) = (Instant::now(), self.report.trickle_every());
        if let Pieces::Words { next, pace, .. } = &mut self.pieces {
            let sleep = Box::pin(sleep_until(started_at + gap));
            *pace = Some(Pace { started_at: started_at + gap, first: *next, gap, sleep });
        }
        // The new timer is not registered yet: the next poll does it.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends an error event, and ends the answer with it.
    fn send_error(&mut self) -> Polled {
        let error = match &self.pieces {
            Pieces::Words { answer, .. } => answer.wire.breaks(),
            _ => String::new(),
        };
        self.pieces = Pieces::Ended;
        self.report.cut();
        frame(error)
    }

    /// Sends the only frame of a whole answer. After it, a stalled answer stays pending until the client gives up.
    fn poll_whole(&mut self) -> Polled {
        let Pieces::Whole(body) = &mut self.pieces else { return Poll::Ready(None) };
        let body = body.take();
        if body.is_none() && self.fate == Fate::Stall {
            return Poll::Pending;
        }
        match self.fate {
            Fate::Half | Fate::Garbage | Fate::WrongType => self.report.cut(),
            Fate::Stall => {}
            _ => self.report.whole(),
        }
        Poll::Ready(body.map(|body| Ok(Frame::data(body))))
    }

    /// Polls the next few bytes of a slow answer. Words count as sent in proportion to the bytes.
    fn poll_drops(&mut self, cx: &mut Context<'_>) -> Polled {
        let Pieces::Drops { all, tokens, bytes, sleep } = &mut self.pieces else { return Poll::Ready(None) };
        ready!(sleep.as_mut().poll(cx));
        sleep.as_mut().reset(Instant::now() + DROP_INTERVAL);
        let drop = bytes.split_to(bytes.len().min(DROP));
        let gone = *all - bytes.len();
        self.report.tokens = u64::from(*tokens) * gone as u64 / (*all).max(1) as u64;
        // A client that has read the end closes the connection without reading further.
        if bytes.is_empty() {
            self.report.whole();
            self.pieces = Pieces::Ended;
        }
        if drop.is_empty() { Poll::Ready(None) } else { frame(drop) }
    }
}

/// Returns the pieces of an answer that is not streamed and never ends: its bytes up to its first word, and then words.
fn endless_whole(answer: &Answer, body: &Bytes) -> Pieces {
    let word = answer.word(0).trim_matches('"').to_owned();
    let at = String::from_utf8_lossy(body).find(&word).unwrap_or(body.len());
    let frame = word.repeat(ENDLESS_WORDS as usize).into();
    Pieces::Endless { begin: body.slice(..at), frame, tokens: u64::from(ENDLESS_WORDS) }
}

/// Returns a frame of data that is ready.
fn frame(data: impl Into<Bytes>) -> Polled {
    Poll::Ready(Some(Ok(Frame::data(data.into()))))
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = ConnectionBroken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let this = self.get_mut();
        match &mut this.pieces {
            Pieces::Ended => Poll::Ready(None),
            // Until the client closes the connection.
            Pieces::Never => Poll::Pending,
            Pieces::Empty { event, sleep } => {
                ready!(sleep.as_mut().poll(cx));
                sleep.as_mut().reset(Instant::now() + EMPTY_INTERVAL);
                frame(event.clone())
            }
            Pieces::Endless { .. } => this.poll_endless(),
            Pieces::Whole(_) => this.poll_whole(),
            Pieces::Drops { .. } => this.poll_drops(cx),
            Pieces::Words { .. } => this.poll_word(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.pieces {
            // An exact length avoids chunked encoding in HTTP/1.1. An answer that stalls has none, since its rest never comes.
            Pieces::Whole(Some(body)) if self.fate != Fate::Stall => SizeHint::with_exact(body.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
