//! `completions` and `man`: texts that are derived from the definition of the command line, so that they never differ
//! from it.
//!
//! The script or the page is printed on stdout; `man --dir` writes one page for each command instead, named as `man`
//! finds it (`antiphon-runs-show.1`), and prints the paths. Exit codes: 0, or 1 if a file cannot be written. Ctrl-C
//! ends the command.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::cli::Cli;
use super::error::{CommandError, OK};
use super::output;

/// Prints a script that completes commands and flags in the given shell. Bytes are printed unchanged, since shells read
/// them.
pub(super) fn completions(shell: Shell) -> Result<u8, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "antiphon", &mut script);
    output::result_bytes(&script).map(|()| OK)
}

/// Prints the manual page, or writes one page per command into a folder.
pub(super) async fn pages(folder: Option<&Path>) -> Result<u8, CommandError> {
    let mut root = Cli::command();
    root.build();
    let Some(folder) = folder else {
        return output::result_bytes(&page(root)?).map(|()| OK);
    };
    output::result(&write_pages(root, folder).await?).map(|()| OK)
}

/// Writes the page of each command below `root` into a folder, which is created if missing, and returns their paths,
/// one a line. An existing page is replaced.
async fn write_pages(root: Command, folder: &Path) -> Result<String, CommandError> {
    let failed = |err: antiphon_fs::Error| CommandError::internal(err.to_string());
    antiphon_fs::create_dir(folder).await.map_err(failed)?;
    let mut left = vec![(root, "antiphon".to_owned())];
    let mut names = String::new();
    while let Some((command, name)) = left.pop() {
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        left.extend(below.map(|below| (below.clone(), format!("{name}-{}", below.get_name()))));
        let path = folder.join(format!("{name}.1"));
        antiphon_fs::write(&path, page(command)?).await.map_err(failed)?;
        names.push_str(&format!("{}\n", path.display()));
    }
    Ok(names)
}

/// Renders the page of one command, in the format of roff.
fn page(command: Command) -> Result<Vec<u8>, CommandError> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map(|()| page).map_err(|err| CommandError::internal(err.to_string()))
}
