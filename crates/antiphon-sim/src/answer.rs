use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::chat::Answer;
use crate::scenario::Fate;
use crate::service::Shared;

/// The body of an answer, written whole or word by word, and what goes wrong on the way.
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
    /// Nothing comes, and no end either.
    Never,
    Ended,
}

/// When words come. The times follow from the beginning, so that a late word does not delay those after it.
struct Pace {
    begun: Instant,
    gap: Duration,
    sleep: Pin<Box<Sleep>>,
}

/// Tells the server how the answer ended, also when its client has gone away.
pub(crate) struct Report {
    shared: Arc<Shared>,
    request: u64,
    epoch: u64,
    tokens: u64,
    ended: bool,
}

/// The peer sees a connection, or an HTTP/2 stream, that breaks off.
#[derive(Debug)]
pub(crate) struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off on purpose")
    }
}

impl std::error::Error for BrokenOff {}

impl Report {
    /// Of a request that was counted in this epoch.
    pub(crate) fn new(shared: Arc<Shared>, request: u64, epoch: u64, tokens: u64) -> Self {
        Self { shared, request, epoch, tokens, ended: false }
    }

    /// Of nothing that anybody counts.
    pub(crate) fn none(shared: Arc<Shared>) -> Self {
        Self { shared, request: 0, epoch: 0, tokens: 0, ended: true }
    }

    fn whole(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.answered(self.request, self.epoch, self.tokens);
        }
    }

    /// It ended, and not as it should have.
    pub(crate) fn cut(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.cut(self.request, self.epoch);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.hung_up(self.request, self.epoch);
        }
    }
}

impl AnswerBody {
    /// A body that is nobody's answer.
    pub(crate) fn plain(body: impl Into<Bytes>, report: Report) -> Self {
        Self { pieces: Pieces::Whole(Some(body.into())), fate: Fate::Answer, report }
    }

    pub(crate) fn whole(answer: &Answer, fate: Fate, report: Report) -> Self {
        let body = answer.whole();
        let pieces = match fate {
            Fate::Garbage => Bytes::from_static(b"<html>not what was asked for"),
            Fate::Half | Fate::Stall => body.slice(..body.len() / 2),
            _ => body,
        };
        Self { pieces: Pieces::Whole(Some(pieces)), fate, report }
    }

    pub(crate) fn words(answer: Answer, per_second: Option<f64>, fate: Fate, report: Report) -> Self {
        let gap = per_second.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        let pace = gap.map(|gap| {
            let begun = Instant::now();
            Pace { begun, gap, sleep: Box::pin(sleep_until(begun)) }
        });
        Self { pieces: Pieces::Words { answer, next: 0, pace }, fate, report }
    }

    /// Half of the words are out: what happens now?
    fn middle(&mut self) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.fate {
            Fate::Garbage => {
                self.fate = Fate::Answer;
                // The rest still comes, but it is no answer any more.
                self.report.cut();
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data: {\"choices\": [{\"del\n\n")))))
            }
            Fate::Stall => {
                self.pieces = Pieces::Never;
                Poll::Pending
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
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        match &mut this.pieces {
            Pieces::Ended => Poll::Ready(None),
            // Until the client goes away.
            Pieces::Never => Poll::Pending,
            Pieces::Whole(body) => {
                let body = body.take().map(|body| Ok(Frame::data(body)));
                if body.is_none() && this.fate == Fate::Stall {
                    return Poll::Pending;
                }
                match this.fate {
                    Fate::Half | Fate::Garbage => this.report.cut(),
                    Fate::Stall => {}
                    _ => this.report.whole(),
                }
                Poll::Ready(body)
            }
            Pieces::Words { answer, next, pace } => {
                if let Some(pace) = pace {
                    ready!(pace.sleep.as_mut().poll(cx));
                    let due = pace.begun + pace.gap.saturating_mul(*next + 1);
                    pace.sleep.as_mut().reset(due);
                }
                if this.fate != Fate::Answer && *next >= answer.tokens / 2 {
                    return this.middle();
                }
                if *next < answer.tokens {
                    *next += 1;
                    return Poll::Ready(Some(Ok(Frame::data(answer.piece(*next - 1)))));
                }
                let end = answer.end();
                this.pieces = Pieces::Ended;
                this.report.whole();
                Poll::Ready(Some(Ok(Frame::data(end))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.pieces {
            // A length that is true lets HTTP/1.1 do without chunks. Of an answer that stalls, the rest is still to come.
            Pieces::Whole(Some(body)) if self.fate != Fate::Stall => SizeHint::with_exact(body.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
