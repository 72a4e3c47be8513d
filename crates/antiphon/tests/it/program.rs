//! A temporary folder in which the program is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// A folder with a few interviews, which is removed in the end, and the environment to run in.
pub(crate) struct Lab {
    folder: antiphon::fs::TempDir,
    variables: Vec<(String, String)>,
}

/// The output and the exit code of the program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Words that P1 says in the lab's interviews.
pub(crate) const SAID: &str = "I want to close early on Mondays";

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self { folder: antiphon::fs::temp_dir().unwrap(), variables: Vec::new() };
        lab.file("in/p1.txt", format!("Interviewer: Tell me more.\nP1: {SAID}. I hate the paperwork, it takes me hours every week.\n"));
        lab.file("in/p2.md", "**Interviewer:** And you?\n\n**P2:** I usually feed the goats before dawn. My goal is to sell cheese.\n");
        lab
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
        command.args(line.split_whitespace()).current_dir(self.folder.path()).stdin(Stdio::null());
        // The settings of the machine must not affect the test.
        command.env_clear().env("HOME", self.folder.path()).envs(self.variables.clone());
        // The exception is the path for the counters of a coverage run.
        let counters = "LLVM_PROFILE_FILE";
        command.envs(std::env::var_os(counters).map(|file| (counters, file)));
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        let output = self.command(line).output().unwrap();
        Ran::new(output)
    }

    /// Runs the program in a folder of the lab.
    pub(crate) fn run_in(&self, folder: &str, line: &str) -> Ran {
        Ran::new(self.command(line).current_dir(self.path(folder)).output().unwrap())
    }

    /// Starts the program in a folder of the lab, and kills it without warning when `is_time`.
    pub(crate) fn kill_in(&self, folder: &str, line: &str, is_time: impl Fn() -> bool) {
        let mut command = self.command(line);
        command.current_dir(self.path(folder)).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        while !is_time() {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the program ended before it could be killed: {line}"
            );
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Generates one persona, unless `more` has another count, from a server.
    pub(crate) fn ask(&self, url: &str, more: &str) -> Ran {
        let count = if more.contains("--count") { "" } else { "--count 1" };
        self.run(&format!("generate in --provider compatible --base-url {url} --model m {count} {more}"))
    }

    pub(crate) fn only_run(&self) -> PathBuf {
        let found = fs::read_dir(self.path("antiphon-out")).unwrap().map(|found| found.unwrap().path());
        let is_hidden = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with('.');
        let mut runs: Vec<_> = found.filter(|path| path.is_dir() && !is_hidden(path)).collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }
}

impl Ran {
    pub(crate) fn new(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn ends_with(&self, code: i32, expected: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for expected in expected {
            assert!(self.stderr.contains(expected), "not on stderr: {expected}\n{}", self.stderr);
        }
    }
}

pub(crate) fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// An answer with one persona that quotes P1.
pub(crate) fn answer() -> String {
    let cited = json!({ "document": "d1", "quote": SAID });
    json!({ "personas": [{
        "name": "The early closer", "title": "Wants Mondays off",
        "demographics": { "age_range": null, "occupation": null, "industry": null, "location": null, "experience": null },
        "goals": [{ "claim": "Close early", "document": "d1", "quote": SAID }],
        "pain_points": [], "behaviours": [], "motivations": [], "quotes": [cited],
    }] })
    .to_string()
}
