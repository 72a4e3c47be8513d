use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::venv::{python, scripts};

/// A tool that does the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// The command `antiphon map` of this checkout, in a separate process, with its defaults.
    Antiphon,
    Reqwest,
    ReqwestStreaming,
    Curator,
    Litellm,
    OpenAi,
    OpenAiAiohttp,
}

/// The times and the output of a peer's process.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// The time from its start to its end, as its user waits for it.
    pub(super) wall: Duration,
    /// The CPU time that it used.
    pub(super) cpu: Duration,
    /// The CPU time that the vendor, a thread of this process, used meanwhile.
    pub(super) vendor_cpu: Duration,
    pub(super) timed_out: bool,
    /// The output, stdout and stderr.
    pub(super) talk: String,
}

/// The longest time of a run; answers until then count.
const TIME_OUT: Duration = Duration::from_secs(300);
const RECIPE: &str = "prompt = \"Write some 500 words about bakery number {{ n }}.\"";

impl Attempt {
    /// Returns the last lines of the output that are not blank.
    pub(super) fn last_lines(&self, count: usize) -> String {
        let lines: Vec<&str> = self.talk.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

impl Peer {
    pub(super) const ALL: [Self; 7] = [
        Self::Antiphon,
        Self::Reqwest,
        Self::ReqwestStreaming,
        Self::Curator,
        Self::Litellm,
        Self::OpenAi,
        Self::OpenAiAiohttp,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Antiphon => "antiphon map",
            Self::Reqwest => "Rust script",
            Self::ReqwestStreaming => "Rust script, streaming",
            Self::Curator => "curator",
            Self::Litellm => "litellm Router",
            Self::OpenAi => "openai",
            Self::OpenAiAiohttp => "openai, aiohttp",
        }
    }

    /// Returns the concurrency limit; 0 if the peer decides. A higher limit made no Python client faster by a tenth; the script
    /// has the limit that most users write.
    fn max_concurrency(self) -> usize {
        match self {
            Self::Antiphon | Self::Curator => 0,
            Self::Reqwest | Self::ReqwestStreaming => 500,
            Self::Litellm | Self::OpenAi => 100,
            Self::OpenAiAiohttp => 200,
        }
    }

    /// Does the job with the rows in `folder`, and leaves `results.jsonl` there.
    pub(super) fn run(self, base_url: &str, folder: &Path, rate: Option<u32>) -> Result<Attempt, String> {
        let [rows, results, talk] = ["rows.jsonl", "results.jsonl", "talk.txt"].map(|name| folder.join(name));
        let mut command = self.command(folder)?;
        if self != Self::Antiphon {
            command.args([base_url.as_ref(), rows.as_os_str(), results.as_os_str()]);
            command.args([self.max_concurrency().to_string(), rate.unwrap_or_default().to_string()]);
        }
        let printed = File::create(&talk).and_then(|file| Ok((file.try_clone()?, file)));
        let (stdout, stderr) = printed.map_err(|err| format!("the output file: {err}"))?;
        command.envs(environment(folder)).env("OPENAI_BASE_URL", base_url).current_dir(folder);
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let [vendor_before, before] = cpu()?;
        let begun = Instant::now();
        let mut child = command.spawn().map_err(|err| format!("{}: {err}", self.name()))?;
        let ended = wait(&mut child, begun + TIME_OUT).map_err(|err| format!("{}: {err}", self.name()))?;
        let wall = begun.elapsed();
        let [vendor_after, after] = cpu()?;
        let talk = String::from_utf8_lossy(&std::fs::read(&talk).unwrap_or_default()).into_owned();
        Ok(Attempt {
            wall,
            cpu: after - before,
            vendor_cpu: vendor_after - vendor_before,
            timed_out: ended.is_none(),
            talk,
        })
    }

    /// Returns the command to start, without the arguments that describe the job.
    fn command(self, folder: &Path) -> Result<Command, String> {
        let ours = || std::env::current_exe().map(Command::new).map_err(|err| format!("this program: {err}"));
        let script = |environment: &str, name: &str| {
            python(environment).map(|python| {
                let mut command = Command::new(python);
                command.arg(scripts().join(name));
                command
            })
        };
        let mut command = match self {
            Self::Antiphon => {
                std::fs::write(folder.join("recipe.toml"), RECIPE)
                    .map_err(|err| format!("a recipe: {err}"))?;
                let mut command = ours()?;
                command.args(["map", "rows.jsonl", "--recipe", "recipe.toml", "--provider", "openai"]);
                command.args(["--model", "gpt-4o-mini", "--results", "results.jsonl", "--yes"]);
                return Ok(command);
            }
            Self::Reqwest | Self::ReqwestStreaming => ours()?,
            Self::Curator => script("curator", "curator_llm.py")?,
            Self::Litellm => script("litellm", "litellm_router.py")?,
            Self::OpenAi | Self::OpenAiAiohttp => script("openai", "openai_client.py")?,
        };
        match self {
            Self::Reqwest => command.args(["script", "whole"]),
            Self::ReqwestStreaming => command.args(["script", "streaming"]),
            Self::OpenAi => command.arg("httpx"),
            Self::OpenAiAiohttp => command.arg("aiohttp"),
            Self::Antiphon | Self::Curator | Self::Litellm => &mut command,
        };
        Ok(command)
    }
}

/// Returns the environment: nothing is sent anywhere but to the vendor, and nothing of an earlier run is reused.
fn environment(folder: &Path) -> [(&'static str, String); 7] {
    [
        ("OPENAI_API_KEY", "k".to_owned()),
        ("NO_PROXY", "127.0.0.1".to_owned()),
        ("LITELLM_LOCAL_MODEL_COST_MAP", "True".to_owned()),
        ("TELEMETRY_ENABLED", "false".to_owned()),
        ("HF_HUB_OFFLINE", "1".to_owned()),
        ("CURATOR_DISABLE_RICH_DISPLAY", "1".to_owned()),
        ("CURATOR_CACHE_DIR", folder.join("cache").display().to_string()),
    ]
}

/// Waits for a process, and returns its exit status; `None` if it was killed at the deadline.
fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the CPU time of this process, and of the children that it has waited for.
fn cpu() -> Result<[Duration; 2], String> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|err| format!("/proc/self/stat: {err}"))?;
    // The process name before the fields may contain spaces, and ends with a bracket.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok());
    let ticks: Vec<u64> = ticks.collect();
    let [user, system, of_children, system_of_children] = ticks[..] else {
        return Err("/proc/self/stat: no times".to_owned());
    };
    Ok([user + system, of_children + system_of_children].map(|ticks| Duration::from_millis(ticks * 10)))
}
