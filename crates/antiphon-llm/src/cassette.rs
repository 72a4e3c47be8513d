//! Cassettes: files of recorded answers, and the providers that write and read them. [`Recorded`] documents the format.

mod line;
mod recorded;
mod replayed;

pub use recorded::Recorded;
pub use replayed::Replayed;

#[cfg(test)]
mod tests;
