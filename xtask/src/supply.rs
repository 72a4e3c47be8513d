//! The rules of `deny.toml` for dependencies.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::e2e;
use crate::shell::{Done, is_there, root, run};

/// Checks the licences, the sources and the bans of all three workspaces, and the advisories of the published crates.
///
/// The database of advisories is fetched from its repository. Where that cannot be reached, the check is skipped and said to be. So is
/// everything without cargo-deny, unless `E2E_SKIP_NOTHING` is set, as in CI.
pub(crate) fn check() -> Done {
    let Some(deny) = deny() else {
        let why = "cargo-deny is not installed: cargo xtask e2e --install";
        if std::env::var_os("E2E_SKIP_NOTHING").is_some() {
            return Err(why.to_owned());
        }
        println!("supply chain: skipped: {why}");
        return Ok(());
    };
    let of = |workspace: &str| {
        let mut command = Command::new(&deny[0]);
        command.args(&deny[1..]).args(["--config", "deny.toml", "--manifest-path", workspace]);
        command
    };
    for workspace in ["Cargo.toml", "bench/Cargo.toml", "fuzz/Cargo.toml"] {
        run(of(workspace).args(["check", "licenses", "bans", "sources"]))?;
    }
    let fetched = of("Cargo.toml").args(["fetch", "db"]).current_dir(root()).stderr(Stdio::null()).status();
    if fetched.is_ok_and(|status| status.success()) {
        return run(of("Cargo.toml").args(["check", "--disable-fetch", "advisories"]));
    }
    println!("supply chain: advisories skipped: their database cannot be reached from here");
    Ok(())
}

/// Returns cargo-deny: as a subcommand of cargo, or in the folder that `cargo xtask e2e --install` fills.
fn deny() -> Option<Vec<OsString>> {
    if is_there("cargo", &["deny", "--version"]) {
        return Some(vec!["cargo".into(), "deny".into()]);
    }
    e2e::venv("deny").map(|venv| vec![venv.join("bin/cargo-deny").into()])
}
