//! The choice to record answers or to replay them, as an option of a process.

use std::path::PathBuf;

/// A folder of cassettes (recordings of answers), either to record or to replay. The cassette is an option of this process and is
/// not stored with a run: a run that is resumed without it calls its provider.
///
/// ```
/// use antiphon_connect::{Cassette, Environment, Flags, connect, resolve};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = antiphon_fs::temp_dir()?;
/// let flags = Flags::default().offline().cassette(Cassette::Record(folder.path().join("tapes")));
/// let session = connect(&resolve(&flags, &Environment::default(), &[])?).await?;
/// assert!(session.is_offline() && !session.is_replayed);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cassette {
    /// Record each answer in this folder, in one file for each provider, which is appended to.
    Record(PathBuf),
    /// Replay the answers in this folder instead of calling any provider: no network, no key, no cost.
    Replay(PathBuf),
}
