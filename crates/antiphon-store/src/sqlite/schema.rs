use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, ErrorKind};

/// The application id that marks a store among other SQLite files: `ANTI`.
const APPLICATION: i64 = 0x414E_5449;

/// The migrations, each from one version of the file format to the next. Never change one that was released: add another.
const MIGRATIONS: [&str; 8] = ["
    CREATE TABLE runs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        fingerprint TEXT NOT NULL,
        kind TEXT NOT NULL,
        request TEXT NOT NULL,
        status TEXT NOT NULL,
        total INTEGER,
        created_at INTEGER NOT NULL,
        ended_at INTEGER,
        report TEXT
    );
    CREATE INDEX runs_by_fingerprint ON runs (fingerprint);
    -- The key of a job is its run's seq times 2^32, plus its index. Rows do not change, so they stand apart: a job's own
    -- row is small and is written again with each step.
    CREATE TABLE rows (
        key INTEGER PRIMARY KEY,
        row TEXT NOT NULL
    );
    CREATE TABLE jobs (
        key INTEGER PRIMARY KEY,
        state INTEGER NOT NULL DEFAULT 0,
        attempt INTEGER NOT NULL DEFAULT 0,
        owner TEXT,
        lease_until INTEGER,
        due INTEGER,
        batch_id TEXT,
        fingerprint BLOB,
        reserved INTEGER,
        calls INTEGER NOT NULL DEFAULT 0,
        settled INTEGER NOT NULL DEFAULT 0,
        unpriced INTEGER NOT NULL DEFAULT 0,
        lost INTEGER NOT NULL DEFAULT 0,
        possible INTEGER NOT NULL DEFAULT 0,
        unbounded INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        result TEXT,
        error_kind TEXT,
        error TEXT,
        timings BLOB
    );
    CREATE TABLE answers (
        fingerprint BLOB PRIMARY KEY,
        text TEXT NOT NULL,
        model TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE notes (
        name TEXT PRIMARY KEY,
        note TEXT NOT NULL
    ) WITHOUT ROWID;
", "
    -- When a job was last settled, in milliseconds since 1970.
    ALTER TABLE jobs ADD COLUMN settled_at INTEGER;
", "
    -- For pages of runs; and a version that does not know cancelled runs, which would resume them, refuses the file. Personas are called so.
    CREATE INDEX runs_by_kind ON runs (kind);
    CREATE INDEX runs_by_status ON runs (status);
    UPDATE runs SET kind = 'personas' WHERE kind = 'generate';
    UPDATE runs SET kind = 'personas/distil' WHERE kind = 'generate/distil';
    -- Sites were runs over rows like others: the stored command line, by its first word that is no switch, says which.
    UPDATE runs SET kind = 'content' WHERE kind = 'map' AND 'content' =
        (SELECT value FROM json_each(CASE WHEN json_valid(request) THEN request ELSE '{}' END, '$.arguments')
         WHERE value NOT LIKE '-%' ORDER BY key LIMIT 1);
", "
    -- What a budget holds for possibly billed calls, and the answers whose tokens were not reported. Earlier versions held the most.
    ALTER TABLE jobs ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN unreported INTEGER NOT NULL DEFAULT 0;
    UPDATE jobs SET held = possible WHERE possible > 0;
", "
    -- Workers with leases. A job is held by one of them, or by none; one that has ended keeps the worker that ended it. A worker that is not
    -- in the table is dead. Columns of which nothing was read, and the state of an answer that is not checked, are gone.
    CREATE TABLE workers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER NOT NULL,
        -- A name for the lock that its process holds.
        lock TEXT NOT NULL,
        -- In milliseconds since 1970: its last heartbeat, and the first of those without a gap.
        seen INTEGER NOT NULL,
        since INTEGER NOT NULL,
        lease INTEGER NOT NULL
    );
    CREATE INDEX workers_by_run ON workers (run);
    ALTER TABLE jobs DROP COLUMN owner;
    ALTER TABLE jobs DROP COLUMN lease_until;
    ALTER TABLE jobs DROP COLUMN batch_id;
    ALTER TABLE jobs DROP COLUMN fingerprint;
    ALTER TABLE jobs ADD COLUMN worker INTEGER;
    -- The newest attempt that was settled.
    ALTER TABLE jobs ADD COLUMN settled_attempt INTEGER;
    UPDATE jobs SET state = 0 WHERE state = 2;
    UPDATE jobs SET worker = 0 WHERE state = 1;
    CREATE INDEX free_jobs ON jobs (key) WHERE worker IS NULL AND state IN (0, 5);
    -- Calls of dead workers, with what they were held at: a settlement may yet come.
    CREATE TABLE lost_attempts (
        key INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        reserved INTEGER,
        PRIMARY KEY (key, attempt)
    ) WITHOUT ROWID;
    -- Settlements that came when another worker had the job, with their results.
    CREATE TABLE late (
        key INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        result TEXT,
        PRIMARY KEY (key, attempt)
    ) WITHOUT ROWID;
    -- What only one job of a run may have in its result, by its digest.
    CREATE TABLE uniques (
        run INTEGER NOT NULL,
        digest BLOB NOT NULL,
        key INTEGER NOT NULL,
        PRIMARY KEY (run, digest)
    ) WITHOUT ROWID;
    -- The sums over the jobs of a run, which the triggers keep up. A budget may hold less than the jobs say, once more is known.
    CREATE TABLE tallies (
        run INTEGER PRIMARY KEY,
        queued INTEGER NOT NULL DEFAULT 0,
        intended INTEGER NOT NULL DEFAULT 0,
        accepted INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        calls INTEGER NOT NULL DEFAULT 0,
        settled INTEGER NOT NULL DEFAULT 0,
        unpriced INTEGER NOT NULL DEFAULT 0,
        lost INTEGER NOT NULL DEFAULT 0,
        possible INTEGER NOT NULL DEFAULT 0,
        held INTEGER NOT NULL DEFAULT 0,
        reserved INTEGER NOT NULL DEFAULT 0,
        unbounded INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        unreported INTEGER NOT NULL DEFAULT 0
    );
    INSERT INTO tallies
        SELECT seq, total(state IN (0, 5)), total(state = 1), total(state = 3), total(state = 4), total(calls), total(settled),
            total(unpriced), total(lost), total(possible), total(held), total(reserved), total(unbounded), total(input_tokens),
            total(output_tokens), total(unreported)
        FROM runs LEFT JOIN jobs ON jobs.key >= seq << 32 AND jobs.key < (seq + 1) << 32 GROUP BY seq;
    CREATE TRIGGER run_added AFTER INSERT ON runs BEGIN
        INSERT INTO tallies (run) VALUES (NEW.seq);
    END;
    CREATE TRIGGER job_added AFTER INSERT ON jobs BEGIN
        UPDATE tallies SET queued = queued + 1 WHERE run = NEW.key >> 32;
    END;
    CREATE TRIGGER job_changed AFTER UPDATE ON jobs
    WHEN (NEW.state, NEW.calls, NEW.settled, NEW.unpriced, NEW.lost, NEW.possible, NEW.held, NEW.reserved, NEW.unbounded,
            NEW.input_tokens, NEW.output_tokens, NEW.unreported)
        IS NOT (OLD.state, OLD.calls, OLD.settled, OLD.unpriced, OLD.lost, OLD.possible, OLD.held, OLD.reserved, OLD.unbounded,
            OLD.input_tokens, OLD.output_tokens, OLD.unreported)
    BEGIN
        UPDATE tallies SET
            queued = queued + (NEW.state IN (0, 5)) - (OLD.state IN (0, 5)),
            intended = intended + (NEW.state = 1) - (OLD.state = 1),
            accepted = accepted + (NEW.state = 3) - (OLD.state = 3),
            failed = failed + (NEW.state = 4) - (OLD.state = 4),
            calls = calls + NEW.calls - OLD.calls,
            settled = settled + NEW.settled - OLD.settled,
            unpriced = unpriced + NEW.unpriced - OLD.unpriced,
            lost = lost + NEW.lost - OLD.lost,
            possible = possible + NEW.possible - OLD.possible,
            held = max(0, held + NEW.held - OLD.held),
            reserved = reserved + coalesce(NEW.reserved, 0) - coalesce(OLD.reserved, 0),
            unbounded = unbounded + NEW.unbounded - OLD.unbounded,
            input_tokens = input_tokens + NEW.input_tokens - OLD.input_tokens,
            output_tokens = output_tokens + NEW.output_tokens - OLD.output_tokens,
            unreported = unreported + NEW.unreported - OLD.unreported
        WHERE run = NEW.key >> 32;
    END;
", "
    -- The parts that workers have of a provider's limit, and the calls per second of the whole one, with the time of that.
    CREATE TABLE limit_parts (
        worker INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        demand REAL NOT NULL,
        part REAL NOT NULL
    );
    CREATE TABLE limits (
        scope TEXT PRIMARY KEY,
        rate REAL NOT NULL,
        at INTEGER NOT NULL
    ) WITHOUT ROWID;
", "
    -- The calls per second that the worker measured, and the part of the limit within which it did.
    ALTER TABLE limit_parts ADD COLUMN rate REAL;
    ALTER TABLE limit_parts ADD COLUMN rate_part REAL;
", "
    -- The run that stored the answer, and with which it is deleted; unknown for answers of earlier versions.
    ALTER TABLE answers ADD COLUMN run INTEGER;
"];

/// The longest wait for another process that keeps the file busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens the file for writing, and migrates it to this version of the format.
pub(super) fn open(path: &Path, place: &str) -> Result<Connection, Error> {
    let failed = |err| Error::database(err, place);
    let connection = Connection::open(path).map_err(failed)?;
    set_up(&connection).map_err(failed)?;
    if !is_empty(&connection).map_err(failed)? {
        check_application(&connection, place)?;
    }
    let version = version(&connection).map_err(failed)?;
    check_version(version, place)?;
    if version < newest() {
        migrate(&connection).map_err(failed)?;
    }
    Ok(connection)
}

/// Opens the file for reading, also where no file can be written beside it.
pub(super) fn open_read_only(path: &Path, place: &str) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |err| Error::database(err, place);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    let plain = version(&connection).map(|version| (connection, version));
    let (connection, version) = plain.or_else(|err| {
        if has_log(path) {
            return Err(unread_log(err, place));
        }
        // Without a write-ahead log to read, the file has everything: it need not be locked.
        let uri = immutable(path).ok_or(err).map_err(failed)?;
        let connection =
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI).map_err(failed)?;
        version(&connection).map(|version| (connection, version)).map_err(failed)
    })?;
    check_application(&connection, place)?;
    check_version(version, place)?;
    if version < newest() {
        let message = format!(
            "{place}: written by an earlier version of this program (format {version}): open it once where it can be written"
        );
        return Err(Error::new(ErrorKind::PermissionDenied, message));
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Returns the address of a file that does not change while it is read; `None` for a path that is not valid Unicode.
fn immutable(path: &Path) -> Option<String> {
    let mut uri = String::from("file:");
    for c in path.to_str()?.chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            c => uri.push(c),
        }
    }
    uri.push_str("?immutable=1");
    Some(uri)
}

/// Returns whether a file has a write-ahead log with changes that are not in the file.
#[expect(clippy::disallowed_methods, reason = "a thread that may block opens the file")]
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).metadata().is_ok_and(|log| log.len() > 0)
}

/// Returns the error of a file whose write-ahead log cannot be read: SQLite needs an index of the log beside it, which it cannot
/// create in a folder that cannot be written ("Read-Only WAL-Mode Databases", <https://www.sqlite.org/wal.html>).
fn unread_log(err: rusqlite::Error, place: &str) -> Error {
    let is_refused = matches!(
        err.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    );
    let err = Error::database(err, place);
    if !is_refused {
        return err;
    }
    let message = format!(
        "{place}: the newest changes are in {place}-wal, which cannot be read in a folder without write permission: copy both \
         files into a folder that can be written, and open them there"
    );
    Error::caused(ErrorKind::PermissionDenied, message, err)
}

/// Returns the version of the file's format.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Returns the version that the migrations lead to.
fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Refuses the database of another program.
fn check_application(connection: &Connection, place: &str) -> Result<(), Error> {
    let application: i64 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|err| Error::database(err, place))?;
    if application == APPLICATION {
        return Ok(());
    }
    let message = format!("{place}: the file is a database of another program");
    Err(Error::new(ErrorKind::Damaged, message))
}

/// Refuses a file of a later version.
fn check_version(version: i64, place: &str) -> Result<(), Error> {
    let newest = newest();
    if version <= newest {
        return Ok(());
    }
    let message = format!(
        "{place}: written by a newer version of this program (format {version}; this version reads up to {newest}): \
         update the program, or use another folder"
    );
    Err(Error::new(ErrorKind::Newer, message))
}

/// Sets up the connection that only reads.
pub(super) fn set_up_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "query_only", true)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    // With a write-ahead log a writer and readers do not wait for each other, and a commit is one fsync of one file.
    set_wal(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A checkpoint, which copies the log into the file, every 16 MiB of pages.
    connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Sets the journal mode. SQLite does not wait for other processes that set it on a new file: it fails at once, whatever the
/// busy time-out is.
#[expect(clippy::disallowed_methods, reason = "the database's own thread waits here")]
fn set_wal(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(err)
                if err.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Migrates the file in one transaction, which reads the version again: another process may have been first.
pub(super) fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let steps = || {
        let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
        for (number, migration) in (1_i64..).zip(MIGRATIONS).skip_while(|(number, _)| *number <= version) {
            connection.execute_batch(migration)?;
            connection.pragma_update(None, "user_version", number)?;
        }
        connection.pragma_update(None, "application_id", APPLICATION)
    };
    match steps() {
        Ok(()) => connection.execute_batch("COMMIT"),
        Err(err) => {
            // The first error is the cause.
            let _ = connection.execute_batch("ROLLBACK");
            Err(err)
        }
    }
}
