//! Downloads that resume: range requests with a validator, a partial file with metadata, and a rename at the end.
//!
//! | response to a range request | meaning | reaction |
//! |---|---|---|
//! | 206 from the requested byte, same validator | the missing bytes | append |
//! | 416 with the length of the partial file | nothing is missing | finished |
//! | any other 206 or 416 | the content has changed | discard, and request the whole file |
//! | 200 | the content has changed, or ranges are not supported | begin again |
//!
//! (RFC 9110, section 14.) The digest is computed while bytes arrive, so that the file is read again only if another
//! run resumes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_fs::Writer;
use antiphon_resilience::{RetryPolicy, Verdict};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::OnProgress;
use super::part::{Part, PartMetadata};
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, RequestPhase};
use crate::request::Request;
use crate::response::Response;

/// A download of one file; see [`Client::download`].
///
/// # Examples
/// ```no_run
/// use antiphon_http::{Client, Error, RetryPolicy};
/// # async fn example() -> Result<(), Error> {
/// let client = Client::builder().retry(RetryPolicy::default()).build();
/// let file = client
///     .download("https://example.org/model.bin", "model.bin")
///     .on_progress(|done, total| println!("{done} of {total:?} bytes"))
///     .run()
///     .await?;
/// println!("{} bytes, of which {} were there before", file.bytes, file.resumed_from);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is fetched before `run`"]
pub struct Download {
    client: Client,
    request: Request,
    /// The digest of the address, by which a partial file is recognised.
    source: String,
    path: PathBuf,
    /// The expected digest.
    sha256: Option<String>,
    on_progress: OnProgress,
    cancel: CancellationToken,
}

/// A downloaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Downloaded {
    /// The file's path.
    pub path: PathBuf,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The number of bytes that an earlier attempt had downloaded; 0 if the download did not resume.
    pub resumed_from: u64,
    /// The file's SHA-256 in hexadecimal.
    pub sha256: String,
}

/// The bytes received so far, and what is known of the whole file.
#[derive(Default)]
struct Progress {
    /// The number of bytes in the partial file.
    done: u64,
    /// The digest of these bytes so far.
    digest: Sha256,
    /// The validator of the content that they are from; `None` if it cannot be resumed.
    validator: Option<String>,
    /// The file's length, if the server reported it.
    total: Option<u64>,
}

impl Client {
    /// Creates a download of `url` into the file `path`. Use [`fetch`](crate::fetch) for many files.
    ///
    /// The file is renamed to `path` when it is complete; until then, an older file at `path` stays in place.
    ///
    /// Received bytes are kept in `path` plus `.part`, with metadata in `path` plus `.part.json`. If the connection breaks, a
    /// client with a [retry policy](crate::ClientBuilder::retry) resumes after the policy's pause; without a policy, the next
    /// run of the same download resumes. The server must support range requests and still have the same content; otherwise the
    /// download starts from the beginning. Do not run two downloads to one path at the same time.
    pub fn download(&self, url: &str, path: impl AsRef<Path>) -> Download {
        Download {
            client: self.clone(),
            request: Request::get(url),
            source: hex(Sha256::digest(url)),
            path: path.as_ref().to_owned(),
            sha256: None,
            on_progress: OnProgress::default(),
            cancel: CancellationToken::new(),
        }
    }
}

impl Download {
    /// Sets a header of the request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sets the expected SHA-256, in hexadecimal. A file with another digest is deleted, and the download fails with
    /// `ChecksumMismatch`.
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into());
        self
    }

    /// Sets a progress callback. Its arguments are the number of bytes received, with those of earlier runs, and the total if
    /// it is known. The callback is called for each piece of the body and must not block.
    pub fn on_progress(mut self, callback: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.on_progress = OnProgress::new(callback);
        self
    }

    /// Sets a token that cancels the download with `Cancelled`. The received bytes are kept, and the next run resumes.
    pub fn cancelled_by(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Downloads the file, or the rest of it after an earlier run.
    ///
    /// # Errors
    /// As [`Client::send`], `Status` for a status that is not a success, and `ChecksumMismatch`, `File` or `Cancelled`.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection. The received bytes are kept for the next run, except for up to the last 256
    /// KiB.
    pub async fn run(mut self) -> Result<Downloaded, Error> {
        let (part, endpoint) = (Part::of(&self.path), self.request.origin());
        self.check_target(&endpoint).await?;
        let options = &self.client.inner.options;
        // One deadline for all attempts.
        self.request.limit_by(options.timeout);
        let mut progress = self.existing(&part, &endpoint).await?;
        let resumed_from = progress.done;
        self.fetch_all(&part, &mut progress, &endpoint).await?;
        let sha256 = hex(progress.digest.finalize());
        self.check_digest(&part, &sha256, &endpoint).await?;
        self.check_length(&part, progress.done, &endpoint).await?;
        part.publish().await.map_err(|err| file_error(err, &endpoint))?;
        let resumed_from = resumed_from.min(progress.done);
        Ok(Downloaded { path: self.path, bytes: progress.done, resumed_from, sha256 })
    }

    /// Checks the digest of the whole file, if one is expected, and deletes a file with another one.
    async fn check_digest(&self, part: &Part, sha256: &str, endpoint: &Endpoint) -> Result<(), Error> {
        let expected = self.sha256.as_deref().filter(|expected| !expected.eq_ignore_ascii_case(sha256));
        let Some(expected) = expected else { return Ok(()) };
        part.discard().await.map_err(|err| file_error(err, endpoint))?;
        let reason = format!("the SHA-256 is {sha256}, not {expected}");
        Err(Error::new(ErrorKind::ChecksumMismatch, RequestPhase::NextByte, endpoint.clone(), reason))
    }

    /// Checks that the partial file has the bytes that were written to it, and deletes it otherwise: the digest is that
    /// of the bytes received, not of the file.
    async fn check_length(&self, part: &Part, done: u64, endpoint: &Endpoint) -> Result<(), Error> {
        let failed = |err| file_error(err, endpoint);
        if part.holds(done).await.map_err(failed)? {
            return Ok(());
        }
        part.discard().await.map_err(failed)?;
        let reason = format!("another process has written to {}.part", self.path.display());
        Err(Error::new(ErrorKind::File, RequestPhase::NextByte, endpoint.clone(), reason))
    }

    /// Checks that the download does not replace a folder or a device.
    async fn check_target(&self, endpoint: &Endpoint) -> Result<(), Error> {
        match antiphon_fs::metadata(&self.path).await {
            Ok(found) if !found.is_file => {
                let reason = format!("cannot replace {}: it is not a regular file", self.path.display());
                Err(Error::new(ErrorKind::File, RequestPhase::Queue, endpoint.clone(), reason))
            }
            _ => Ok(()),
        }
    }

    /// Downloads until the file is complete. A client with a retry policy resumes by that policy after the connection breaks.
    async fn fetch_all(
        &self,
        part: &Part,
        progress: &mut Progress,
        endpoint: &Endpoint,
    ) -> Result<(), Error> {
        let retry = self.client.inner.options.retry.as_ref();
        let policy = retry.map_or_else(RetryPolicy::never, |retry| retry.policy.clone());
        let mut pauses = policy.pauses();
        loop {
            let before = progress.done;
            let err = match self.fetch(part, progress, endpoint).await {
                Ok(()) if progress.total.is_none_or(|total| total == progress.done) => return Ok(()),
                // The server sent a shorter range than requested.
                Ok(()) if progress.done > before => continue,
                Ok(()) => no_more_data(endpoint.clone()),
                Err(err) => err,
            };
            if progress.done > before {
                // Only consecutive attempts without progress count: progress reaches the end of the file by itself.
                pauses = policy.pauses();
            }
            let in_time = |pause: &Duration| self.request.deadline.allows(*pause, Instant::now().into_std());
            let Some(pause) = pauses.after(verdict(&err)).filter(in_time) else { return Err(err) };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.cancel.cancelled() => return Err(cancelled(endpoint.clone())),
            }
        }
    }

    /// Reads the partial file of an earlier run, if it belongs to the same address. Its digest is computed again.
    async fn existing(&self, part: &Part, endpoint: &Endpoint) -> Result<Progress, Error> {
        let found = part.existing(&self.source).await.map_err(|err| file_error(err, endpoint))?;
        Ok(match found {
            Some((done, digest, validator)) => {
                Progress { done, digest, validator: Some(validator), total: None }
            }
            None => Progress::default(),
        })
    }

    /// Downloads the missing bytes, or as many of them as one response has.
    async fn fetch(&self, part: &Part, progress: &mut Progress, endpoint: &Endpoint) -> Result<(), Error> {
        let failed = |err| file_error(err, endpoint);
        let mut response = self.ask(progress, endpoint).await?;
        match (response.status(), range(&response)) {
            (206, Some((from, total)))
                if from == progress.done
                    && self.can_resume(part, progress, &response).await.map_err(failed)? =>
            {
                progress.total = total;
                let writer = part.append().await.map_err(failed)?;
                return self.receive(response, writer, progress).await;
            }
            (416, Some((_, total))) if total == Some(progress.done) => {
                progress.total = total;
                return Ok(());
            }
            (206 | 416, _) => {
                // The partial file does not belong to the server's content. The connection is released before the next request.
                drop(response);
                part.discard().await.map_err(failed)?;
                *progress = Progress::default();
                response = self.ask(progress, endpoint).await?;
            }
            _ => {}
        }
        self.receive_whole(response, part, progress, endpoint).await
    }

    /// Receives the whole file into a new partial file, which can be resumed if the response has a validator and a
    /// length.
    async fn receive_whole(
        &self,
        response: Response,
        part: &Part,
        progress: &mut Progress,
        endpoint: &Endpoint,
    ) -> Result<(), Error> {
        if response.status() == 206 {
            return Err(unrequested_part(endpoint.clone()));
        }
        // Without a length the body may have been decompressed, and a range of that cannot be requested.
        let validator = response.content_length().and_then(|_| validator(&response));
        *progress = Progress { total: response.content_length(), validator, ..Progress::default() };
        let metadata = progress.validator.clone();
        let metadata = metadata.map(|validator| PartMetadata { source: self.source.clone(), validator });
        let writer = part.begin(metadata).await.map_err(|err| file_error(err, endpoint))?;
        self.receive(response, writer, progress).await
    }

    /// Returns whether a partial response continues the partial file: some servers ignore `If-Range`.
    async fn can_resume(
        &self,
        part: &Part,
        progress: &Progress,
        response: &Response,
    ) -> Result<bool, antiphon_fs::Error> {
        let same =
            validator(response).is_none_or(|validator| progress.validator.as_ref() == Some(&validator));
        Ok(progress.done > 0 && same && part.holds(progress.done).await?)
    }

    /// Requests the missing bytes.
    async fn ask(&self, progress: &Progress, endpoint: &Endpoint) -> Result<Response, Error> {
        let request = self.range_request(progress);
        let sending = async {
            let response = self.client.send(request).await?;
            match response.status() {
                // No bytes after the received ones: the file is complete, or the server's content has changed.
                416 if progress.done > 0 => Ok(response),
                _ => response.error_for_status(),
            }
        };
        tokio::select! {
            response = sending => response,
            () = self.cancel.cancelled() => Err(cancelled(endpoint.clone())),
        }
    }

    /// Returns the request for the missing bytes: a range if there is a validator for it, otherwise the whole file.
    /// With `If-Range`, a server whose content has changed sends the whole file instead of the range.
    fn range_request(&self, progress: &Progress) -> Request {
        // Ranges of a compressed body cannot be joined.
        let request = self.request.clone().header("accept-encoding", "identity");
        match progress.validator.as_ref().filter(|_| progress.done > 0) {
            Some(validator) => {
                let range = format!("bytes={}-", progress.done);
                request.header("range", &range).header("if-range", validator)
            }
            None => request,
        }
    }

    /// Receives a body and writes it to the partial file, which is kept however the body ends.
    async fn receive(
        &self,
        mut response: Response,
        mut writer: Writer,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let endpoint = response.origin().clone();
        let total = progress.total;
        self.on_progress.report(progress.done, total);
        let received = loop {
            let chunk = tokio::select! {
                chunk = response.chunk() => chunk,
                () = self.cancel.cancelled() => Err(cancelled(endpoint.clone()).with_status(response.status())),
            };
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(err) => break Err(err),
            };
            writer.write(&chunk).await.map_err(|err| file_error(err, &endpoint))?;
            progress.digest.update(&chunk);
            progress.done += chunk.len() as u64;
            self.on_progress.report(progress.done, total);
        };
        writer.finish().await.map_err(|err| file_error(err, &endpoint))?;
        received
    }
}

impl fmt::Debug for Download {
    /// Writes method and host of the request, and the file's path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("request", &self.request)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Returns the verdict for the retry policy. Only a body that breaks off is resumed here; earlier failures were retried by the
/// client.
fn verdict(err: &Error) -> Verdict {
    match err.kind() {
        ErrorKind::Interrupted | ErrorKind::Timeout { .. } if err.phase() == RequestPhase::NextByte => {
            Verdict::Retry
        }
        _ => Verdict::Stop,
    }
}

/// Parses `Content-Range` (`bytes 5-9/10` or `bytes */10`): the first byte, and the total length if the header has it.
fn range(response: &Response) -> Option<(u64, Option<u64>)> {
    let (range, total) = response.header("content-range")?.strip_prefix("bytes ")?.split_once('/')?;
    let from = range.split_once('-').map_or(Some(0), |(from, _)| from.parse().ok())?;
    Some((from, total.parse().ok()))
}

/// Returns the validator for `If-Range` (RFC 9110, section 13.1.5), if there is a strong one: weak tags do not promise the same
/// bytes, nor does a `Last-Modified` in the same second as `Date`.
fn validator(response: &Response) -> Option<String> {
    if let Some(tag) = response.header("etag") {
        return Some(tag.to_owned()).filter(|tag| !tag.starts_with("W/"));
    }
    let [changed, sent] =
        ["last-modified", "date"].map(|name| httpdate::parse_http_date(response.header(name)?).ok());
    let age = sent?.duration_since(changed?).ok()?;
    response.header("last-modified").filter(|_| age >= Duration::from_secs(1)).map(str::to_owned)
}

/// Returns a digest in lower-case hexadecimal.
fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Creates the error for a server whose response has no byte of the missing range.
fn no_more_data(endpoint: Endpoint) -> Error {
    Error::new(ErrorKind::Interrupted, RequestPhase::NextByte, endpoint, "the server sent no more data")
}

/// Creates the error for a range in the response to a request without one.
fn unrequested_part(endpoint: Endpoint) -> Error {
    let reason = "a partial response to a request for the whole file";
    Error::new(ErrorKind::InvalidResponse, RequestPhase::FirstByte, endpoint, reason)
}

/// Creates the error of a transfer that the caller cancelled.
fn cancelled(endpoint: Endpoint) -> Error {
    Error::new(ErrorKind::Cancelled, RequestPhase::NextByte, endpoint, "")
}

/// Wraps an error of the file system, with its cause, since an HTTP error has no source.
pub(super) fn file_error(err: antiphon_fs::Error, endpoint: &Endpoint) -> Error {
    let mut reason = err.to_string();
    if let Some(cause) = std::error::Error::source(&err) {
        reason = format!("{reason}: {cause}");
    }
    Error::new(ErrorKind::File, RequestPhase::NextByte, endpoint.clone(), reason)
}
