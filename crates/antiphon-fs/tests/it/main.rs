//! Tests of the public API.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test crate: panics are acceptable, and it prepares its files with std"
)]

mod copy;
#[cfg(unix)]
mod links;
mod output;
mod reader;
mod walk;
#[cfg(feature = "watch")]
mod watch;
mod writer;

use std::path::PathBuf;

use antiphon_fs::TempDir;

/// Creates a temporary folder with a file of the given name and content.
fn file(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

#[cfg(unix)]
fn pipe(path: &std::path::Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}
