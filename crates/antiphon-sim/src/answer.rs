use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::scenario::Fate;
use crate::service::Shared;
use crate::wire::Answer;

/// The body of an answer, sent whole or word by word, with its faults.
pub(crate) struct AnswerBody {
    pieces: Pieces,
    fate: Fate,
    report: Report,
}

enum Pieces {
    Whole(Option<Bytes>),
    Words {
        answer: Answer,
        next: u32,
        pace: Option<Pace>,
    },
    /// The bytes of an answer a few at a time, cut anywhere.
    Drops {
        all: usize,
        tokens: u32,
        bytes: Bytes,
        sleep: Pin<Box<Sleep>>,
    },
    /// The same event without output, repeated for ever.
    Empty {
        event: Bytes,
        sleep: Pin<Box<Sleep>>,
    },
    /// No data and no end.
    Never,
    Ended,
}

/// The schedule of the words. All times are relative to the start, so that a late word does not delay the next ones.
struct Pace {
    started_at: Instant,
    /// The word that is sent at the start.
    first: u32,
    gap: Duration,
    sleep: Pin<Box<Sleep>>,
}

/// A guard that reports how the answer ended; dropped without a report, it reports that the client closed the connection.
pub(crate) struct Report {
    shared: Arc<Shared>,
    request: u64,
    epoch: u64,
    input: u64,
    /// The number of words sent.
    tokens: u64,
    ended: bool,
}

/// The size in bytes of a slow answer's pieces, chosen so that characters, words and events are cut.
const DROP: usize = 31;

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

impl Report {
    /// Creates the report of a request that was counted in this epoch.
    pub(crate) fn new(shared: Arc<Shared>, request: u64, epoch: u64, input: u64) -> Self {
        Self { shared, request, epoch, input, tokens: 0, ended: false }
    }

    /// Creates a report that counts nothing.
    pub(crate) fn none(shared: Arc<Shared>) -> Self {
        Self { shared, request: 0, epoch: 0, input: 0, tokens: 0, ended: true }
    }

    fn trickle_every(&self) -> Duration {
        self.shared.trickle_every()
    }

    /// Returns the tokens that are billed for an answer that was begun: its prompt, and the words sent.
    fn billed(&self) -> Option<(u64, u64)> {
        (self.tokens > 0).then_some((self.input, self.tokens))
    }

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

    pub(crate) fn whole(answer: &Answer, fate: Fate, mut report: Report) -> Self {
        let body = answer.whole();
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
    fn word(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ConnectionBroken>>> {
        let Pieces::Words { answer, next, pace } = &mut self.pieces else { return Poll::Ready(None) };
        if let Some(pace) = pace {
            ready!(pace.sleep.as_mut().poll(cx));
            let due = pace.started_at + pace.gap.saturating_mul(*next + 1 - pace.first);
            pace.sleep.as_mut().reset(due);
        }
        if self.fate.is_mid_stream() && *next >= answer.tokens / 2 {
            return self.middle(cx);
        }
        if *next < answer.tokens {
            *next += 1;
            self.report.tokens = u64::from(*next);
            let piece = answer.piece(*next - 1);
            // Where the format has the end in the last word, a client may close the connection after it.
            if *next == answer.tokens && answer.end().is_empty() {
                self.report.whole();
                self.pieces = Pieces::Ended;
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let end = answer.end();
        self.pieces = Pieces::Ended;
        self.report.whole();
        Poll::Ready((!end.is_empty()).then_some(Ok(Frame::data(end))))
    }

    /// Applies the fault of a stream of which half of the words are sent.
    fn middle(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ConnectionBroken>>> {
        match self.fate {
            Fate::Garbage => {
                self.fate = Fate::Answer;
                // The rest is still sent, but the answer is broken.
                self.report.cut();
                let garbage = match &self.pieces {
                    Pieces::Words { answer, .. } => answer.wire.garbage(),
                    _ => "",
                };
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(garbage.as_bytes())))))
            }
            Fate::Stall => {
                self.pieces = Pieces::Never;
                Poll::Pending
            }
            Fate::Empty => {
                let event = match &self.pieces {
                    Pieces::Words { answer, .. } => answer.wire.empty(answer).into(),
                    _ => Bytes::new(),
                };
                let sleep = Box::pin(sleep_until(Instant::now() + EMPTY_INTERVAL));
                self.pieces = Pieces::Empty { event: Bytes::clone(&event), sleep };
                Poll::Ready(Some(Ok(Frame::data(event))))
            }
            Fate::Trickle => {
                self.fate = Fate::Answer;
                let (started_at, gap) = (Instant::now(), self.report.trickle_every());
                if let Pieces::Words { next, pace, .. } = &mut self.pieces {
                    let sleep = Box::pin(sleep_until(started_at + gap));
                    *pace = Some(Pace { started_at: started_at + gap, first: *next, gap, sleep });
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Fate::Breaks => {
                let error = match &self.pieces {
                    Pieces::Words { answer, .. } => answer.wire.breaks(),
                    _ => String::new(),
                };
                self.pieces = Pieces::Ended;
                self.report.cut();
                Poll::Ready(Some(Ok(Frame::data(error.into()))))
            }
            _ => {
                self.pieces = Pieces::Ended;
                self.report.cut();
                Poll::Ready(None)
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = ConnectionBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionBroken>>> {
        let this = self.get_mut();
        match &mut this.pieces {
            Pieces::Ended => Poll::Ready(None),
            // Until the client closes the connection.
            Pieces::Never => Poll::Pending,
            Pieces::Empty { event, sleep } => {
                ready!(sleep.as_mut().poll(cx));
                sleep.as_mut().reset(Instant::now() + EMPTY_INTERVAL);
                Poll::Ready(Some(Ok(Frame::data(event.clone()))))
            }
            Pieces::Whole(body) => {
                let body = body.take().map(|body| Ok(Frame::data(body)));
                if body.is_none() && this.fate == Fate::Stall {
                    return Poll::Pending;
                }
                match this.fate {
                    Fate::Half | Fate::Garbage | Fate::WrongType => this.report.cut(),
                    Fate::Stall => {}
                    _ => this.report.whole(),
                }
                Poll::Ready(body)
            }
            Pieces::Drops { all, tokens, bytes, sleep } => {
                ready!(sleep.as_mut().poll(cx));
                sleep.as_mut().reset(Instant::now() + Duration::from_millis(1));
                let drop = bytes.split_to(bytes.len().min(DROP));
                let gone = *all - bytes.len();
                this.report.tokens = u64::from(*tokens) * gone as u64 / (*all).max(1) as u64;
                // A client that has read the end closes the connection without reading further.
                if bytes.is_empty() {
                    this.report.whole();
                    this.pieces = Pieces::Ended;
                }
                Poll::Ready((!drop.is_empty()).then_some(Ok(Frame::data(drop))))
            }
            Pieces::Words { .. } => this.word(cx),
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
