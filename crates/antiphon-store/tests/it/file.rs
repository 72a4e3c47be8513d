//! The store in a SQLite file.

use std::path::PathBuf;
use std::time::Duration;

use antiphon_store::{Bill, ErrorKind, LimitDemand, NewRun, RunFilter, RunStatus, Settlement, Store};

/// A temporary folder with the path of a store.
pub(crate) struct File {
    _folder: antiphon_fs::TempDir,
    pub(crate) path: PathBuf,
}

impl File {
    pub(crate) fn new() -> Self {
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("antiphon.db");
        Self { _folder: folder, path }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.path).await.unwrap()
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let place = File::new();
    drop(place.open().await);
    let newer = |version: u32| {
        let connection = rusqlite::Connection::open(&place.path).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
    };
    newer(99);
    let err = Store::open(&place.path).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Newer);
    assert!(err.to_string().contains("format 99") && err.to_string().contains("update"), "{err}");
    newer(8);
    assert!(place.open().await.runs().await.unwrap().is_empty());
}

/// Returns a file of an earlier version of the format, with one stopped run of one job.
async fn file_of_format(version: u32) -> File {
    let place = File::new();
    let run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
    run.enqueue(vec!["{}".to_owned()]).await.unwrap();
    run.finish(RunStatus::Stopped, "{}".to_owned()).await.unwrap();
    drop(run);
    let old = rusqlite::Connection::open(&place.path).unwrap();
    old.execute_batch("UPDATE jobs SET lost = 1, possible = 7, held = 7").unwrap();
    old.execute_batch("ALTER TABLE answers DROP COLUMN run").unwrap();
    if version < 7 {
        old.execute_batch(
            "ALTER TABLE limit_parts DROP COLUMN rate; ALTER TABLE limit_parts DROP COLUMN rate_part",
        )
        .unwrap();
    }
    if version < 6 {
        old.execute_batch("DROP TABLE limit_parts; DROP TABLE limits").unwrap();
    }
    if version < 5 {
        before_workers(&old);
    }
    if version < 4 {
        old.execute_batch("ALTER TABLE jobs DROP COLUMN held; ALTER TABLE jobs DROP COLUMN unreported")
            .unwrap();
    }
    if version < 3 {
        old.execute_batch("DROP INDEX runs_by_kind; DROP INDEX runs_by_status").unwrap();
    }
    if version == 1 {
        old.execute_batch("ALTER TABLE jobs DROP COLUMN settled_at").unwrap();
    }
    old.pragma_update(None, "user_version", version).unwrap();
    place
}

/// Removes the tables and columns that were added for the leases of workers.
fn before_workers(file: &rusqlite::Connection) {
    file.execute_batch(
        "DROP TRIGGER job_changed; DROP TRIGGER job_added; DROP TRIGGER run_added; DROP TABLE tallies; DROP TABLE uniques;
        DROP INDEX free_jobs; DROP TABLE workers; DROP TABLE late; DROP TABLE lost_attempts;
        ALTER TABLE jobs DROP COLUMN worker; ALTER TABLE jobs DROP COLUMN settled_attempt;
        ALTER TABLE jobs ADD COLUMN owner TEXT; ALTER TABLE jobs ADD COLUMN lease_until INTEGER;
        ALTER TABLE jobs ADD COLUMN batch_id TEXT; ALTER TABLE jobs ADD COLUMN fingerprint BLOB",
    )
    .unwrap();
}

#[tokio::test]
async fn a_file_of_an_older_version_is_migrated() {
    for version in [1, 2, 3, 4, 5, 6, 7] {
        let place = file_of_format(version).await;
        let store = place.open().await;
        let run = store.open_run(NewRun::new("f")).await.unwrap();
        let tally = run.tally().await.unwrap();
        assert_eq!(
            (tally.possible, tally.held, tally.unreported),
            (7, 7, 0),
            "the greatest possible cost is held"
        );
        assert_eq!(run.jobs(0, 1).await.unwrap()[0].settled_at, None);
        let share = run.share_limit(LimitDemand::new("vendor model", 1.0).measured(60.0, 1.0)).await.unwrap();
        assert_eq!((share.part, share.rate), (1.0, Some(60.0)));
        run.settle(Settlement::accepted(0, "x", Bill::none())).await.unwrap();
        assert!(run.jobs(0, 1).await.unwrap()[0].settled_at.is_some());
        let stopped = RunFilter::default().status(RunStatus::Stopped);
        assert_eq!(store.runs_page(stopped, None, 9).await.unwrap().len(), 1);
        assert_eq!(store.cancel("latest").await.unwrap().status, RunStatus::Cancelled);
        let file = rusqlite::Connection::open(&place.path).unwrap();
        let format: i64 = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(format, 8);
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test may block")]
async fn a_file_that_is_not_a_store_is_refused_and_left_alone() {
    let place = File::new();
    std::fs::write(&place.path, "notes of mine, and quite a few of them, so that there is a header").unwrap();
    assert_eq!(Store::open(&place.path).await.unwrap_err().kind(), ErrorKind::Damaged);
    std::fs::remove_file(&place.path).unwrap();
    let other = rusqlite::Connection::open(&place.path).unwrap();
    other.execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    let err = Store::open(&place.path).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Damaged, "{err}");
    let tables: i64 = other.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn several_open_a_new_file_at_once() {
    let place = File::new();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..8 {
        let path = place.path.clone();
        all.spawn(async move {
            let store = Store::open(path).await.unwrap();
            let run = store.open_run(NewRun::new(format!("{n}"))).await.unwrap();
            run.enqueue(vec!["row".to_owned()]).await.unwrap();
            run.settle(Settlement::accepted(0, "x", Bill::none())).await.unwrap();
        });
    }
    all.join_all().await;
    assert_eq!(place.open().await.runs().await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_worker_that_holds_its_lock_is_alive_though_its_lease_has_ended() {
    let place = File::new();
    let store = place.open().await.lease(Duration::from_millis(1));
    let run = store.open_run(NewRun::new("f")).await.unwrap();
    // A suspended process sends no heartbeat.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let other = place.open().await;
    assert_eq!(other.read_run("latest").await.unwrap().workers().await.unwrap(), 1);
    assert_eq!(other.delete("latest").await.unwrap_err().kind(), ErrorKind::Conflict);
    drop(run);
    assert_eq!(other.read_run("latest").await.unwrap().workers().await.unwrap(), 0);
    other.delete("latest").await.unwrap();
}
