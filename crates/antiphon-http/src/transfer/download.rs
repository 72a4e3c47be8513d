use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_fs::Writer;
use antiphon_resilience::{Deadline, RetryPolicy, Verdict};
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

/// A file to be fetched; see [`Client::download`].
#[derive(Debug)]
#[must_use = "nothing is fetched before `run`"]
pub struct Download {
    client: Client,
    request: Request,
    source: String,
    path: PathBuf,
    sha256: Option<String>,
    on_progress: OnProgress,
    cancel: CancellationToken,
}

/// A file that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Downloaded {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many of them were there already, from an earlier try.
    pub resumed_from: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// What has been fetched so far.
#[derive(Default)]
struct Progress {
    done: u64,
    digest: Sha256,
    validator: Option<String>,
    /// How much there is in all, if the server tells.
    total: Option<u64>,
}

impl Client {
    /// Fetches what stands under `url` into the file `path`, which appears when it is whole; an older file stays until
    /// then.
    ///
    /// What has come is kept in `path` with `.part` behind it, with a note of what it is a part of. If the connection
    /// breaks, a client that [retries](crate::ClientBuilder::retry) goes on from there at once, and any other when it is
    /// asked again, if the server supports ranges and still has the same content; else it begins anew. Do not fetch two
    /// things to one path at the same time.
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

    /// Refuses a file that has another SHA-256, in hexadecimal.
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into());
        self
    }

    /// Tells how many bytes have come, and how many there are if that is known. It is called often: be quick.
    pub fn on_progress(mut self, callback: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.on_progress = OnProgress::new(callback);
        self
    }

    /// Stops when `token` is cancelled; what has come is kept for the next time.
    pub fn cancelled_by(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Fetches the file.
    ///
    /// # Errors
    /// As [`Client::get`], and `ChecksumMismatch`, `File` or `Cancelled`.
    ///
    /// # Cancel safety
    /// Hangs up; what has come is kept for the next time, but for the last 256 KiB.
    pub async fn run(mut self) -> Result<Downloaded, Error> {
        let (part, endpoint) = (Part::of(&self.path), self.request.origin());
        self.check_target(&endpoint).await?;
        let options = &self.client.inner.options;
        if let (None, Some(timeout)) = (self.request.deadline.instant(), options.timeout) {
            // One for all tries.
            self.request.deadline = Deadline::after(timeout);
        }
        let mut progress = self.existing(&part, &endpoint).await?;
        let resumed_from = progress.done;
        self.fetch_all(&part, &mut progress, &endpoint).await?;
        let sha256 = hex(progress.digest.finalize());
        let failed = |err| file_error(err, &endpoint);
        if let Some(expected) =
            self.sha256.as_deref().filter(|expected| !expected.eq_ignore_ascii_case(&sha256))
        {
            part.discard().await.map_err(failed)?;
            let reason = format!("its SHA-256 is {sha256} and not {expected}");
            return Err(Error::new(ErrorKind::ChecksumMismatch, RequestPhase::NextByte, endpoint, reason));
        }
        if !part.holds(progress.done).await.map_err(failed)? {
            part.discard().await.map_err(failed)?;
            let reason = format!("somebody else has written to {}.part", self.path.display());
            return Err(Error::new(ErrorKind::File, RequestPhase::NextByte, endpoint, reason));
        }
        part.publish().await.map_err(failed)?;
        let resumed_from = resumed_from.min(progress.done);
        Ok(Downloaded { path: self.path, bytes: progress.done, resumed_from, sha256 })
    }

    /// Only a file may be put in the place of something: no folder, and no device.
    async fn check_target(&self, endpoint: &Endpoint) -> Result<(), Error> {
        match antiphon_fs::metadata(&self.path).await {
            Ok(found) if !found.is_file => {
                let reason = format!("{} is there, and is no file", self.path.display());
                Err(Error::new(ErrorKind::File, RequestPhase::Queue, endpoint.clone(), reason))
            }
            _ => Ok(()),
        }
    }

    /// Fetches until everything is there; a client that retries resumes after a break, by its retry policy.
    async fn fetch_all(
        &self,
        part: &Part,
        progress: &mut Progress,
        endpoint: &Endpoint,
    ) -> Result<(), Error> {
        let policy = self.client.inner.options.retry.clone().unwrap_or_else(RetryPolicy::never);
        let mut pauses = policy.pauses();
        loop {
            let before = progress.done;
            let err = match self.fetch(part, progress, endpoint).await {
                Ok(()) if progress.total.is_none_or(|total| total == progress.done) => return Ok(()),
                // The server gives less at a time than it was asked for.
                Ok(()) if progress.done > before => continue,
                Ok(()) => Error::new(
                    ErrorKind::Interrupted,
                    RequestPhase::NextByte,
                    endpoint.clone(),
                    "nothing more came",
                ),
                Err(err) => err,
            };
            if progress.done > before {
                // Only tries in a row that bring nothing count: the others come to an end by themselves.
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

    async fn existing(&self, part: &Part, endpoint: &Endpoint) -> Result<Progress, Error> {
        let found = part.existing(&self.source).await.map_err(|err| file_error(err, endpoint))?;
        Ok(match found {
            Some((done, digest, validator)) => {
                Progress { done, digest, validator: Some(validator), total: None }
            }
            None => Progress::default(),
        })
    }

    /// Fetches what is missing, or as much of it as comes.
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
                // What is there is no part of what the server has now. The connection is given back before it is asked again.
                drop(response);
                part.discard().await.map_err(failed)?;
                *progress = Progress::default();
                response = self.ask(progress, endpoint).await?;
            }
            _ => {}
        }
        if response.status() == 206 {
            let reason = "it sends a part where all was asked for";
            return Err(Error::new(
                ErrorKind::InvalidResponse,
                RequestPhase::FirstByte,
                endpoint.clone(),
                reason,
            ));
        }
        // Without a length the body may have been unpacked on the way, and no part of that can be asked for.
        let validator = response.content_length().and_then(|_| validator(&response));
        *progress = Progress { total: response.content_length(), validator, ..Progress::default() };
        let metadata = progress.validator.clone();
        let metadata = metadata.map(|validator| PartMetadata { source: self.source.clone(), validator });
        let writer = part.begin(metadata).await.map_err(failed)?;
        self.receive(response, writer, progress).await
    }

    /// Whether a part that came goes on with what is there: some servers do not look at `If-Range`.
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

    /// Asks for what is missing.
    async fn ask(&self, progress: &Progress, endpoint: &Endpoint) -> Result<Response, Error> {
        // Parts of something packed could not be put together again.
        let mut request = self.request.clone().header("accept-encoding", "identity");
        if let Some(validator) = progress.validator.as_ref().filter(|_| progress.done > 0) {
            request =
                request.header("range", &format!("bytes={}-", progress.done)).header("if-range", validator);
        }
        let sending = async {
            let response = self.client.send(request).await?;
            match response.status() {
                // There is nothing after what has come: it is whole, or it is no part of this any more.
                416 if progress.done > 0 => Ok(response),
                _ => response.error_for_status().await,
            }
        };
        tokio::select! {
            response = sending => response,
            () = self.cancel.cancelled() => Err(cancelled(endpoint.clone())),
        }
    }

    /// Takes what comes; it is kept, however it ends.
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
                () = self.cancel.cancelled() => Err(cancelled(endpoint.clone())),
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

/// What a failed try means for the next: only a body that breaks off is resumed here. What went wrong before it, the client
/// has retried itself.
fn verdict(err: &Error) -> Verdict {
    match err.kind() {
        ErrorKind::Interrupted | ErrorKind::Timeout { .. } if err.phase() == RequestPhase::NextByte => {
            Verdict::Retry
        }
        _ => Verdict::Stop,
    }
}

/// From where a part goes, and how long the whole is if that is told: `bytes 5-9/10`, or `bytes */10`.
fn range(response: &Response) -> Option<(u64, Option<u64>)> {
    let (range, total) = response.header("content-range")?.strip_prefix("bytes ")?.split_once('/')?;
    let from = range.split_once('-').map_or(Some(0), |(from, _)| from.parse().ok())?;
    Some((from, total.parse().ok()))
}

/// What a part can be told by later (RFC 9110, section 13.1.5): weak tags do not promise the same bytes, nor does a date
/// of the same second.
fn validator(response: &Response) -> Option<String> {
    if let Some(tag) = response.header("etag") {
        return Some(tag.to_owned()).filter(|tag| !tag.starts_with("W/"));
    }
    let [changed, sent] =
        ["last-modified", "date"].map(|name| httpdate::parse_http_date(response.header(name)?).ok());
    let age = sent?.duration_since(changed?).ok()?;
    response.header("last-modified").filter(|_| age >= Duration::from_secs(1)).map(str::to_owned)
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cancelled(endpoint: Endpoint) -> Error {
    Error::new(ErrorKind::Cancelled, RequestPhase::NextByte, endpoint, "")
}

pub(super) fn file_error(err: antiphon_fs::Error, endpoint: &Endpoint) -> Error {
    let mut reason = err.to_string();
    if let Some(cause) = std::error::Error::source(&err) {
        reason = format!("{reason}: {cause}");
    }
    Error::new(ErrorKind::File, RequestPhase::NextByte, endpoint.clone(), reason)
}
