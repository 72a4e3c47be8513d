use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the Python of a virtual environment with the packages of `bench/peers/requirements-NAME.txt`, which is created once,
/// beside this program.
///
/// # Errors
/// The reason why it cannot be created: no Python, or a package that cannot be installed.
pub(super) fn python(name: &str) -> Result<PathBuf, String> {
    let requirements = scripts().join(format!("requirements-{name}.txt"));
    let wanted = std::fs::read_to_string(&requirements).map_err(|err| format!("{name}: {err}"))?;
    let program = std::env::current_exe().map_err(|err| format!("this program: {err}"))?;
    let folder = program.with_file_name("peers").join(name);
    let (python, installed) = (folder.join("bin/python"), folder.join("installed.txt"));
    // This file is written last, and lists the installed packages.
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    succeed(Command::new(&python).args(pip).arg(&requirements))?;
    std::fs::write(&installed, wanted).map_err(|err| format!("{name}: {err}"))?;
    Ok(python)
}

/// Returns the folder of the peers' scripts.
pub(super) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let made = command.stdin(Stdio::null()).output().map_err(|err| format!("{name}: {err}"))?;
    if made.status.success() {
        return Ok(());
    }
    let talk = String::from_utf8_lossy(&made.stderr);
    Err(talk.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed without a message").to_owned())
}
