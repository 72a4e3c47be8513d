use std::fmt;
use std::path::{Path, PathBuf};
use std::task::{Poll, ready};

use antiphon_fs::Reader;
use futures_core::Stream;
use futures_util::{TryStreamExt, stream};
use reqwest::multipart::{Form, Part};
use tokio_util::sync::CancellationToken;

use super::OnProgress;
use super::download::file_error;
use crate::client::Client;
use crate::error::{BodyError, Error, ErrorKind, RequestPhase};
use crate::request::{Request, SendActivity};
use crate::response::Response;

/// An upload of one file; see [`Client::upload`].
///
/// # Examples
/// ```no_run
/// use antiphon_http::{Client, Error};
/// # async fn example() -> Result<(), Error> {
/// let upload = Client::default().upload("https://example.org/files", "report.pdf").text("purpose", "archive");
/// let response = upload.run().await?;
/// println!("{}", response.status());
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before `run`"]
pub struct Upload {
    client: Client,
    request: Request,
    path: PathBuf,
    /// The name of the file's form field.
    field: String,
    /// The names and values of the text fields, in order.
    fields: Vec<(String, String)>,
    on_progress: OnProgress,
    cancel: CancellationToken,
}

/// The size in bytes of the pieces in which a file is read.
const CHUNK_SIZE: usize = 64 << 10;

impl Client {
    /// Creates an upload that sends the file `path` in a `POST` request to `url`, as `multipart/form-data` with the field
    /// `file`. The file is streamed in pieces of 64 KiB and never held in memory as a whole.
    pub fn upload(&self, url: &str, path: impl AsRef<Path>) -> Upload {
        Upload {
            client: self.clone(),
            request: Request::post(url),
            path: path.as_ref().to_owned(),
            field: "file".to_owned(),
            fields: Vec::new(),
            on_progress: OnProgress::default(),
            cancel: CancellationToken::new(),
        }
    }
}

impl Upload {
    /// Sets a header of the request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sets the name of the file's form field. Default `file`.
    pub fn field(mut self, name: impl Into<String>) -> Self {
        self.field = name.into();
        self
    }

    /// Adds a text field to the form.
    pub fn text(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Sets a progress callback. Its arguments are the number of bytes that were passed to the connection, and the file's
    /// length. The callback is called for each piece of 64 KiB and must not block. A retry starts again from 0.
    pub fn on_progress(mut self, callback: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.on_progress = OnProgress::new(callback);
        self
    }

    /// Sets a token that cancels the upload and closes the connection.
    pub fn cancelled_by(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Sends the file; a client with a retry policy reads it again for each attempt.
    ///
    /// # Errors
    /// As [`Client::send`], `Status` for a status that is not a success, and `File` or `Cancelled`.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the server may have acted on the request.
    pub async fn run(self) -> Result<Response, Error> {
        let Self { client, request, path, field, fields, on_progress, cancel } = self;
        let endpoint = request.origin();
        let found = antiphon_fs::metadata(&path).await.map_err(|err| file_error(err, &endpoint))?;
        if !found.is_file {
            let reason = format!("cannot upload {}: it is not a regular file", path.display());
            return Err(Error::new(ErrorKind::File, RequestPhase::Queue, endpoint, reason));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let activity = SendActivity::new();
        let taken = activity.clone();
        let form = move || {
            let file = Part::stream_with_length(
                body(&path, found.len, on_progress.clone(), taken.clone()),
                found.len,
            );
            let texts =
                fields.iter().fold(Form::new(), |form, (name, value)| form.text(name.clone(), value.clone()));
            texts.part(field.clone(), file.file_name(name.clone()))
        };
        let request = request.form(form, activity);
        let sending = async { client.send(request).await?.error_for_status() };
        tokio::select! {
            response = sending => response,
            () = cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, RequestPhase::FirstByte, endpoint, "")),
        }
    }
}

impl fmt::Debug for Upload {
    /// Writes method and host of the request, and the file's path. The form's fields may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("request", &self.request)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Returns the file as a body of exactly `total` bytes, since the form's length was sent before it.
fn body(path: &Path, total: u64, on_progress: OnProgress, activity: SendActivity) -> reqwest::Body {
    let name = path.display().to_string();
    let path = path.to_owned();
    let opened =
        async move { Reader::open(path).await.map(|reader| reader.max_bytes(u64::MAX).chunks(CHUNK_SIZE)) };
    let failed = |reason: String| BodyError { kind: ErrorKind::File, reason };
    let mut pieces = Box::pin(stream::once(opened).try_flatten());
    let mut done = 0;
    let pieces = stream::poll_fn(move |cx| {
        if done == total {
            activity.end();
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(pieces.as_mut().poll_next(cx)) {
            Some(Ok(mut piece)) => {
                let left = usize::try_from(total - done).unwrap_or(usize::MAX);
                piece.truncate(left);
                done += piece.len() as u64;
                activity.note();
                if done == total {
                    activity.end();
                }
                on_progress.report(done, Some(total));
                Some(Ok(piece))
            }
            Some(Err(err)) => Some(Err(failed(err.to_string()))),
            None => Some(Err(failed(format!("cannot upload {name}: it became shorter while it was read")))),
        })
    });
    reqwest::Body::wrap_stream(pieces)
}
