//! `antiphon map`, killed repeatedly at random instants, against a server that counts calls and bills.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::disk::{namespace, without_strace};
use super::program::out;
use super::{LONG, Outcome};
use crate::shell::{Done, target, words};

/// The concurrency limit of the program under test.
const AT_ONCE: u64 = 8;

/// A kind of run: its number of rows, and the behaviour of the server.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) rows: usize,
    pub(super) server: &'static [&'static str],
}

const CASES: [Case; 2] = [
    Case { name: "plain", rows: 1_200, server: &["--latency", "15"] },
    Case {
        name: "faults",
        rows: 400,
        server: &["--latency", "15", "--errors", "0.05", "--resets", "0.05", "--halves", "0.03"],
    },
];

/// Checks that no result is lost or doubled, and that no more calls are made twice than were in progress at the kills.
pub(super) fn check() -> Done<Outcome> {
    let rounds = if LONG.load(Ordering::Relaxed) { 2_000 } else { 200 };
    let mut runs = Vec::new();
    let (mut done, mut number) = (0, 0);
    while done < rounds {
        let case = &CASES[number % CASES.len()];
        let (kills, duplicates) = one(case, number, rounds - done)?;
        done += kills;
        number += 1;
        runs.push((kills, duplicates));
        if kills == 0 {
            return Err("the program ended before it could be killed: nothing was tested".to_owned());
        }
    }
    let duplicates: u64 = runs.iter().map(|(_, duplicates)| duplicates).sum();
    Ok(Outcome::Passed(format!("{done} kills in {} runs, {duplicates} calls made twice", runs.len())))
}

/// Freezes and continues the program, as Ctrl-Z or a laptop's lid does: every row has its result, and only calls that the server
/// gave up meanwhile are made twice.
pub(super) fn check_frozen() -> Done<Outcome> {
    let case = Case { name: "frozen", rows: 300, server: &["--latency", "15"] };
    let (folder, server) = begin(&case, 0)?;
    let child = map(&folder, &server.url).spawn().map_err(|err| err.to_string())?;
    let pid = child.id().to_string();
    let send = |signal: &str| {
        let sent = Command::new("sh").args(["-c", "kill \"$0\" \"$1\"", signal, &pid]).status();
        sent.map_err(|err| err.to_string())?.success().then_some(()).ok_or(format!("kill {signal} failed"))
    };
    for _ in 0..3 {
        sleep(Duration::from_millis(150));
        send("-STOP")?;
        sleep(Duration::from_millis(700));
        send("-CONT")?;
    }
    let output = child.wait_with_output().map_err(|err| err.to_string())?;
    let duplicates = judge(&case, &folder, &server, 0, &output)?;
    Ok(Outcome::Passed(format!("frozen three times, {duplicates} calls made twice")))
}

/// Checks a disk that takes 100 ms for each fsync: the report names the commit as the bottleneck.
pub(super) fn check_slow_disk() -> Done<Outcome> {
    if let Some(missing) = without_strace() {
        return Ok(missing);
    }
    let case = Case { name: "slow", rows: 40, server: &["--latency", "15"] };
    let (folder, server) = begin(&case, 0)?;
    let mut command = words("strace -f -qq -e trace=fsync,fdatasync -o /dev/null");
    command.args(["-e", "inject=fsync,fdatasync:delay_exit=100000"]).arg(target().join("debug/antiphon"));
    command.args(["map", "rows.jsonl", "--recipe", "recipe.toml", "--json", "--progress", "none", "--yes"]);
    command.args(["--provider", "sim", "--model", "m", "--base-url", &server.url]).current_dir(&folder);
    let output = command.output().map_err(|err| err.to_string())?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|err| format!("{err}: {stderr}"))?;
    let time = &report["time"];
    let advice = time["advice"].as_str().unwrap_or_default();
    if report["accepted"] != 40 || time["bottleneck"] != "commit" || !advice.contains("the disk is slow") {
        return Err(format!("{} accepted, {time}; {stderr}", report["accepted"]));
    }
    Ok(Outcome::Passed(advice.to_owned()))
}

/// Checks a disk that fills up during a run: one error, stored results are whole, and with more room the same command resumes.
pub(super) fn check_full_disk() -> Done<Outcome> {
    let Some(apart) = namespace() else {
        return Ok(Outcome::Forbidden("this machine does not allow mounting a small disk".to_owned()));
    };
    let case = Case { name: "full", rows: 3_000, server: &[] };
    let (folder, server) = begin(&case, 0)?;
    std::fs::create_dir_all(folder.join("runs")).map_err(|err| err.to_string())?;
    let mut command = words(apart);
    command.args(["sh", "-c", ON_A_DISK_THAT_GROWS, "sh"]).arg(target().join("debug/antiphon"));
    command.args([
        "map",
        "rows.jsonl",
        "--recipe",
        "recipe.toml",
        "--json",
        "--progress",
        "none",
        "--yes",
        "--out",
        "runs",
    ]);
    command.args(["--provider", "sim", "--model", "m", "--base-url", &server.url]).current_dir(&folder);
    let output = command.output().map_err(|err| err.to_string())?;
    let (stderr, ended) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    let errors = stderr.matches("error: ").count();
    // The journal or the results file, whichever failed first.
    let is_named = stderr.contains("no space left on the disk");
    if errors != 1 || !is_named {
        return Err(format!("the full disk was reported {errors} times: {stderr}"));
    }
    let (codes, report) = ended.split_once('\n').ok_or("nothing was printed")?;
    let report: Value = serde_json::from_str(report).map_err(|err| format!("{err}: {report}"))?;
    let (answered, lost) = (server.stats()?["answered"].clone(), &report["possibly_billed"]["calls"]);
    let twice = answered.as_u64().unwrap_or_default().saturating_sub(case.rows as u64);
    if codes != "1 0" || report["accepted"] != case.rows as u64 || twice > lost.as_u64().unwrap_or_default() {
        return Err(format!(
            "codes {codes}, {} accepted, {twice} calls made twice, {lost} reported; {stderr}",
            report["accepted"]
        ));
    }
    Ok(Outcome::Passed(format!(
        "one error, and with more room all rows; {twice} calls made twice, all reported"
    )))
}

/// A script with the arguments PROGRAM ARGUMENTS…: runs the program on a disk of 600 KiB, and again when that has grown.
const ON_A_DISK_THAT_GROWS: &str = r#"
mount -t tmpfs -o size=600k none runs || exit 99
"$@" > /dev/null; first=$?
mount -o remount,size=64m runs || exit 99
"$@" > report; echo "$first $?"
cat report
"#;

/// Kills one run at random until it finishes or `most` kills are done; returns the kills, and the calls made twice.
fn one(case: &Case, number: usize, most: u64) -> Done<(u64, u64)> {
    let (folder, server) = begin(case, number)?;
    let mut random = 0x9E37_79B9_u64.wrapping_add(number as u64);
    let mut kills = 0;
    loop {
        let mut child = map(&folder, &server.url).spawn().map_err(|err| err.to_string())?;
        // xorshift64: any distribution will do.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let until = Instant::now() + Duration::from_millis(random % 350);
        let ended = loop {
            if child.try_wait().map_err(|err| err.to_string())?.is_some() {
                break true;
            }
            if Instant::now() >= until && kills < most {
                break false;
            }
            sleep(Duration::from_millis(1));
        };
        if ended {
            let output = child.wait_with_output().map_err(|err| err.to_string())?;
            return judge(case, &folder, &server, kills, &output).map(|duplicates| (kills, duplicates));
        }
        child.kill().map_err(|err| err.to_string())?;
        child.wait().map_err(|err| err.to_string())?;
        kills += 1;
    }
}

/// Creates a folder with rows and a recipe, and starts a server.
pub(super) fn begin(case: &Case, number: usize) -> Done<(PathBuf, Server)> {
    let folder = out(&format!("kill/{}-{number}", case.name))?;
    let rows: String = (0..case.rows).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    write(&folder.join("rows.jsonl"), &rows)?;
    write(
        &folder.join("recipe.toml"),
        "prompt = \"What is {{ n }} in words?\"\n[parameters]\nmax_tokens = 50\n",
    )?;
    write(
        &folder.join("antiphon.toml"),
        "[providers.sim]\nkind = \"compatible\"\n[prices.sim.m]\ninput = 1.0\noutput = 2.0\n",
    )?;
    Ok((folder, Server::start(case.server)?))
}

pub(super) fn map(folder: &Path, url: &str) -> Command {
    let mut command = Command::new(target().join("debug/antiphon"));
    command.args(["map", "rows.jsonl", "--recipe", "recipe.toml", "--json", "--progress", "none", "--yes"]);
    command.args(["--provider", "sim", "--model", "m", "--base-url", url, "--max-concurrency"]);
    command.arg(AT_ONCE.to_string()).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(super) fn judge(
    case: &Case,
    folder: &Path,
    server: &Server,
    kills: u64,
    ran: &std::process::Output,
) -> Done<u64> {
    let stderr = String::from_utf8_lossy(&ran.stderr);
    let report: Value = serde_json::from_slice(&ran.stdout).map_err(|err| format!("{err}: {stderr}"))?;
    let rows = case.rows as u64;
    if report["accepted"] != rows || report["failed"] != 0 {
        let causes = &report["causes"];
        return Err(format!("{} of {rows} rows accepted: {causes}; {stderr}", report["accepted"]));
    }
    let results = folder.join(report["results"].as_str().unwrap_or_default());
    let text = std::fs::read_to_string(&results).map_err(|err| format!("{}: {err}", results.display()))?;
    let indexes: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).ok()?["index"].as_u64())
        .collect::<Option<_>>()
        .ok_or("a result is not a JSON object with an index")?;
    if indexes != (0..rows).collect::<Vec<_>>() {
        return Err(format!("{} results for {rows} rows, or out of order", indexes.len()));
    }
    let stats = server.stats()?;
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let (answered, billed_out) = (number(&stats["answered"]), number(&stats["billed_output_tokens"]));
    let lost = number(&report["possibly_billed"]["calls"]);
    let duplicates = answered.saturating_sub(rows);
    if duplicates > kills * AT_ONCE + number(&stats["halves"]) {
        return Err(format!(
            "{duplicates} calls were made twice in {kills} kills with a concurrency of {AT_ONCE}"
        ));
    }
    // The server's bill must lie between the reported tokens and those that may have been billed on top.
    let known = number(&report["output_tokens"]);
    let most = known + lost * 50;
    if billed_out < known || billed_out > most {
        return Err(format!("the server billed {billed_out} tokens, and the report has {known} to {most}"));
    }
    Ok(duplicates)
}

/// The simulator, as a separate process that is killed on drop.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    place: String,
}

impl Server {
    pub(super) fn start(args: &[&str]) -> Done<Self> {
        let mut command = Command::new(target().join("debug/antiphon"));
        command.args(["simulate", "--port", "0"]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|err| err.to_string())?;
        let stdout = child.stdout.take().ok_or("the simulator has no stdout")?;
        let mut line = String::new();
        for read in BufReader::new(stdout).lines() {
            line = read.map_err(|err| err.to_string())?;
            if line.contains("127.0.0.1:") {
                break;
            }
        }
        let place = line.split_once("127.0.0.1:").and_then(|(_, rest)| {
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (!port.is_empty()).then(|| format!("127.0.0.1:{port}"))
        });
        let place = place.ok_or_else(|| format!("the simulator printed no address: {line}"))?;
        Ok(Self { child, url: format!("http://{place}/v1"), place })
    }

    pub(super) fn stats(&self) -> Done<Value> {
        let failed = |err: std::io::Error| format!("{}: {err}", self.place);
        let mut stream = TcpStream::connect(&self.place).map_err(failed)?;
        let request =
            format!("GET /_sim/stats HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.place);
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).map_err(|err| format!("{err}: {body}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(path: &Path, text: &str) -> Done {
    std::fs::write(path, text).map_err(|err| format!("{}: {err}", path.display()))
}
