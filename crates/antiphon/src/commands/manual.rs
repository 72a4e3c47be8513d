use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::cli::Cli;
use super::error::{CommandError, OK};
use super::output;

/// Prints a script that completes commands and flags.
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
    output::result(&names).map(|()| OK)
}

fn page(command: Command) -> Result<Vec<u8>, CommandError> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map(|()| page).map_err(|err| CommandError::internal(err.to_string()))
}
