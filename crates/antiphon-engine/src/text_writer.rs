//! A writer of text in any format, and an iteration over the results of a run.
//!
//! Both are the parts of an export: [`each_result`] reads, the caller formats, and [`TextWriter`] writes. For NDJSON,
//! the combination exists as [`export`](crate::export).

use std::fmt;

use antiphon_store::{JobState, Run};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};
use crate::file_output::is_beside;
use crate::inspect::ResultRow;
use crate::results::{Destination, Sink, Unwritten};

/// A writer of text to a [`Destination`], in blocks. A file gets its name only in [`finish`](Self::finish), so a reader never
/// finds a partly written one.
///
/// A closed pipe is no error: [`is_wanted`](Self::is_wanted) becomes `false`, and later text is discarded. So a program
/// whose output is piped into `head` ends without a complaint.
pub struct TextWriter {
    sink: Sink,
    /// Text that was not written yet.
    block: String,
    is_wanted: bool,
}

impl TextWriter {
    /// The size in bytes from which a block is written.
    const BLOCK: usize = 64 << 10;

    /// Opens the destination, and creates the folder of a file if it does not exist.
    ///
    /// # Errors
    /// `Place` where it cannot be written, `Exists` for a file that is not to be replaced.
    ///
    /// # Cancel safety
    /// A dropped call leaves no file; the folder may have been created.
    pub async fn begin(to: &Destination) -> Result<Self, Error> {
        let sink = Sink::open(to).await?;
        match &sink {
            Sink::File(file) if file.is_taken() => return Err(file.taken()),
            Sink::File(_) | Sink::Lines(_) => {}
        }
        Ok(Self { sink, block: String::new(), is_wanted: true })
    }

    /// Returns whether the output still has a reader; `false` once a pipe is closed.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Adds text, which must end with a newline. Text is buffered: a write error may be reported by a later call.
    ///
    /// # Errors
    /// `Files` where it cannot be written.
    ///
    /// # Cancel safety
    /// A dropped call may lose a block: do not write more after it.
    pub async fn write(&mut self, text: &str) -> Result<(), Error> {
        self.block.push_str(text);
        if self.block.len() < Self::BLOCK { Ok(()) } else { self.flush().await }
    }

    /// Writes the block, unless the reader has gone.
    async fn flush(&mut self) -> Result<(), Error> {
        let block = std::mem::take(&mut self.block);
        if block.is_empty() || !self.is_wanted {
            return Ok(());
        }
        let written = match &mut self.sink {
            Sink::File(file) => file.write(block).await,
            Sink::Lines(lines) => lines.write(block).await,
        };
        self.is_wanted = is_wanted(written)?;
        Ok(())
    }

    /// Writes the rest, and renames a file to its final name.
    ///
    /// # Errors
    /// `Files` where it cannot be written, or where another file took its name meanwhile: the error names the file that has the
    /// text.
    ///
    /// # Cancel safety
    /// The file is written atomically: after a dropped call it is complete or absent.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.flush().await?;
        let Sink::File(file) = self.sink else { return Ok(()) };
        if !self.is_wanted {
            return Ok(());
        }
        let path = file.path().to_owned();
        match file.finish().await {
            Ok(None) => Ok(()),
            Ok(Some(beside)) => Err(Error::new(ErrorKind::Files, is_beside(&path, &beside))),
            Err(unwritten) => is_wanted(Err(unwritten)).map(drop),
        }
    }
}

/// Returns whether the output still has a reader after a write. A reader that has gone is no error.
fn is_wanted(written: Result<(), Unwritten>) -> Result<bool, Error> {
    match written {
        Ok(()) => Ok(true),
        Err(Unwritten::Unread) => Ok(false),
        Err(Unwritten::Failed(why)) => Err(Error::new(ErrorKind::Files, why)),
    }
}

impl fmt::Debug for TextWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextWriter").field("is_wanted", &self.is_wanted).finish_non_exhaustive()
    }
}

/// Calls `take` for every row that has a result, in the order of the rows, with an object of `index`, `row` and `result`, until
/// it returns `false`.
///
/// The run is read a page at a time, so memory use does not grow with its size. To write results as NDJSON use
/// [`export`](crate::export). The next page is read only when `take` has returned, so a slow consumer is not overrun
/// (backpressure). Rows that end while the iteration is in progress are included if their page was not read yet.
///
/// # Errors
/// `Store` where the run cannot be read, and the errors of `take`.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn each_result(
    run: &Run,
    mut take: impl AsyncFnMut(Value) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut pages = run.pages();
    loop {
        let jobs = pages.next().await.map_err(Error::store)?;
        if jobs.is_empty() {
            return Ok(());
        }
        for job in jobs.into_iter().filter(|job| job.state == JobState::Accepted) {
            let ResultRow { index, row, result, .. } = job.into();
            if !take(json!({ "index": index, "row": row, "result": result })).await? {
                return Ok(());
            }
        }
    }
}
