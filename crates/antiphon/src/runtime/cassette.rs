use std::path::PathBuf;

/// A folder of cassettes, and its use: a wish of this process that is stored with no run, so that a run that is resumed
/// elsewhere asks its provider.
///
/// ```
/// use antiphon::operations::{RunRequest, Watch, Workspace};
/// use antiphon::pipeline::PersonaRecipe;
/// use antiphon::runtime::{Cassette, Environment};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = antiphon::fs::temp_dir()?;
/// # let (input, tapes) = (folder.path().join("p1.txt"), folder.path().join("tapes"));
/// # antiphon::fs::write(&input, "P1: I want to sleep through the night for once. I hate the noise in this street.\n").await?;
/// let recipe = PersonaRecipe::parse("recipe.toml", "count = 1")?;
/// let request = RunRequest::personas(input, &recipe)?.provider("offline");
/// let workspace = |out: &str, cassette| {
///     Workspace::new(Environment::default(), Vec::new(), folder.path().join(out)).cassette(cassette)
/// };
/// let recorded = workspace("first", Cassette::Record(tapes.clone())).start(&request, Watch::default()).await?;
/// let replayed = workspace("second", Cassette::Replay(tapes)).start(&request, Watch::default()).await?;
/// assert_eq!(recorded.personas(), replayed.personas());
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
