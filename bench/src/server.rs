//! The simulator in a separate process, so that only the client's work is counted.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use antiphon_sim::{Latency, Scenario, Server};

/// A running server, killed on drop.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    pub(crate) fn start(latency_ms: u64, words: u32, max_streams: u32) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|err| format!("this program: {err}"))?;
        let args = [latency_ms.to_string(), words.to_string(), max_streams.to_string()];
        let child = Command::new(program)
            .arg("serve")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|err| format!("the server: {err}"))?;
        let mut url = String::new();
        let stdout = child.stdout.take().ok_or("the server has no stdout")?;
        BufReader::new(stdout).read_line(&mut url).map_err(|err| format!("the server: {err}"))?;
        Ok(Self { child, url: format!("{}/v1/chat/completions", url.trim()) })
    }

    /// Returns the CPU time that the server has used.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(&path).map_err(|err| format!("{path}: {err}"))?;
        // The process name before the fields may contain spaces, and ends with a bracket.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        Ok(Duration::from_millis(ticks.sum::<u64>() * 10))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until stdin ends.
pub(crate) fn serve(args: [&str; 3]) -> Result<(), String> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| format!("{text} is not a number"));
    let (latency, words, streams) = (number(args[0])?, number(args[1])?, number(args[2])?);
    let latency = Latency::Fixed(Duration::from_millis(latency.into()));
    let scenario = Scenario::default().latency(latency).answer_tokens(words).max_streams(streams);
    more_handles();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|err| err.to_string())?;
    runtime.block_on(async {
        let server = Server::start(scenario, 0).await.map_err(|err| err.to_string())?;
        println!("{}", server.url());
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        ended.await.map_err(|err| err.to_string())?.map_err(|err| err.to_string())?;
        Ok(())
    })
}

/// Raises the limit of open files to the most that the system allows.
pub(crate) fn more_handles() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With too few descriptors the row fails with an error of its own.
    let _ = setrlimit(Resource::Nofile, limit);
}
