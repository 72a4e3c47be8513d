//! The results of a run: their destination, their order, and the writer that brings the one into the other.
//!
//! Jobs end in any order and in several processes, but each result has to be written exactly once to one output. The
//! writer combines two sources: the outcomes of this process, which arrive on a bounded channel, and the store, which
//! has the results of earlier and other processes. In the order of the rows, a result that is early waits in memory up
//! to a bound; beyond it, the result is read from the store when its turn has come.
//!
//! ```text
//! {"index":1,"row":{"n":2},"result":"two"}
//! ```

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_store::{JobRecord, JobState, Run};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::JobOutcome;
use crate::error::Error;
use crate::file_output::{Existing, FileOutput};
use crate::mapping::OnEvent;
use crate::place::take_over;
use crate::remarks::Remarks;
use crate::served::Served;
use crate::text_writer::TextWriter;

/// The order in which results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// In the order of the rows (the input). A result that is ready early waits for those of earlier rows.
    #[default]
    Input,
    /// In the order in which jobs end. Nothing waits, so this is the order for a reader that processes results while
    /// the run is in progress.
    Completion,
}

/// The closure of [`Lines`].
type Say = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// A sink of whole lines (NDJSON): a closure that may block. It reports that its reader has gone by failing with
/// [`io::ErrorKind::BrokenPipe`], upon which the run stops as [`StopCause::Unread`](crate::StopCause::Unread).
#[derive(Clone)]
pub struct Lines(Say);

impl Lines {
    /// Creates a sink that calls `say` with blocks of whole lines, on a thread that may block.
    ///
    /// Each line ends with a newline. The calls of one run follow one another and never overlap; the next block waits
    /// until `say` has returned (backpressure).
    ///
    /// # Examples
    /// ```
    /// use std::io::Write;
    ///
    /// let to_stdout = antiphon_engine::Lines::new(|block| std::io::stdout().lock().write_all(block));
    /// let destination = antiphon_engine::Destination::Lines(to_stdout);
    /// # drop(destination);
    /// ```
    pub fn new(say: impl Fn(&[u8]) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(say))
    }

    /// Writes a block of whole lines. A panic of the closure is reported as a failure.
    ///
    /// # Cancel safety
    /// A dropped call does not stop the closure: the block may be written nevertheless.
    pub(super) async fn write(&self, block: String) -> Result<(), Unwritten> {
        let say = self.0.clone();
        match tokio::task::spawn_blocking(move || say(block.as_bytes())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(err)) if err.kind() == io::ErrorKind::BrokenPipe => Err(Unwritten::Unread),
            Ok(Err(err)) => Err(Unwritten::Failed(format!("results cannot be written: {err}"))),
            Err(join) => Err(Unwritten::Failed(format!("results cannot be written: {join}"))),
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

/// The destination of results, one JSON object per line (NDJSON).
///
/// Each line is an object with the fields `index`, `row` and `result`. Rows that failed are not among the results; they are
/// written to a separate file, so that they can be corrected and run again.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Destination {
    /// A file. While the run is in progress, results are written under a random name in the same folder; the file gets its own
    /// name when the run ends, finished or not. An existing file is an error, unless each of its lines is a result of the same
    /// run. A symbolic link is followed. A device or a pipe gets each line as soon as its row ends.
    File(PathBuf),
    /// The same as [`File`](Self::File), but an existing file is replaced.
    Replace(PathBuf),
    /// The same as [`Replace`](Self::Replace), for a file in a folder of this program: a symbolic link or anything else of that name
    /// is replaced itself, or is an error, and nothing is written through it.
    Own(PathBuf),
    /// A sink that gets each line when its row ends.
    Lines(Lines),
}

/// The reason why results could not be written.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// The reader has gone.
    Unread,
    /// The output, or the store that results are read from, has failed with this message.
    Failed(String),
}

/// An open [`Destination`].
pub(super) enum Sink {
    File(Box<FileOutput>),
    Lines(Lines),
}

impl Sink {
    /// Opens a destination.
    ///
    /// # Errors
    /// `Place` where it cannot be written. An existing file is no error here: see [`FileOutput::is_taken`].
    pub(super) async fn open(to: &Destination) -> Result<Self, Error> {
        let (path, existing) = match to {
            Destination::File(path) => (path, Existing::Kept),
            Destination::Replace(path) => (path, Existing::Replaced),
            Destination::Own(path) => (path, Existing::Own),
            Destination::Lines(lines) => return Ok(Self::Lines(lines.clone())),
        };
        FileOutput::open(path, existing).await.map(|file| Self::File(Box::new(file)))
    }

    /// Returns the path, if this is a file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File(file) => Some(file.path().to_owned()),
            Self::Lines(_) => None,
        }
    }
}

/// The maximum size in bytes of the results that wait for earlier rows; further ones are read from the store in their turn.
const MAX_WAITING: usize = 32 << 20;
/// The number of rows that are read from the store at a time.
const PAGE: usize = 512;
/// The interval at which the store is polled for the next row while another process has it.
const LOOK: Duration = Duration::from_secs(1);
/// The size in bytes from which a block of lines is written.
const BLOCK: usize = 64 << 10;

/// The writer of results: writes each result once, as jobs end.
pub(super) struct Output {
    run: Arc<Run>,
    order: Order,
    sink: Sink,
    /// Lines that were not passed to the sink yet.
    block: String,
    /// The next row to write, in the order of the rows.
    cursor: u64,
    /// The lines of rows behind the cursor, by index; `None` for a row without a result.
    waiting: BTreeMap<u64, Option<String>>,
    /// The size of the lines in `waiting`, in bytes; of those that are in the store at most [`MAX_WAITING`].
    bytes: usize,
    /// Rows that ended and whose results are in the store alone.
    stored: HashSet<u64>,
    /// The rows that were written, where they are written as they come.
    written: HashSet<u64>,
    /// Whether the sink has failed: then the rest is not written, and a file does not get its name.
    is_broken: bool,
    /// The models that gave the results.
    pub(super) served: Served,
    /// The warnings of the run.
    pub(super) remarks: Remarks,
}

impl Output {
    /// Creates the writer, and writes the results of earlier processes.
    pub(super) async fn begin(run: Arc<Run>, order: Order, sink: Sink) -> Result<Self, Unwritten> {
        let served = Served::after(run.record().report.as_deref());
        let mut output = Self {
            run,
            order,
            sink,
            block: String::new(),
            cursor: 0,
            waiting: BTreeMap::new(),
            bytes: 0,
            stored: HashSet::new(),
            written: HashSet::new(),
            is_broken: false,
            served,
            remarks: Remarks::default(),
        };
        output.earlier().await?;
        Ok(output)
    }

    /// Reads the rows of earlier processes that have ended.
    async fn earlier(&mut self) -> Result<(), Unwritten> {
        let run = self.run.clone();
        let mut pages = run.pages();
        loop {
            let jobs = pages.next().await.map_err(|err| Unwritten::Failed(err.to_string()))?;
            if jobs.is_empty() {
                return Ok(());
            }
            for job in jobs.iter().filter(|job| job.state.is_end()) {
                self.write_earlier(job).await?;
            }
        }
    }

    /// Writes a row of an earlier process, or marks it as stored if an earlier row is still open.
    async fn write_earlier(&mut self, job: &JobRecord) -> Result<(), Unwritten> {
        if self.order == Order::Completion {
            self.written.insert(job.index);
            self.write(line_of(job)).await?;
        } else if job.index == self.cursor {
            self.write(line_of(job)).await?;
            self.cursor = job.index + 1;
        } else {
            self.stored.insert(job.index);
        }
        Ok(())
    }

    /// Writes rows as they end, until all senders are dropped.
    ///
    /// Outcomes that are ready are written together, so that a fast run is not slowed down by many small writes, and a
    /// slow one shows each result as it comes.
    ///
    /// # Errors
    /// The first failure of the sink or of the store. After a failure of the sink, later outcomes are in
    /// the store only.
    pub(super) async fn follow(&mut self, ended: &mut mpsc::Receiver<JobOutcome>) -> Result<(), Unwritten> {
        let mut rows = Vec::new();
        let (mut looks, mut seen) = (interval(LOOK), self.cursor);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = ended.recv_many(&mut rows, 256) => {
                    if received == 0 {
                        return Ok(());
                    }
                    self.add_all(&mut rows).await?;
                }
                _ = looks.tick(), if self.order == Order::Input => seen = self.look(seen).await?,
            }
            self.flush().await?;
        }
    }

    /// Reports the warnings of the run to `on_event`, and counts those of earlier processes, too.
    pub(super) fn reporting(mut self, on_event: OnEvent) -> Self {
        self.remarks = Remarks::after(self.run.record().report.as_deref(), on_event);
        self
    }

    /// Counts an outcome, whether or not it is written.
    pub(super) fn count(&mut self, outcome: &JobOutcome) {
        self.served.count(outcome);
        self.remarks.count(outcome);
    }

    /// Adds the outcomes that have arrived, and leaves `rows` empty.
    async fn add_all(&mut self, rows: &mut Vec<JobOutcome>) -> Result<(), Unwritten> {
        rows.iter().for_each(|row| self.count(row));
        for row in rows.drain(..) {
            self.add(row).await?;
        }
        Ok(())
    }

    /// Looks for the next row in the store if no row was written since the look that returned `seen`: the row may be
    /// another worker's. Returns the next row to write.
    async fn look(&mut self, seen: u64) -> Result<u64, Unwritten> {
        if seen == self.cursor {
            self.catch_up().await?;
        }
        Ok(self.cursor)
    }

    /// Writes the next rows that have ended by now, in any process.
    async fn catch_up(&mut self) -> Result<(), Unwritten> {
        loop {
            let before = self.cursor;
            let jobs = self.run.jobs(self.cursor, PAGE).await;
            for job in jobs.map_err(|err| Unwritten::Failed(err.to_string()))? {
                if !job.state.is_end() {
                    return self.advance().await;
                }
                self.write_next(&job).await?;
            }
            if self.cursor == before {
                return Ok(());
            }
        }
    }

    /// Writes the next row. An outcome of this process has precedence over the store: it may exist nowhere else.
    async fn write_next(&mut self, job: &JobRecord) -> Result<(), Unwritten> {
        self.cursor = job.index + 1;
        self.stored.remove(&job.index);
        match self.waiting.remove(&job.index) {
            Some(line) => {
                self.bytes -= line.as_ref().map_or(0, String::len);
                self.write(line).await
            }
            None => self.write(line_of(job)).await,
        }
    }

    /// Adds an outcome of this process: writes the row if its turn has come, else keeps it. A row before the cursor was
    /// already written from the store.
    async fn add(&mut self, row: JobOutcome) -> Result<(), Unwritten> {
        let index = row.index;
        let line = row.result.ok().map(|result| line(index, &row.row, &result));
        if self.order == Order::Completion {
            return if self.written.insert(index) { self.write(line).await } else { Ok(()) };
        }
        if index < self.cursor {
            return Ok(());
        }
        if index == self.cursor {
            self.write(line).await?;
            self.cursor += 1;
            return self.advance().await;
        }
        self.keep_waiting(index, line, row.is_stored);
        Ok(())
    }

    /// Keeps a line that waits for earlier rows, in memory up to [`MAX_WAITING`], else in the store alone. A line that the store does
    /// not have stays in memory, whatever its size: it was paid for, and exists nowhere else.
    fn keep_waiting(&mut self, index: u64, line: Option<String>, is_stored: bool) {
        let size = line.as_ref().map_or(0, String::len);
        if is_stored && self.bytes + size > MAX_WAITING {
            self.stored.insert(index);
        } else {
            self.bytes += size;
            self.waiting.insert(index, line);
        }
    }

    /// Writes all rows that do not wait for an earlier one.
    async fn advance(&mut self) -> Result<(), Unwritten> {
        loop {
            if let Some(line) = self.waiting.remove(&self.cursor) {
                self.bytes -= line.as_ref().map_or(0, String::len);
                self.write(line).await?;
                self.cursor += 1;
            } else if self.stored.contains(&self.cursor) {
                self.write_stored().await?;
            } else {
                return Ok(());
            }
        }
    }

    /// Writes the next rows that are in the store alone, at most a page of them, up to the first that is not.
    async fn write_stored(&mut self) -> Result<(), Unwritten> {
        let jobs = self.run.jobs(self.cursor, PAGE).await;
        for job in jobs.map_err(|err| Unwritten::Failed(err.to_string()))? {
            if job.index != self.cursor || !self.stored.remove(&job.index) {
                break;
            }
            self.write(line_of(&job)).await?;
            self.cursor += 1;
        }
        Ok(())
    }

    /// Adds a line to the block, and passes a full block to the sink. A row without a result has no line.
    async fn write(&mut self, line: Option<String>) -> Result<(), Unwritten> {
        if let Some(line) = line {
            self.block.push_str(&line);
            self.block.push('\n');
        }
        if self.block.len() > BLOCK { self.flush().await } else { Ok(()) }
    }

    /// Passes the block to the sink, whatever its size.
    async fn flush(&mut self) -> Result<(), Unwritten> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        let done = match &mut self.sink {
            Sink::File(file) => file.write(block).await,
            Sink::Lines(lines) => lines.write(block).await,
        };
        self.is_broken |= done.is_err();
        done
    }

    /// Writes all rows that have ended and were not written, including those of other processes and those behind an open row.
    async fn rest(&mut self) -> Result<(), Unwritten> {
        let mut from = self.cursor;
        loop {
            let jobs = self.run.jobs(from, PAGE).await.map_err(|err| Unwritten::Failed(err.to_string()))?;
            let Some(last) = jobs.last() else { return Ok(()) };
            from = last.index + 1;
            for job in &jobs {
                let (is_own, is_end) = (self.waiting.contains_key(&job.index), job.state.is_end());
                if self.order == Order::Input && (is_own || is_end) {
                    self.write_next(job).await?;
                } else if self.order == Order::Completion && is_end && self.written.insert(job.index) {
                    self.write(line_of(job)).await?;
                }
            }
        }
    }

    /// Writes the rest, including rows behind an open one, and renames the file to its final name. If another file has that name,
    /// returns the name that the results have instead. After a failure of the sink nothing is written or renamed.
    pub(super) async fn finish(mut self) -> Result<Option<PathBuf>, Unwritten> {
        if self.is_broken {
            return Ok(None);
        }
        self.rest().await?;
        self.flush().await?;
        match self.sink {
            Sink::File(file) => {
                let path = file.path().to_owned();
                match file.finish().await? {
                    Some(beside) => take_over(&self.run, &path, beside).await,
                    None => Ok(None),
                }
            }
            Sink::Lines(_) => Ok(None),
        }
    }
}

/// Writes all results of a run, in the order of its rows, and returns their number.
///
/// This may be called at any time, also for a run in progress, of which it writes the results so far. For other formats than
/// NDJSON use [`each_result`](crate::each_result).
///
/// # Errors
/// `Store` where they cannot be read; `Place`, `Exists` or `Files` where they cannot be written.
///
/// # Cancel safety
/// The file is written atomically: after a dropped call it is complete or absent.
pub async fn export(run: &Run, to: &Destination) -> Result<u64, Error> {
    let (mut out, mut written) = (TextWriter::begin(to).await?, 0);
    let mut pages = run.pages();
    loop {
        let jobs = pages.next().await.map_err(Error::store)?;
        if jobs.is_empty() || !out.is_wanted() {
            return out.finish().await.map(|()| written);
        }
        for line in jobs.iter().filter_map(line_of) {
            out.write(&(line + "\n")).await?;
            written += 1;
        }
    }
}

/// Returns the line of a stored job, without a newline; `None` for a job without a result.
pub(super) fn line_of(job: &JobRecord) -> Option<String> {
    let result = job.result.as_deref().filter(|_| job.state == JobState::Accepted)?;
    Some(line(job.index, &job.row, result))
}

/// Formats a line. Row and result are JSON already, and are copied byte by byte, so that numbers keep their digits.
fn line(index: u64, row: &str, result: &str) -> String {
    format!("{{\"index\":{index},\"row\":{row},\"result\":{result}}}")
}
