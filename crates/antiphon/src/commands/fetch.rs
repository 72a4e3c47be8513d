//! `fetch`: concurrent downloads, to files in a folder or to stdout.
//!
//! | | `--out DIR` | without |
//! |---|---|---|
//! | stdout | the paths of the files, or with `--json` one document | the bodies, in the order of the URLs |
//! | stderr | a line for each URL as it ends | errors |
//! | size | unlimited, streamed to disk | held in memory, so limited |
//! | Ctrl-C | partial files are kept, and resumed by the next run | ends the process |
//!
//! The document has the schema `antiphon.fetch/1`. One URL that fails does not stop the others. Exit codes: 0 if all
//! were fetched, 4 if some were, 5 if none was; 2 for a folder that cannot be used, and for an argument that is no URL,
//! before anything is fetched; 130 or 143 for an interrupted
//! download to files. URLs are printed without the user name, password and query that may be secrets.

use antiphon_http::{Client, ErrorKind};
use antiphon_stream::BackpressureExt;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::cli::FetchArgs;
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED, USAGE};
use super::front::Front;
use super::interrupt::Interrupts;
use super::output::{self, Talk};
use crate::operations::{self, FetchRequest, Fetched, FetchedFile, without_secrets};
use crate::runtime::{Flags, http_client};

/// Fetches the URLs, to files or to stdout.
pub(super) async fn run(args: &FetchArgs, talk: &Talk) -> Result<u8, CommandError> {
    for url in &args.urls {
        check_url(url)?;
    }
    let flags = Flags::default().max_concurrency(args.max_concurrency);
    let settings = Front::new(&flags, talk).await?.settings;
    let client = http_client(&settings);
    let concurrency = settings.workers();
    match &args.out {
        None => to_stdout(&client, args, talk, concurrency).await,
        Some(out) => {
            let request = FetchRequest::new(&args.urls, out).max_concurrency(concurrency).fresh(args.fresh);
            to_files(&client, &request, args, *talk).await
        }
    }
}

/// Checks that an argument is a URL. Whether its scheme can be fetched is left to the client.
///
/// # Errors
/// A usage error for an argument that is none.
fn check_url(url: &str) -> Result<(), CommandError> {
    let why = match url::Url::parse(url) {
        Ok(parsed) if !parsed.cannot_be_a_base() => return Ok(()),
        Err(err) if url.contains("://") => err.to_string(),
        _ => "it does not begin with http:// or https://".to_owned(),
    };
    let message = format!("cannot fetch {}: the address is not valid: {why}", without_secrets(url));
    Err(CommandError::new(USAGE, message))
}

/// Fetches to files, reports each as it ends, and lists them at the end.
async fn to_files(
    client: &Client,
    request: &FetchRequest,
    args: &FetchArgs,
    talk: Talk,
) -> Result<u8, CommandError> {
    let cancel = CancellationToken::new();
    // Partial files are resumed by the next run, so one Ctrl-C is enough.
    let interrupts = Interrupts::listen_for_one(cancel.clone());
    let on_done = |fetched: &Fetched| report(fetched, args.urls.len(), talk);
    let fetched = operations::fetch(client, request, on_done, cancel).await;
    let fetched = fetched.map_err(|err| unusable_folder(&err))?;
    let document = || json!({ "schema": "antiphon.fetch/1", "files": fetched });
    output::print(args.json.then(document), || paths(&fetched))?;
    let code = report_missing(&fetched, talk);
    // Files that were all fetched despite an interruption lack nothing.
    Ok(interrupts.code().filter(|_| code != OK).unwrap_or(code))
}

/// Lists the paths of the files that exist now, one a line.
fn paths(fetched: &[Fetched]) -> String {
    let files = fetched.iter().filter_map(|fetched| fetched.result.as_ref().ok());
    files.map(|file| format!("{}\n", file.path.display())).collect()
}

/// Reports the outcome for one of `all` URLs. One that was cancelled is not reported: the user knows the reason.
fn report(fetched: &Fetched, all: usize, talk: Talk) {
    let Fetched { number, source, result, .. } = fetched;
    match result {
        Ok(file) => talk.line(&format!("{number} {source}: {}", described(file))),
        Err(_) if fetched.http_error().is_some_and(|err| err.kind() == ErrorKind::Cancelled) => {}
        Err(err) => {
            let message = format!("cannot fetch {source} (URL {number} of {all}): {err}");
            talk.error(&CommandError::new(SOME_FAILED, message));
        }
    }
}

/// Returns the error of a folder in which no file can be created, with its cause.
fn unusable_folder(err: &antiphon_fs::Error) -> CommandError {
    let cause = std::error::Error::source(err).map(|cause| format!(": {cause}")).unwrap_or_default();
    CommandError::new(USAGE, format!("{err}{cause}"))
}

/// Reports the number of files that are missing, and returns the exit code.
fn report_missing(fetched: &[Fetched], talk: Talk) -> u8 {
    let missing = fetched.iter().filter(|fetched| fetched.result.is_err()).count();
    if missing > 0 {
        let what = match fetched.len() {
            1 => "the file was not fetched".to_owned(),
            all => format!("{missing} of {all} files not fetched"),
        };
        talk.line(&format!("{what}. Run the same command again to fetch what is missing"));
    }
    code(missing, fetched.len())
}

/// Prints the bodies, in the order of the addresses. Those that arrive before their turn are held in memory.
async fn to_stdout(
    client: &Client,
    args: &FetchArgs,
    talk: &Talk,
    concurrency: usize,
) -> Result<u8, CommandError> {
    let bodies = futures_util::stream::iter(&args.urls).map_async(concurrency, async |url| {
        (url, async { client.get(url).await?.error_for_status()?.bytes().await }.await)
    });
    let mut bodies = std::pin::pin!(bodies);
    let mut failed = 0;
    while let Some((url, body)) = bodies.next().await {
        match body {
            Ok(body) => output::result_bytes(&body)?,
            Err(err) => {
                failed += 1;
                talk.error(&not_fetched(url, &err));
            }
        }
    }
    Ok(code(failed, args.urls.len()))
}

/// Returns the error of a body that was not fetched; one that is too large for stdout can still be fetched to a file.
fn not_fetched(url: &str, err: &antiphon_http::Error) -> CommandError {
    let error = CommandError::new(SOME_FAILED, format!("cannot fetch {}: {err}", without_secrets(url)));
    match err.kind() {
        ErrorKind::TooLarge { .. } => error.hint("use --out DIR, which has no limit of size"),
        _ => error,
    }
}

/// Returns the exit code for the number of URLs that failed.
fn code(failed: usize, all: usize) -> u8 {
    match failed {
        0 => OK,
        failed if failed < all => SOME_FAILED,
        _ => ALL_FAILED,
    }
}

/// Formats a file as it was fetched: its size, whether it was resumed, or that it existed.
fn described(file: &FetchedFile) -> String {
    match &file.download {
        None => {
            format!("{} exists already, skipped (use --fresh to fetch it again)", file.path.display())
        }
        Some(done) if done.resumed_from > 0 => {
            format!("{} bytes, resumed at byte {}", done.bytes, done.resumed_from)
        }
        Some(done) => format!("{} bytes", done.bytes),
    }
}
