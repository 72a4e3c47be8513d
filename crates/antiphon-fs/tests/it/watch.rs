use std::path::Path;
use std::time::Duration;

use antiphon_fs::{ErrorKind, FileChange, WatchOptions, Watcher, temp_dir};
use futures_util::StreamExt;

async fn next(watcher: &mut Watcher) -> FileChange {
    let next = tokio::time::timeout(Duration::from_secs(20), watcher.next());
    next.await.unwrap().unwrap().unwrap()
}

/// Collects changes until the file `mark` is created, which shows that all earlier changes were reported.
async fn until(watcher: &mut Watcher, mark: &Path) -> Vec<FileChange> {
    let mut changes = Vec::new();
    loop {
        match next(watcher).await {
            FileChange::Created(path) if path == mark => return changes,
            FileChange::Changed(path) if path == mark || path.is_dir() => {}
            other => changes.push(other),
        }
    }
}

async fn check(options: WatchOptions, reports_renames: bool) {
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
    let expected = if reports_renames { 3 } else { 4 };
    while changes.len() < expected {
        match next(&mut watcher).await {
            FileChange::Changed(path) if path == folder.path() => {}
            change => changes.push(change),
        }
    }
    std::fs::write(at("mark"), "x").unwrap();
    changes.extend(until(&mut watcher, &at("mark")).await);
    let mut expected = vec![FileChange::Changed(at("changed")), FileChange::Removed(at("removed"))];
    if reports_renames {
        expected.push(FileChange::Renamed { from: at("renamed"), to: at("name") });
    } else {
        expected.extend([FileChange::Removed(at("renamed")), FileChange::Created(at("name"))]);
    }
    let sorted = |mut changes: Vec<FileChange>| {
        changes.sort_by_key(|change| format!("{change:?}"));
        changes
    };
    assert_eq!(sorted(changes), sorted(expected), "a file that was only read is not reported");
}

#[tokio::test]
async fn every_kind_of_change_is_reported_but_no_untouched_file() {
    check(WatchOptions::default().debounce(Duration::from_millis(50)), cfg!(target_os = "linux")).await;
}

#[tokio::test]
async fn polling_reports_the_same_changes_except_renames() {
    let options = WatchOptions::default().debounce(Duration::from_millis(50));
    check(options.poll_interval(Duration::from_millis(100)), false).await;
}

#[tokio::test]
async fn single_file_is_watched_across_replacements() {
    for options in [WatchOptions::default(), WatchOptions::default().poll_interval(Duration::from_millis(20))]
    {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("antiphon.toml");
        std::fs::write(&path, "").unwrap();
        let mut watcher = Watcher::new(&path, options.debounce(Duration::from_millis(20))).await.unwrap();
        for text in ["a", "as before, but longer"] {
            std::fs::write(folder.path().join("neighbour"), text).unwrap();
            antiphon_fs::write(&path, text).await.unwrap();
            // Depending on the system, a replaced file is reported as created or changed.
            let change = next(&mut watcher).await;
            assert!(
                [FileChange::Created(path.clone()), FileChange::Changed(path.clone())].contains(&change),
                "{change:?}"
            );
        }
    }
}

#[tokio::test]
async fn content_of_a_new_folder_is_reported_once() {
    let folder = temp_dir().unwrap();
    let options = WatchOptions::default().debounce(Duration::from_millis(50));
    let mut watcher = Watcher::new(folder.path(), options).await.unwrap();
    let (sub, file) = (folder.path().join("sub/deep"), folder.path().join("sub/deep/a"));
    std::fs::create_dir_all(&sub).unwrap();
    std::fs::write(&file, "x").unwrap();
    let mut created = Vec::new();
    while !created.contains(&file) {
        if let FileChange::Created(path) = next(&mut watcher).await {
            created.push(path);
        }
    }
    assert!(created.contains(&sub), "{created:?}");
    assert_eq!(created.iter().filter(|path| **path == file).count(), 1);
}

#[tokio::test]
async fn missing_folder_is_not_found() {
    let folder = temp_dir().unwrap();
    let err = Watcher::new(folder.path().join("none"), WatchOptions::default()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
}
