use antiphon_fs::Writer;
use antiphon_store::{JobState, Run};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};
use crate::inspect::ResultRow;
use crate::results::{Destination, Lines};

/// Writes text to a [`Destination`], a block at a time; a file is there whole once [`finish`](Self::finish) has returned.
#[derive(Debug)]
pub struct TextWriter {
    sink: Sink,
    block: String,
    is_wanted: bool,
}

#[derive(Debug)]
enum Sink {
    File(Writer),
    Lines(Lines),
}

impl TextWriter {
    const BLOCK: usize = 64 << 10;

    /// Opens the destination; a file's folder is made if it is not there.
    ///
    /// # Errors
    /// `Files` where it cannot be written.
    ///
    /// # Cancel safety
    /// A dropped call leaves at most a `.part` file.
    pub async fn begin(to: &Destination) -> Result<Self, Error> {
        let sink = match to {
            Destination::File(path) => {
                if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    antiphon_fs::create_dir(parent).await.map_err(Error::files)?;
                }
                Sink::File(Writer::atomic(path).await.map_err(Error::files)?)
            }
            Destination::Lines(lines) => Sink::Lines(lines.clone()),
        };
        Ok(Self { sink, block: String::new(), is_wanted: true })
    }

    /// Whether somebody still reads.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Adds text, which ends with a whole line.
    ///
    /// # Errors
    /// `Files` where it cannot be written.
    ///
    /// # Cancel safety
    /// A dropped call may lose a block: do not go on writing after it.
    pub async fn write(&mut self, text: &str) -> Result<(), Error> {
        self.block.push_str(text);
        if self.block.len() < Self::BLOCK { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let block = std::mem::take(&mut self.block);
        match &mut self.sink {
            _ if block.is_empty() => {}
            Sink::File(writer) => writer.write(block).await.map_err(Error::files)?,
            Sink::Lines(lines) => {
                let wanted = lines.take(block).await;
                self.is_wanted &= wanted.map_err(|why| Error::new(ErrorKind::Files, why))?;
            }
        }
        Ok(())
    }

    /// Writes what is left, and gives a file its name.
    ///
    /// # Errors
    /// `Files` where it cannot be written.
    ///
    /// # Cancel safety
    /// The file is whole or not there.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.flush().await?;
        match self.sink {
            Sink::File(writer) => writer.finish().await.map_err(Error::files),
            Sink::Lines(_) => Ok(()),
        }
    }
}

/// Hands over every row that has a result, in the order of the rows, as an object of `index`, `row` and `result`, until
/// `take` says that no more is wanted.
///
/// # Errors
/// `Store` where the run cannot be read, and `take`'s own.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
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
