//! The destination of a mapping's results: opening it before the first call, and giving it up or taking it over at the
//! end.
//!
//! Results are written under a random name and renamed at the end. A file that already has the final name is kept,
//! unless all of its lines are results of the same run, so that replacing it loses nothing:
//!
//! | file at the destination | at the start | at the end |
//! |---|---|---|
//! | none | results get the name | - |
//! | lines of this run alone | is accepted | the longer of the two files is kept |
//! | anything else | [`ErrorKind::Exists`](crate::ErrorKind::Exists) | results keep a similar name |
//!
//! The end differs from the start because another process of the same run may finish first, or another program may
//! write a file meanwhile. With [`Destination::Replace`] any file is replaced at the end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use antiphon_fs::Reader;
use antiphon_store::{Run, Store};
use serde::Deserialize;

use crate::error::Error;
use crate::identity::Identity;
use crate::mapping::Mapping;
use crate::results::{Destination, Sink, Unwritten, line_of};
use crate::stop::StopCause;

/// The maximum length of a line, a row and its result, in a file that is compared with a run. Bytes.
const MAX_LINE: usize = 64 << 20;
/// The number of rows that are read from the store at a time.
const PAGE: u16 = 512;

impl Mapping {
    /// Opens the named destination of results before the run begins, so that one that cannot be written costs nothing.
    ///
    /// # Errors
    /// `Place`, or `Exists` for a file that is not to be replaced and is not the run's own. `Cancelled` if the run is
    /// interrupted while the destination is opened.
    ///
    /// # Cancel safety
    /// A dropped call leaves a file at the destination as it was.
    pub(super) async fn open_results(
        &self,
        store: &Store,
        identity: Option<&Identity>,
    ) -> Result<Option<Sink>, Error> {
        let Some(to) = &self.results else { return Ok(None) };
        let sink = self.open_unless_interrupted(to).await?;
        if let Sink::File(file) = &sink
            && file.is_taken()
            && !self.is_of_earlier(store, identity, file.path()).await?
        {
            return Err(file.taken());
        }
        Ok(Some(sink))
    }

    /// Opens a destination. A pipe waits for its reader, so an interruption ends the wait.
    async fn open_unless_interrupted(&self, to: &Destination) -> Result<Sink, Error> {
        let (drain, cancel) = (&self.options.drain, &self.options.cancel);
        tokio::select! {
            sink = Sink::open(to) => sink,
            () = drain.cancelled() => Err(Error::stopped(StopCause::Interrupted, None)),
            () = cancel.cancelled() => Err(Error::stopped(StopCause::Interrupted, None)),
        }
    }

    /// Returns whether a file has the results of the run that would be resumed, and nothing else.
    async fn is_of_earlier(
        &self,
        store: &Store,
        identity: Option<&Identity>,
        path: &Path,
    ) -> Result<bool, Error> {
        match self.earlier(store, identity).await? {
            Some(run) => is_own(&run, path).await,
            None => Ok(false),
        }
    }
}

/// Renames results to their final name if the file that took it meanwhile has results of the same run alone, such as those of
/// another process that works on the run. Otherwise returns `beside`, the name that they keep.
///
/// # Cancel safety
/// Both files exist until one step removes or renames `beside`, so a dropped call loses no result.
pub(super) async fn take_over(run: &Run, path: &Path, beside: PathBuf) -> Result<Option<PathBuf>, Unwritten> {
    let is_own = is_own(run, path).await.map_err(|err| Unwritten::Failed(err.to_string()))?;
    if !is_own {
        return Ok(Some(beside));
    }
    let settled = async {
        // Of two result files of one run, the longer one contains the other.
        if antiphon_fs::metadata(path).await?.len > antiphon_fs::metadata(&beside).await?.len {
            return antiphon_fs::remove(&beside).await;
        }
        // A link is kept, and its target is replaced.
        let target = antiphon_fs::canonical(path).await?;
        antiphon_fs::rename(&beside, target).await
    };
    settled.await.map(|()| None).map_err(|err| Unwritten::Failed(err.to_string()))
}

/// Returns whether every line of a file is a result of this run, so that nothing is lost if the run's results replace it. A
/// moved file still passes; an edited one never does.
///
/// A file that cannot be read is not the run's own. Lines may be in any order; rows are read from the store a page at a
/// time, so a file in the order of the rows needs one request per page.
async fn is_own(run: &Run, path: &Path) -> Result<bool, Error> {
    let Ok(reader) = Reader::open(path).await else { return Ok(false) };
    let (mut lines, mut page) = (reader.max_line(MAX_LINE).lines(), HashMap::new());
    while let Some(line) = lines.next_line().await {
        let Ok(line) = line else { return Ok(false) };
        let Some(index) = index_of(&line) else { return Ok(false) };
        if !page.contains_key(&index) {
            let jobs = run.jobs(index - index % u64::from(PAGE), PAGE.into()).await.map_err(Error::store)?;
            page = jobs.iter().map(|job| (job.index, line_of(job))).collect();
        }
        if page.get(&index).and_then(Option::as_ref) != Some(&line) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the index of the row that a line of results is for; `None` for other text.
fn index_of(line: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        index: u64,
    }
    serde_json::from_str::<Numbered>(line).ok().map(|numbered| numbered.index)
}

#[cfg(test)]
mod tests {
    use antiphon_store::Store;

    use super::{is_own, take_over};
    use crate::file_output::{Existing, FileOutput};
    use crate::fixtures::finished;

    #[tokio::test]
    async fn a_file_belongs_to_a_run_if_each_line_does() {
        let store = Store::in_memory();
        let run = finished(&store, 1_100).await;
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("results.jsonl");
        let line = |n: u64| format!("{{\"index\":{n},\"row\":{{\"n\":{n}}},\"result\":{n}}}\n");
        let check = async |text: String, expected: bool| {
            antiphon_fs::write(&path, text.clone()).await.unwrap();
            assert_eq!(is_own(&run, &path).await.unwrap(), expected, "{text}");
        };
        check(String::new(), true).await;
        check((0..1_100).map(line).collect(), true).await;
        check(line(1_099) + &line(3) + &line(600), true).await;
        check(line(0) + "\n", false).await;
        check(line(0) + "a note\n", false).await;
        check(line(0) + &line(1_100), false).await;
        check(line(0).replace("\"n\":0", "\"n\":7"), false).await;
        check("{\"index\":18446744073709551615}\n".to_owned(), false).await;
        assert!(!is_own(&run, &folder.path().join("none")).await.unwrap());
    }

    #[tokio::test]
    async fn two_processes_of_one_run_leave_one_file() {
        let store = Store::in_memory();
        let run = finished(&store, 2).await;
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("results.jsonl");
        let line = "{\"index\":0,\"row\":{\"n\":0},\"result\":0}\n";
        let both = line.to_owned() + &line.replace('0', "1");
        for (other, is_replaced) in [(line, true), (&*both, true), ("{\"index\":0}\n", false)] {
            antiphon_fs::remove(&path).await.unwrap();
            let mut file = FileOutput::open(&path, Existing::Kept).await.unwrap();
            file.write(line.to_owned()).await.unwrap();
            antiphon_fs::write(&path, other.to_owned()).await.unwrap();
            let beside = file.finish().await.unwrap().unwrap();
            assert_eq!(antiphon_fs::read(&beside).await.unwrap(), line.as_bytes());
            let left = take_over(&run, &path, beside.clone()).await.unwrap();
            assert_eq!(left, Some(beside.clone()).filter(|_| !is_replaced));
            assert_eq!(antiphon_fs::exists(&beside).await.unwrap(), !is_replaced);
            assert_eq!(antiphon_fs::read(&path).await.unwrap(), other.as_bytes());
        }
    }
}
