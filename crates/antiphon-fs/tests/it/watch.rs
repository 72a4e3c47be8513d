use std::path::Path;
use std::time::Duration;

use antiphon_fs::{Change, ErrorKind, WatchOptions, Watcher, temp_dir};
use futures_util::StreamExt;

async fn next(watcher: &mut Watcher) -> Change {
    let next = tokio::time::timeout(Duration::from_secs(20), watcher.next());
    next.await.unwrap().unwrap().unwrap()
}

/// Changes until one is about the file whose making tells that everything before was seen.
async fn until(watcher: &mut Watcher, mark: &Path) -> Vec<Change> {
    let mut changes = Vec::new();
    loop {
        match next(watcher).await {
            Change::Created(path) if path == mark => return changes,
            Change::Changed(path) if path == mark || path.is_dir() => {}
            other => changes.push(other),
        }
    }
}

async fn check(options: WatchOptions, tells_renames: bool) {
    let folder = temp_dir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["untouched", "changed", "removed", "renamed"] {
        std::fs::write(at(name), "before").unwrap();
    }
    let mut watcher = Watcher::new(folder.path(), options).await.unwrap();
    assert_eq!(watcher.is_polling(), options.poll_interval.is_some());
    std::fs::read(at("untouched")).unwrap();
    std::fs::write(at("changed"), "after, and longer").unwrap();
    std::fs::remove_file(at("removed")).unwrap();
    std::fs::rename(at("renamed"), at("name")).unwrap();
    let mut changes = Vec::new();
    let expected = if tells_renames { 3 } else { 4 };
    while changes.len() < expected {
        match next(&mut watcher).await {
            Change::Changed(path) if path == folder.path() => {}
            change => changes.push(change),
        }
    }
    std::fs::write(at("mark"), "x").unwrap();
    changes.extend(until(&mut watcher, &at("mark")).await);
    let mut expected = vec![Change::Changed(at("changed")), Change::Removed(at("removed"))];
    if tells_renames {
        expected.push(Change::Renamed { from: at("renamed"), to: at("name") });
    } else {
        expected.extend([Change::Removed(at("renamed")), Change::Created(at("name"))]);
    }
    let sorted = |mut changes: Vec<Change>| {
        changes.sort_by_key(|change| format!("{change:?}"));
        changes
    };
    assert_eq!(sorted(changes), sorted(expected), "nothing about the file that was only read");
}

#[tokio::test]
async fn every_kind_of_change_is_told_and_an_untouched_file_is_not() {
    check(WatchOptions::default().debounce(Duration::from_millis(50)), cfg!(target_os = "linux")).await;
}

#[tokio::test]
async fn polling_tells_the_same_but_for_renames() {
    let options = WatchOptions::default().debounce(Duration::from_millis(50));
    check(options.poll_interval(Duration::from_millis(100)), false).await;
}

#[tokio::test]
async fn a_missing_folder_is_not_found() {
    let folder = temp_dir().unwrap();
    let err = Watcher::new(folder.path().join("none"), WatchOptions::default()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
}
