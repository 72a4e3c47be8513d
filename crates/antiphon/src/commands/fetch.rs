use antiphon_http::ErrorKind;
use antiphon_stream::StreamExt as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::cli::FetchArgs;
use super::config;
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED, USAGE};
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::counted;
use crate::operations::{self, FetchError, FetchRequest, Fetched, FetchedFile, without_secrets};
use crate::runtime::{Environment, Flags, http_client, resolve};

pub(super) async fn run(args: &FetchArgs, talk: &Talk) -> Result<u8, CommandError> {
    let env = Environment::read();
    let flags = Flags { concurrency: args.concurrency, ..Flags::default() };
    let settings = resolve(&flags, &env, &config::files(&env).await?)?;
    let client = http_client(&settings);
    let concurrency = settings.workers();
    match &args.out {
        None => to_stdout(&client, args, talk, concurrency).await,
        Some(out) => {
            let request = FetchRequest::new(&args.urls, out).concurrency(concurrency).fresh(args.fresh);
            to_files(&client, &request, args, *talk).await
        }
    }
}

async fn to_files(
    client: &antiphon_http::Client,
    request: &FetchRequest,
    args: &FetchArgs,
    talk: Talk,
) -> Result<u8, CommandError> {
    let cancel = CancellationToken::new();
    // What broke off can be gone on with, so that one Ctrl-C is enough.
    let interrupts = Interrupts::listen_for_one(cancel.clone());
    let on_done = |fetched: &Fetched| {
        let Fetched { number, source, result, .. } = fetched;
        match result {
            Ok(done) => talk.line(&format!("{number} {source}: {}", told(done))),
            Err(FetchError::Http(err)) if err.kind() == ErrorKind::Cancelled => {}
            Err(err) => talk.error(&CommandError::new(SOME_FAILED, format!("{number} {source}: {err}"))),
        }
    };
    let fetched = operations::fetch(client, request, on_done, cancel).await;
    let fetched = fetched.map_err(|err| {
        let cause = std::error::Error::source(&err).map(|cause| format!(": {cause}")).unwrap_or_default();
        CommandError::new(USAGE, format!("{err}{cause}"))
    })?;
    output::result(&if args.json { as_json(&fetched)? } else { as_list(&fetched) })?;
    let missing = fetched.iter().filter(|fetched| fetched.result.is_err()).count();
    if missing > 0 {
        let files = counted(fetched.len(), "file");
        talk.line(&format!("{missing} of {files} missing: the same command goes on with them"));
    }
    Ok(interrupts.code().unwrap_or(code(missing, fetched.len())))
}

/// The bodies one after the other, in the order of the addresses.
async fn to_stdout(
    client: &antiphon_http::Client,
    args: &FetchArgs,
    talk: &Talk,
    concurrency: usize,
) -> Result<u8, CommandError> {
    let bodies = futures_util::stream::iter(&args.urls);
    let mut bodies =
        std::pin::pin!(bodies.map_async(concurrency, async |url| (url, body(client, url).await)));
    let mut failed = 0;
    while let Some((url, body)) = bodies.next().await {
        match body {
            Ok(body) => output::result_bytes(&body)?,
            Err(err) => {
                failed += 1;
                let error = CommandError::new(SOME_FAILED, format!("{}: {err}", without_secrets(url)));
                talk.error(&match err.kind() {
                    ErrorKind::TooLarge { .. } => {
                        error.hint("into a file it can be of any size: add --out DIR")
                    }
                    _ => error,
                });
            }
        }
    }
    Ok(code(failed, args.urls.len()))
}

async fn body(client: &antiphon_http::Client, url: &str) -> Result<Bytes, antiphon_http::Error> {
    client.get(url).await?.bytes().await
}

fn code(failed: usize, all: usize) -> u8 {
    match failed {
        0 => OK,
        failed if failed < all => SOME_FAILED,
        _ => ALL_FAILED,
    }
}

fn told(file: &FetchedFile) -> String {
    match &file.download {
        None => {
            format!("{} is there already, and left alone (--fresh fetches it again)", file.path.display())
        }
        Some(done) if done.resumed_from > 0 => {
            format!("{} bytes, {} of them from an earlier try", done.bytes, done.resumed_from)
        }
        Some(done) => format!("{} bytes", done.bytes),
    }
}

fn as_list(fetched: &[Fetched]) -> String {
    let files = fetched.iter().filter_map(|fetched| fetched.result.as_ref().ok());
    files.map(|file| format!("{}\n", file.path.display())).collect()
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    number: usize,
    source: String,
    outcome: &'static str,
    path: Option<String>,
    bytes: Option<u64>,
    resumed_from: Option<u64>,
    sha256: Option<String>,
    status: Option<u16>,
    retry_after_seconds: Option<f64>,
    error: Option<String>,
}

fn as_json(fetched: &[Fetched]) -> Result<String, CommandError> {
    let files = fetched.iter().map(|Fetched { number, source, result, .. }| {
        let (file, err) = (result.as_ref().ok(), result.as_ref().err());
        let done = file.and_then(|file| file.download.as_ref());
        let http = err.and_then(|err| match err {
            FetchError::Http(err) => Some(err),
            _ => None,
        });
        File {
            number: *number,
            source: source.clone(),
            outcome: match (file, done, http.map(antiphon_http::Error::kind)) {
                (_, Some(_), _) => "fetched",
                (Some(_), None, _) => "there_already",
                (None, _, Some(ErrorKind::Cancelled)) => "cancelled",
                (None, ..) => "failed",
            },
            path: file.map(|file| file.path.display().to_string()),
            bytes: file.map(|file| file.bytes),
            resumed_from: done.map(|done| done.resumed_from),
            sha256: done.map(|done| done.sha256.clone()),
            status: http.and_then(antiphon_http::Error::status),
            retry_after_seconds: http
                .and_then(antiphon_http::Error::retry_after)
                .map(|wait| wait.as_secs_f64()),
            error: err.map(ToString::to_string),
        }
    });
    let document = Document { schema: "antiphon.fetch/1", files: files.collect() };
    let text = serde_json::to_string_pretty(&document);
    let text =
        text.map_err(|err| CommandError::internal(format!("the result cannot be written as JSON: {err}")))?;
    Ok(text + "\n")
}
