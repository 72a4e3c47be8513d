//! Tests of the readers over files.

mod dialogues;
mod transcripts;
