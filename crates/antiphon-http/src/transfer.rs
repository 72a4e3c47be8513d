//! Downloads, uploads, and batches of requests.

mod batch;
mod download;
mod fetch;
mod names;
mod part;
mod upload;

pub use batch::BufferedResponse;
pub use download::{Download, Downloaded};
pub use fetch::{FetchError, FetchRequest, Fetched, FetchedFile, fetch};
pub use names::{safe_file_name, without_secrets};
pub use upload::Upload;

use std::fmt;
use std::sync::Arc;

/// A progress callback: takes the bytes transferred, and the total if it is known.
#[derive(Clone)]
pub(crate) struct OnProgress(Arc<dyn Fn(u64, Option<u64>) + Send + Sync>);

impl OnProgress {
    fn new(report: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    fn report(&self, done: u64, total: Option<u64>) {
        (self.0)(done, total);
    }
}

impl Default for OnProgress {
    fn default() -> Self {
        Self::new(|_, _| {})
    }
}

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnProgress")
    }
}
