//! Replaces the content of a file with that of another one, atomically: `replace FROM TO`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::process::ExitCode;

use antiphon_fs::{Error, Reader, Writer};
use futures_util::TryStreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = args.as_slice() else {
        eprintln!("usage: replace FROM TO");
        return ExitCode::from(2);
    };
    match replace(from, to).await {
        Ok(bytes) => {
            println!("{bytes} bytes");
            ExitCode::SUCCESS
        }
        Err(err) => {
            let cause = std::error::Error::source(&err).map(|cause| format!(": {cause}"));
            eprintln!("error: {err}{}", cause.unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

async fn replace(from: &str, to: &str) -> Result<usize, Error> {
    let mut chunks = Reader::open(from).await?.chunks(64 << 10);
    let (mut writer, mut bytes) = (Writer::atomic(to).await?, 0);
    while let Some(chunk) = chunks.try_next().await? {
        writer.write(&chunk).await?;
        bytes += chunk.len();
    }
    writer.finish().await?;
    Ok(bytes)
}
