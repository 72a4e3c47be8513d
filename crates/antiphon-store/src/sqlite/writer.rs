use std::fmt;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::{closed, settle};
use crate::error::{Error, ErrorKind};
use crate::job::{Intent, Settled, Settlement};

/// The most changes in one group commit, and the most that wait in the queue: beyond it callers wait (backpressure).
const GROUP: usize = 4_096;

type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;

/// A change, by a worker of a run or by any other caller.
pub(super) enum Op {
    Intend { run: i64, worker: i64, intent: Intent },
    Settle { run: i64, worker: i64, settlement: Box<Settlement> },
    Other(Flush, Work),
}

/// Whether a change has to survive the machine's power, or only the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    Yes,
    No,
}

impl Op {
    fn flush(&self) -> Flush {
        match self {
            Self::Intend { .. } => Flush::No,
            Self::Settle { .. } => Flush::Yes,
            Self::Other(flush, _) => *flush,
        }
    }
}

/// The outcomes of a settlement, as numbers.
pub(super) const STORED: u32 = 0;
const LATE: u32 = 1;

/// The outcome of a change: the job's attempts for an intent; [`STORED`] or [`LATE`] for a settlement.
type Outcome = Result<u32, Error>;

struct Request {
    op: Op,
    reply: oneshot::Sender<Outcome>,
}

/// A handle to the one writing thread. Changes that arrive while it flushes form the next group, and share one fsync (group
/// commit).
#[derive(Clone)]
pub(super) struct Writer {
    requests: mpsc::Sender<Request>,
    /// Closed with the thread's connection.
    open: watch::Receiver<()>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread, which ends when the last handle is dropped.
    pub(super) fn start(connection: Connection, place: Arc<str>) -> Result<Self, Error> {
        let (requests, received) = mpsc::channel(GROUP);
        let thread = std::thread::Builder::new().name("antiphon-store".to_owned());
        let (until_closed, open) = watch::channel(());
        let work = move || {
            Thread { connection, place, is_full: true, broken: None }.work(received);
            drop(until_closed);
        };
        let started = thread.spawn(work);
        started
            .map_err(|err| Error::new(ErrorKind::Io, format!("cannot start the writing thread: {err}")))?;
        Ok(Self { requests, open })
    }

    /// Drops this handle, and waits until the thread has ended, which it does when the last one is dropped.
    pub(super) async fn ended(self) {
        let Self { requests, mut open } = self;
        drop(requests);
        // Nothing is ever sent.
        while open.changed().await.is_ok() {}
    }

    /// Makes a change, and returns when it is stored.
    pub(super) async fn run(&self, op: Op) -> Outcome {
        let (reply, kept) = oneshot::channel();
        self.requests.send(Request { op, reply }).await.map_err(|_| closed())?;
        kept.await.map_err(|_| closed())?
    }

    /// Queues a change without waiting for it; returns `false` if the queue is full.
    pub(super) fn send(&self, op: Op) -> bool {
        let (reply, _) = oneshot::channel();
        self.requests.try_send(Request { op, reply }).is_ok()
    }
}

struct Thread {
    connection: Connection,
    place: Arc<str>,
    /// Whether the connection's present setting flushes each commit.
    is_full: bool,
    /// The error after which nothing more can be stored.
    broken: Option<Error>,
}

impl Thread {
    fn work(mut self, mut received: mpsc::Receiver<Request>) {
        let (mut group, mut flushed) = (Vec::new(), Vec::new());
        while let Some(first) = received.blocking_recv() {
            let mut next = Some(first);
            let mut size = 0;
            loop {
                while let Some(request) = next {
                    match request.op.flush() {
                        Flush::No => group.push(request),
                        Flush::Yes => flushed.push(request),
                    }
                    let is_whole = group.len() + flushed.len() >= GROUP;
                    next = if is_whole { None } else { received.try_recv().ok() };
                }
                // Tasks that are about to write join this group: a flush costs more than a turn of the scheduler.
                let grown = group.len() + flushed.len();
                if grown == size || grown >= GROUP {
                    break;
                }
                size = grown;
                std::thread::yield_now();
                next = received.try_recv().ok();
            }
            // Changes without a flush are acknowledged first, so that calls are sent while the others wait for their flush.
            self.commit(&mut group, false);
            self.commit(&mut flushed, true);
        }
    }

    /// Commits all changes of a group in one transaction, and then replies to their callers.
    fn commit(&mut self, group: &mut Vec<Request>, full: bool) {
        if group.is_empty() {
            return;
        }
        let (ops, replies): (Vec<_>, Vec<_>) =
            group.drain(..).map(|request| (request.op, request.reply)).unzip();
        let results = match &self.broken {
            Some(err) => Err(err.clone()),
            None => self.transact(ops, full).map_err(|err| Error::database(err, &self.place)),
        };
        match results {
            Ok(results) => {
                for (reply, result) in replies.into_iter().zip(results) {
                    // A caller that was dropped needs no reply.
                    let _ = reply.send(result);
                }
            }
            Err(err) => {
                // A disk that failed once may have room again for a small change: results would have gaps.
                if err.kind() != ErrorKind::Busy {
                    self.broken = Some(err.clone());
                }
                replies.into_iter().for_each(|reply| drop(reply.send(Err(err.clone()))));
            }
        }
    }

    fn transact(&mut self, ops: Vec<Op>, full: bool) -> rusqlite::Result<Vec<Outcome>> {
        if self.is_full != full {
            let mode = if full { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            self.connection.execute_batch(mode)?;
            self.is_full = full;
        }
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let applied = ops.into_iter().map(|op| self.apply(op)).collect();
        let done = match applied {
            Ok(results) => self.connection.prepare_cached("COMMIT")?.execute([]).map(|_| results),
            Err(err) => Err(err),
        };
        if done.is_err() && !self.connection.is_autocommit() {
            // The first error is the cause.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        done
    }

    /// Applies one change. The inner error is the change's own; the outer one is the database's, and fails the whole group.
    fn apply(&self, op: Op) -> rusqlite::Result<Outcome> {
        Ok(match op {
            Op::Intend { run, worker, intent } => settle::intend(&self.connection, run, worker, &intent)?,
            Op::Settle { run, worker, settlement } => {
                settle::settle(&self.connection, run, worker, &settlement)?.map(|settled| match settled {
                    Settled::Stored => STORED,
                    Settled::Late => LATE,
                })
            }
            Op::Other(_, work) => Ok(work(&self.connection).map(|()| 0)?),
        })
    }
}
