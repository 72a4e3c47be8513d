//! Tests of the readers over files.

mod transcripts;
