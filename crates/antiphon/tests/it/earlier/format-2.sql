-- What format 2 added to format 1.
ALTER TABLE jobs ADD COLUMN settled_at INTEGER;
PRAGMA user_version = 2;
