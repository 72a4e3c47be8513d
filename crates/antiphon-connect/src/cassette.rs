use std::path::PathBuf;

/// A folder of cassettes, and its use: a wish of this process that is stored with no run, so that a run that is resumed
/// elsewhere asks its provider.
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
    /// Each answer of a provider is recorded there: a file for each provider, which is appended to.
    Record(PathBuf),
    /// Recorded answers take the place of all providers: no network, no key, and no cost.
    Replay(PathBuf),
}
