use antiphon_http::{Downloaded, ErrorKind};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::cli::FetchArgs;
use super::config;
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED};
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use super::progress::counted;
use crate::operations::{self, FetchRequest, Fetched, without_secrets};
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
            let request = FetchRequest::new(&args.urls, out).concurrency(concurrency);
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
    let (drain, cancel) = (CancellationToken::new(), CancellationToken::new());
    let interrupts = Interrupts::listen(drain.clone(), cancel.clone(), talk);
    let on_done = |fetched: &Fetched| match &fetched.result {
        Ok(done) => talk.line(&told(&fetched.source, done)),
        Err(err) => talk.error(&CommandError::new(SOME_FAILED, format!("{}: {err}", fetched.source))),
    };
    let fetched = operations::fetch(client, request, on_done, (drain, cancel)).await;
    let fetched = fetched.map_err(|err| CommandError::new(ALL_FAILED, err.to_string()))?;
    output::result(&if args.json { as_json(&fetched)? } else { as_list(&fetched) })?;
    let failed = fetched.iter().filter(|fetched| fetched.result.is_err()).count();
    if let Some(code) = interrupts.code() {
        talk.line("the same command goes on with what broke off");
        return Ok(code);
    }
    if failed > 0 {
        talk.line(&format!(
            "{failed} of {} failed; the same command tries again",
            counted(fetched.len(), "file")
        ));
    }
    Ok(code(failed, fetched.len()))
}

/// The bodies one after the other, in the order of the addresses.
async fn to_stdout(
    client: &antiphon_http::Client,
    args: &FetchArgs,
    talk: &Talk,
    concurrency: usize,
) -> Result<u8, CommandError> {
    if args.json {
        return Err(CommandError::new(super::error::USAGE, "--json tells of files: add --out DIR"));
    }
    let bodies = futures_util::stream::iter(&args.urls).map(async |url| (url, body(client, url).await));
    let mut bodies = std::pin::pin!(bodies.buffered(concurrency.max(1)));
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

fn told(source: &str, done: &Downloaded) -> String {
    let resumed = match done.resumed_from {
        0 => String::new(),
        bytes => format!(", {bytes} of them from an earlier try"),
    };
    format!("{source}: {} bytes{resumed}", done.bytes)
}

fn as_list(fetched: &[Fetched]) -> String {
    let paths = fetched.iter().filter_map(|fetched| fetched.result.as_ref().ok());
    paths.map(|done| format!("{}\n", done.path.display())).collect()
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    source: String,
    path: Option<String>,
    bytes: Option<u64>,
    resumed_from: Option<u64>,
    sha256: Option<String>,
    status: Option<u16>,
    retry_after_seconds: Option<f64>,
    error: Option<String>,
}

fn as_json(fetched: &[Fetched]) -> Result<String, CommandError> {
    let files = fetched.iter().map(|Fetched { source, result }| {
        let (done, err) = (result.as_ref().ok(), result.as_ref().err());
        let wait = err.and_then(antiphon_http::Error::retry_after);
        File {
            source: source.clone(),
            path: done.map(|done| done.path.display().to_string()),
            bytes: done.map(|done| done.bytes),
            resumed_from: done.map(|done| done.resumed_from),
            sha256: done.map(|done| done.sha256.clone()),
            status: err.and_then(antiphon_http::Error::status),
            retry_after_seconds: wait.map(|wait| wait.as_secs_f64()),
            error: err.map(ToString::to_string),
        }
    });
    let document = Document { schema: "antiphon.fetch/1", files: files.collect() };
    let text = serde_json::to_string_pretty(&document);
    let text =
        text.map_err(|err| CommandError::internal(format!("the result cannot be written as JSON: {err}")))?;
    Ok(text + "\n")
}
