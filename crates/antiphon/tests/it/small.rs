//! Machines with little: each command ends with a message, and none aborts.

use std::process::{Command, Stdio};

use antiphon_tests::{Reply, Server};

use crate::program::{Lab, Ran};

/// Runs the program under limits, given as commands of the shell.
fn run_under(lab: &Lab, limits: &str, line: &str) -> Ran {
    let plain = lab.command(line);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")])
        .arg(plain.get_program())
        .args(plain.get_args());
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.current_dir(lab.path("")).stdin(Stdio::null()).output().unwrap();
    // A signal, such as that of an abort, is no exit code.
    assert!(output.status.code().is_some(), "{limits}: {line}: {output:?}");
    let ran = Ran::new(output);
    for word in ["panicked", "memory allocation", "RUST_BACKTRACE", "internal error"] {
        assert!(!ran.stderr.contains(word), "{limits}: {line}: {ran:?}");
    }
    assert!(ran.code == Some(0) || !ran.stderr.trim().is_empty(), "{limits}: {line}: {ran:?}");
    ran
}

/// A lab with rows, and the commands that are tried on it.
fn lab(server: &Server) -> (Lab, [String; 6]) {
    let lab = Lab::new();
    lab.file("r.toml", "prompt = \"Who is {{ name }}?\"\n");
    lab.file("rows.csv", "name\nAda\nBo\n");
    let map =
        format!("map rows.csv -r r.toml --provider compatible --base-url {}/v1 --model m", server.url(""));
    let commands = [
        "generate in --offline --count 1".to_owned(),
        map,
        "runs list".to_owned(),
        "config show".to_owned(),
        "config set defaults.provider offline".to_owned(),
        "doctor".to_owned(),
    ];
    (lab, commands)
}

fn server() -> Server {
    Server::start([Reply::chat("a person", "stop")])
}

#[track_caller]
fn check(limits: &str, is_enough: bool) {
    let server = server();
    let (lab, commands) = lab(&server);
    for line in &commands[..4] {
        let ran = run_under(&lab, limits, line);
        assert!(!is_enough || ran.code == Some(0), "{limits}: {line}: {ran:?}");
    }
}

#[test]
fn three_hundred_megabytes_of_memory_end_in_a_message() {
    check("ulimit -v 300000", false);
    check("ulimit -v 1000000", true);
}

#[test]
fn little_memory_is_divided_among_fewer_threads() {
    for kib in [200_000, 240_000, 280_000] {
        check(&format!("ulimit -v {kib}"), false);
    }
}

/// Starts the program with little memory and with `bytes` of settings, of which the system accepts a quarter of the stack.
fn start_with(lab: &Lab, bytes: usize, stdout: Stdio) -> std::process::Output {
    let plain = lab.command("config show");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -s 2048; ulimit -v 600000; exec \"$0\" \"$@\""]);
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(lab.path(""));
    command.env_clear().env("HOME", lab.path("")).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    for (number, start) in (0..bytes).step_by(100_000).enumerate() {
        command.env(format!("PAD{number:04}"), "x".repeat(100_000.min(bytes - start)));
    }
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_closed_pipe_is_no_signal_where_the_program_cannot_be_started_again() {
    let lab = Lab::new();
    // With the most settings with which the program starts, one more is too much, and so it is not started again.
    let (mut most, mut too_many) = (0, 1 << 20);
    while too_many - most > 1 {
        let bytes = (most + too_many) / 2;
        match start_with(&lab, bytes, Stdio::piped()).status.code() {
            Some(126) => too_many = bytes,
            Some(0) => most = bytes,
            code => assert_eq!(code, Some(0), "{bytes}"),
        }
    }
    assert!(most > 100_000, "{most}");
    for bytes in [0, most] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = start_with(&lab, bytes, writer.into());
        assert_eq!(ended.status.code(), Some(0), "{bytes}: {ended:?}");
    }
}

#[test]
fn few_files_are_enough_or_end_in_a_message() {
    check("ulimit -n 64", true);
    for files in [8, 12, 16, 20, 24, 32] {
        check(&format!("ulimit -n {files}"), false);
    }
}

#[test]
fn a_full_disk_ends_in_a_message() {
    for blocks in [0, 1, 8, 64, 200] {
        check(&format!("ulimit -f {blocks}"), false);
    }
    check("trap '' XFSZ; ulimit -f 64", false);
    check("ulimit -f 2000", true);
}

#[test]
fn a_full_output_ends_in_a_message() {
    let server = server();
    let (lab, commands) = lab(&server);
    for line in &commands[..4] {
        let output = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = lab.command(line);
        let ran = command.stdout(output).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.code().is_some() && !said.contains("panicked"), "{line}: {said}");
    }
}

#[test]
fn no_home_and_no_folder_for_temporary_files_end_in_a_message() {
    for limits in [
        "unset HOME",
        "HOME=/nonexistent; export HOME",
        "HOME=/dev/null; export HOME",
        "HOME=/proc; export HOME",
        "HOME=; export HOME",
        "HOME=relative; export HOME",
        "TMPDIR=/nonexistent; export TMPDIR",
        "TMPDIR=/dev/null; export TMPDIR",
        "unset HOME; TMPDIR=/nonexistent; export TMPDIR",
        "XDG_CONFIG_HOME=/proc; export XDG_CONFIG_HOME",
    ] {
        check(limits, true);
        let server = server();
        let (lab, commands) = lab(&server);
        for line in &commands[4..] {
            run_under(&lab, limits, line);
        }
        run_under(&lab, limits, "config set --user defaults.provider offline");
        run_under(&lab, limits, "generate in --offline --count 1 --anonymise hash");
        let map = format!("{} --anonymise redact", commands[1]);
        run_under(&lab, limits, &map);
    }
}

#[test]
fn a_folder_that_cannot_be_written_ends_in_a_message() {
    let server = server();
    let (lab, commands) = lab(&server);
    for out in ["/proc/none", "/dev/null", "/dev/null/x", "rows.csv"] {
        for line in &commands[..3] {
            let ran = run_under(&lab, ":", &format!("{line} --out {out}"));
            assert!(ran.code != Some(0) || line == "runs list", "{line} --out {out}: {ran:?}");
        }
    }
}
