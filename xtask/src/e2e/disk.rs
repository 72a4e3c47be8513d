use std::path::PathBuf;
use std::process::{Command, Output};

use super::Outcome;
use super::program::{Ran, generate, out};
use crate::shell::{Done, is_there, run, target, words};

/// A script with the arguments DISK SIZE PROGRAM ARGUMENTS…: mounts a disk of that size, runs the program, and prints its exit
/// code and the number of files that are left on the disk.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o "size=$2" none "$1" || exit 99
disk=$1; shift 2
printf old > "$disk/out"
"$@" > /dev/null; code=$?
echo "code $code, out $(head -c 9 "$disk/out"), files $(ls -A "$disk" | wc -l)"
"#;

/// Checks a full disk: it is reported once, the older file is whole, and nothing is left behind.
pub(super) fn check_full() -> Done<Outcome> {
    let Some(apart) = namespace() else {
        return Ok(Outcome::Forbidden("this machine does not allow mounting a small disk".to_owned()));
    };
    let (disk, from) = (out("disk/full")?, out("disk/from")?.join("from"));
    std::fs::write(&from, vec![b'x'; 1 << 20]).map_err(|err| err.to_string())?;
    let mut command = words(apart);
    command.args(["sh", "-c", ON_A_SMALL_DISK, "sh"]).arg(&disk).arg("256k");
    let ran = output(command.arg(replace()?).arg(&from).arg(disk.join("out")))?;
    judged(&ran, "code 1, out old, files 1\n", "no space left on the disk")?;
    // The program itself prints its result, and reports the files that could not be written.
    let texts = many_texts("disk/texts", 100)?;
    let mut command = words(apart);
    command.args(["sh", "-c", ON_A_SMALL_DISK, "sh"]).arg(&disk).arg("16k");
    command.arg(target().join("debug/antiphon")).arg("generate").arg(&texts);
    command.arg("--out").arg(disk.join("runs")).args(["--offline", "--progress", "none"]).current_dir(&disk);
    let ran = output(&mut command)?;
    let reports = String::from_utf8_lossy(&ran.stderr).matches("no space left on the disk").count();
    let ended = String::from_utf8_lossy(&ran.stdout).into_owned();
    if reports != 1 || !ended.contains("out old") || ended.contains("code 0,") {
        let stderr = String::from_utf8_lossy(&ran.stderr);
        return Err(format!(
            "generate ended with {ended} and reported the full disk {reports} times: {stderr}"
        ));
    }
    Ok(Outcome::Passed("reported once, the older file whole, nothing left behind".to_owned()))
}

/// Returns the reason why faults of the disk cannot be injected here, if they cannot.
pub(super) fn without_strace() -> Option<Outcome> {
    if !is_there("strace", &["--version"]) {
        return Some(Outcome::Skipped("strace is not installed: cargo xtask e2e --install".to_owned()));
    }
    let may_trace = is_there("strace", &["-qq", "-o", "/dev/null", "true"]);
    (!may_trace).then(|| Outcome::Forbidden("strace may not trace on this machine".to_owned()))
}

/// Checks a disk that breaks: an injected fault makes the fsync of the file fail.
pub(super) fn check_broken() -> Done<Outcome> {
    if let Some(missing) = without_strace() {
        return Ok(missing);
    }
    let folder = out("disk/broken")?;
    let (from, to) = (folder.join("from"), folder.join("out"));
    std::fs::write(&from, "new").and_then(|()| std::fs::write(&to, "old")).map_err(|err| err.to_string())?;
    let mut command = words("strace -f -qq -e trace=fsync -e inject=fsync:error=EIO -o /dev/null");
    let ran = output(command.arg(replace()?).arg(&from).arg(&to))?;
    let left = std::fs::read_dir(&folder).map_err(|err| err.to_string())?.count();
    let old = std::fs::read_to_string(&to).map_err(|err| err.to_string())?;
    let stderr = String::from_utf8_lossy(&ran.stderr);
    if ran.status.code() != Some(1) || old != "old" || left != 2 || stderr.lines().count() != 1 {
        return Err(format!("{:?}, {left} files, the older one has {old:?}: {stderr}", ran.status));
    }
    Ok(Outcome::Passed(format!("reported once ({}), the older file whole", stderr.trim())))
}

/// Checks an input of more files than the process may have open.
pub(super) fn check_few_handles() -> Done<Outcome> {
    let (texts, runs) = (many_texts("disk/many", 1000)?, out("disk/many-runs")?);
    let generate = generate(&texts, &runs, &["--offline", "--count", "1"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 256 && exec \"$@\"", "sh"]).arg(generate.get_program());
    limited.args(generate.get_args()).current_dir(&runs);
    let ran = Ran::of(&mut limited)?;
    match ran.code {
        // The code would be 4 if a file had not been read.
        Some(0) => Ok(Outcome::Passed("1,000 files with 256 handles".to_owned())),
        code => Err(format!("generate ended with {code:?}: {}", ran.stderr)),
    }
}

/// Returns the command that runs another one in a private mount namespace, as root or as a user mapped to root.
pub(super) fn namespace() -> Option<&'static str> {
    let ways = ["unshare --mount", "unshare --map-root-user --mount"];
    let can_mount = |way: &&str| {
        let mut words = way.split(' ');
        let program = words.next().unwrap_or_default();
        let mut args: Vec<&str> = words.collect();
        args.extend(["mount", "-t", "tmpfs", "none", "/mnt"]);
        is_there(program, &args)
    };
    ways.into_iter().find(can_mount)
}

fn output(command: &mut Command) -> Done<Output> {
    command.output().map_err(|err| format!("{command:?}: {err}"))
}

fn judged(ran: &Output, ended: &str, message: &str) -> Done {
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if stdout == ended && stderr.matches(message).count() == 1 && stderr.lines().count() == 1 {
        Ok(())
    } else {
        Err(format!("the program ended with {stdout} and reported {stderr}"))
    }
}

/// Builds the example of antiphon-fs that replaces a file, and returns its path.
fn replace() -> Done<PathBuf> {
    run(&mut words("cargo build --quiet -p antiphon-fs --example replace"))?;
    Ok(target().join("debug/examples/replace"))
}

fn many_texts(name: &str, count: usize) -> Done<PathBuf> {
    let folder = out(name)?;
    for n in 0..count {
        let text =
            format!("P{n}: I want to sell cheese {n} times a week. I hate the paperwork, it takes hours.\n");
        std::fs::write(folder.join(format!("p{n:04}.txt")), text).map_err(|err| err.to_string())?;
    }
    Ok(folder)
}
