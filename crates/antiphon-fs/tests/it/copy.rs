use std::sync::{Arc, Mutex};

use antiphon_fs::{ErrorKind, copy, copy_with};
use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::file;

#[tokio::test]
async fn copy_keeps_content_and_permissions_and_reports_progress() {
    let content: Vec<u8> = (0..20_u32 << 20).map(|n| (n % 251) as u8).collect();
    let (folder, from) = file("from.bin", &content);
    let to = folder.path().join("to.bin");
    std::fs::write(&to, "old").unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&from, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let noted = steps.clone();
    let progress = move |copied, total| noted.lock().unwrap().push((copied, total));
    let copied = copy_with(&from, &to, CancellationToken::new(), progress).await.unwrap();
    assert_eq!(copied, 20 << 20);
    assert!(std::fs::read(&to).unwrap() == content);
    let steps = steps.lock().unwrap();
    assert!(steps.len() > 1 && steps.is_sorted(), "{steps:?}");
    assert_eq!(steps.last(), Some(&(20 << 20, 20 << 20)));
    let mode = |path| std::fs::metadata(path).unwrap().permissions();
    assert_eq!(mode(&to), mode(&from));
}

#[tokio::test]
async fn cancelled_or_dropped_copy_leaves_only_the_older_file() {
    let (folder, from) = file("from.bin", &vec![7; 40 << 20]);
    let to = folder.path().join("to.bin");
    std::fs::write(&to, "old").unwrap();
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let cancelled = copy_with(&from, &to, cancel, move |_, _| stop.cancel()).await;
    assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Cancelled);
    let (resume, wait) = std::sync::mpsc::channel::<()>();
    let (alive, end) = std::sync::mpsc::channel::<()>();
    let mut dropped = Box::pin(copy_with(&from, &to, CancellationToken::new(), move |_, _| {
        // Blocks until the copy is dropped, and keeps the other channel open until the copy has ended.
        let _ = (wait.recv(), &alive);
    }));
    assert!((&mut dropped).now_or_never().is_none());
    drop(dropped);
    drop(resume);
    assert!(end.recv().is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "old");
}

#[tokio::test]
async fn copies_an_empty_file_and_reports_a_missing_one() {
    let (folder, from) = file("empty", b"");
    assert_eq!(copy(&from, folder.path().join("copy")).await.unwrap(), 0);
    assert_eq!(std::fs::read(folder.path().join("copy")).unwrap(), b"");
    let err = copy(folder.path().join("none"), folder.path().join("copy")).await.unwrap_err();
    assert_eq!((err.kind(), err.path()), (ErrorKind::NotFound, folder.path().join("none").as_path()));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn copy_falls_back_to_memory_where_the_kernel_cannot() {
    // Files in /proc report a length of 0.
    let folder = antiphon_fs::temp_dir().unwrap();
    let to = folder.path().join("copy");
    let copied = copy("/proc/self/status", &to).await.unwrap();
    assert!(copied > 0 && std::fs::read_to_string(&to).unwrap().starts_with("Name:"));
}
