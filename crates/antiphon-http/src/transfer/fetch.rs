//! Many files at a time, into one folder.
//!
//! Names are given in the order of the addresses before anything is fetched, so that a repeated call gives each address
//! the same name and finds its file, complete or partial.

use std::fmt;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, stream};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use tokio_util::sync::CancellationToken;

use super::download::{Download, Downloaded};
use super::names::{Names, without_secrets};
use crate::client::Client;
use crate::error::{Error, ErrorKind};

/// A request for many files, each of which gets a safe, unique name in one folder.
///
/// An address may contain a key, so `Debug` shows the number of addresses, and `Serialize` shows them [`without_secrets`]. A
/// serialised request can
/// therefore be logged but not fetched: to deserialise a request, use JSON with the whole addresses.
///
/// ```
/// use antiphon_http::FetchRequest;
/// let text = r#"{"urls": ["https://example.org/a/report.pdf?key=secret"], "out": "reports"}"#;
/// let request: FetchRequest = serde_json::from_str(text)?;
/// assert_eq!(request.max_concurrency, 10);
/// assert!(!format!("{request:?} {}", serde_json::to_string(&request)?).contains("secret"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FetchRequest {
    /// The addresses.
    #[serde(serialize_with = "shown")]
    pub urls: Vec<String>,
    /// The folder for the files; created if it does not exist.
    pub out: PathBuf,
    /// The concurrency limit: the maximum number of files that are fetched at once; 0 counts as 1. Default 10.
    #[serde(default = "default_concurrency")]
    pub max_concurrency: usize,
    /// Whether files that exist are fetched again and replaced. Default false: they are kept.
    #[serde(default)]
    pub fresh: bool,
}

/// The outcome for one address. It is serialised as a flat object, in which fields that do not apply are null:
///
/// ```json
/// {
///   "number": 1, "source": "https://example.org/a.pdf", "outcome": "fetched", "path": "reports/a.pdf", "bytes": 5120,
///   "resumed_from": 0, "sha256": "9f86d081…", "status": null, "retry_after_seconds": null, "error": null
/// }
/// ```
///
/// `outcome` is `fetched`, `there_already` (the file existed and was kept), `cancelled` or `failed`.
#[non_exhaustive]
pub struct Fetched {
    /// The number of the address, from 1.
    pub number: usize,
    /// The address [`without_secrets`].
    pub source: String,
    /// The file, or the error if it could not be fetched.
    pub result: Result<FetchedFile, FetchError>,
}

/// A file that was fetched by this call or that existed before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FetchedFile {
    /// The file's path.
    pub path: PathBuf,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The download with its digest; `None` if the file existed and was kept.
    pub download: Option<Downloaded>,
}

/// The error of one file of a [`fetch`].
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// The file could not be fetched.
    Http(Error),
    /// The file system could not be read.
    File(antiphon_fs::Error),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(err) => err.fmt(f),
            Self::File(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for FetchError {}

impl FetchError {
    /// Sets the position of the address.
    fn with_index(self, index: usize) -> Self {
        match self {
            Self::Http(err) => Self::Http(err.with_index(index)),
            Self::File(err) => Self::File(err),
        }
    }
}

impl Serialize for FetchError {
    /// Serialises the error as its message.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchRequest")
            .field("urls", &self.urls.len())
            .field("out", &self.out)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Fetched {
    /// Writes number, outcome and error. The address and the file's name, which comes from it, may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("number", &self.number)
            .field("outcome", &self.outcome())
            .field("error", &self.result.as_ref().err())
            .finish_non_exhaustive()
    }
}

/// Serialises addresses without their secrets.
fn shown<S: Serializer>(urls: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(urls.iter().map(|url| without_secrets(url)))
}

/// The default of [`FetchRequest::max_concurrency`].
fn default_concurrency() -> usize {
    10
}

impl FetchRequest {
    /// Creates a request for the files of these addresses, into the folder `out`.
    #[must_use]
    pub fn new(urls: impl IntoIterator<Item = impl Into<String>>, out: impl AsRef<Path>) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self { urls, out: out.as_ref().to_owned(), max_concurrency: default_concurrency(), fresh: false }
    }

    /// Sets the concurrency limit: the maximum number of files that are fetched at once. Default 10; 0 counts as 1.
    #[must_use]
    pub fn max_concurrency(mut self, max_concurrency: usize) -> Self {
        self.max_concurrency = max_concurrency;
        self
    }

    /// Sets whether files that exist are fetched again and replaced. Default: they are kept.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }
}

impl Fetched {
    /// Returns the error of a request that failed; `None` for a success or an error of the file system.
    #[must_use]
    pub fn http_error(&self) -> Option<&Error> {
        match &self.result {
            Err(FetchError::Http(err)) => Some(err),
            Err(FetchError::File(_)) | Ok(_) => None,
        }
    }

    /// Returns the name of the outcome: `fetched`, `there_already`, `cancelled` or `failed`.
    fn outcome(&self) -> &'static str {
        match (&self.result, self.http_error().map(Error::kind)) {
            (Ok(FetchedFile { download: Some(_), .. }), _) => "fetched",
            (Ok(FetchedFile { download: None, .. }), _) => "there_already",
            (Err(_), Some(ErrorKind::Cancelled)) => "cancelled",
            (Err(_), _) => "failed",
        }
    }
}

impl Serialize for Fetched {
    /// Serialises the outcome as a flat object, whose fields are the same for each outcome.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (file, http) = (self.result.as_ref().ok(), self.http_error());
        let download = file.and_then(|file| file.download.as_ref());
        let mut fields = serializer.serialize_struct("Fetched", 10)?;
        fields.serialize_field("number", &self.number)?;
        fields.serialize_field("source", &self.source)?;
        fields.serialize_field("outcome", self.outcome())?;
        fields.serialize_field("path", &file.map(|file| file.path.display().to_string()))?;
        fields.serialize_field("bytes", &file.map(|file| file.bytes))?;
        fields.serialize_field("resumed_from", &download.map(|download| download.resumed_from))?;
        fields.serialize_field("sha256", &download.map(|download| &download.sha256))?;
        let refused = http.filter(|err| matches!(err.kind(), ErrorKind::Status { .. }));
        fields.serialize_field("status", &refused.and_then(Error::status))?;
        let retry_after = http.and_then(Error::retry_after);
        fields.serialize_field("retry_after_seconds", &retry_after.map(|wait| wait.as_secs_f64()))?;
        fields.serialize_field("error", &self.result.as_ref().err())?;
        fields.end()
    }
}

/// Fetches many files into one folder, each under a unique name from its address.
///
/// At most [`FetchRequest::max_concurrency`] files are fetched at once. The callback `on_done` is called for each file as soon
/// as its outcome is known. Returns the outcomes in the order of the addresses; a failure does not affect the other files. Use
/// [`Client::download`] for one file under a chosen name, and [`Client::batch`] for bodies in memory.
///
/// A repeated call resumes partial files and keeps complete ones, unless [`FetchRequest::fresh`] is set.
///
/// ```no_run
/// use antiphon_http::{Client, FetchRequest, fetch};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let (client, cancel) = (Client::builder().build(), tokio_util::sync::CancellationToken::new());
/// let request = FetchRequest::new(["https://example.org/a.pdf", "https://example.org/b.pdf"], "reports");
/// let fetched = fetch(&client, &request, |done| println!("{}", done.source), cancel).await?;
/// assert_eq!(fetched.len(), 2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The error of the file system if the folder cannot be created. Errors of single files are in their outcomes.
///
/// # Cancel safety
/// Dropping the future closes the connections; the received bytes are kept, and the next call resumes. Cancelling `cancel` does
/// the same.
pub async fn fetch(
    client: &Client,
    request: &FetchRequest,
    on_done: impl Fn(&Fetched) + Sync,
    cancel: CancellationToken,
) -> Result<Vec<Fetched>, antiphon_fs::Error> {
    antiphon_fs::create_dir(&request.out).await?;
    let mut names = Names::default();
    let numbered = (1..).zip(request.urls.clone());
    // Owned, so that the future can move between threads.
    let files: Vec<_> =
        numbered.map(|(number, url)| (number, request.out.join(names.next(&url)), url)).collect();
    let fetched = stream::iter(files).map(async |(number, path, url): (usize, PathBuf, String)| {
        let download = client.download(&url, &path).cancelled_by(cancel.clone());
        let result = file(download, path, request.fresh).await.map_err(|err| err.with_index(number - 1));
        let fetched = Fetched { number, source: without_secrets(&url), result };
        on_done(&fetched);
        fetched
    });
    let mut fetched: Vec<_> = fetched.buffer_unordered(request.max_concurrency.max(1)).collect().await;
    fetched.sort_by_key(|fetched| fetched.number);
    Ok(fetched)
}

/// Keeps a file that exists, or downloads it.
async fn file(download: Download, path: PathBuf, fresh: bool) -> Result<FetchedFile, FetchError> {
    if !fresh && antiphon_fs::exists(&path).await.map_err(FetchError::File)? {
        let found = antiphon_fs::metadata(&path).await.map_err(FetchError::File)?;
        if found.is_file {
            return Ok(FetchedFile { path, bytes: found.len, download: None });
        }
    }
    let download = download.run().await.map_err(FetchError::Http)?;
    Ok(FetchedFile { path, bytes: download.bytes, download: Some(download) })
}
