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
use super::progress::counted;
use crate::operations::{self, FetchRequest, Fetched, FetchedFile, without_secrets};
use crate::runtime::{Flags, http_client};

pub(super) async fn run(args: &FetchArgs, talk: &Talk) -> Result<u8, CommandError> {
    let flags = Flags::default().max_concurrency(args.max_concurrency);
    let settings = Front::new(&flags).await?.settings;
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

async fn to_files(
    client: &Client,
    request: &FetchRequest,
    args: &FetchArgs,
    talk: Talk,
) -> Result<u8, CommandError> {
    let cancel = CancellationToken::new();
    // Partial files are resumed by the next run, so one Ctrl-C is enough.
    let interrupts = Interrupts::listen_for_one(cancel.clone());
    let all = args.urls.len();
    let on_done = |fetched: &Fetched| {
        let Fetched { number, source, result, .. } = fetched;
        match result {
            Ok(file) => talk.line(&format!("{number} {source}: {}", described(file))),
            Err(_) if fetched.http_error().is_some_and(|err| err.kind() == ErrorKind::Cancelled) => {}
            Err(err) => {
                let message = format!("cannot fetch {source} (URL {number} of {all}): {err}");
                talk.error(&CommandError::new(SOME_FAILED, message));
            }
        }
    };
    let fetched = operations::fetch(client, request, on_done, cancel).await.map_err(|err| {
        let cause = std::error::Error::source(&err).map(|cause| format!(": {cause}")).unwrap_or_default();
        CommandError::new(USAGE, format!("{err}{cause}"))
    })?;
    let document = || json!({ "schema": "antiphon.fetch/1", "files": fetched });
    output::print(args.json.then(document), || {
        let files = fetched.iter().filter_map(|fetched| fetched.result.as_ref().ok());
        files.map(|file| format!("{}\n", file.path.display())).collect()
    })?;
    let missing = fetched.iter().filter(|fetched| fetched.result.is_err()).count();
    if missing > 0 {
        let files = counted(fetched.len(), "file");
        talk.line(&format!(
            "{missing} of {files} not fetched. Run the same command again to fetch what is missing"
        ));
    }
    Ok(interrupts.code().unwrap_or(code(missing, fetched.len())))
}

/// Prints the bodies, in the order of the addresses.
async fn to_stdout(
    client: &Client,
    args: &FetchArgs,
    talk: &Talk,
    concurrency: usize,
) -> Result<u8, CommandError> {
    let bodies = futures_util::stream::iter(&args.urls)
        .map_async(concurrency, async |url| (url, async { client.get(url).await?.bytes().await }.await));
    let mut bodies = std::pin::pin!(bodies);
    let mut failed = 0;
    while let Some((url, body)) = bodies.next().await {
        match body {
            Ok(body) => output::result_bytes(&body)?,
            Err(err) => {
                failed += 1;
                let error =
                    CommandError::new(SOME_FAILED, format!("cannot fetch {}: {err}", without_secrets(url)));
                talk.error(&match err.kind() {
                    ErrorKind::TooLarge { .. } => error.hint("use --out DIR, which has no limit of size"),
                    _ => error,
                });
            }
        }
    }
    Ok(code(failed, args.urls.len()))
}

fn code(failed: usize, all: usize) -> u8 {
    match failed {
        0 => OK,
        failed if failed < all => SOME_FAILED,
        _ => ALL_FAILED,
    }
}

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
