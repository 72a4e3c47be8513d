-- The journal of format 1, as versions without settled_at wrote it.
PRAGMA application_id = 1095652425;
PRAGMA user_version = 1;
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
