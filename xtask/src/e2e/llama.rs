use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::net::{Server, free_port, get};
use super::program::{Ran, content, generate, out, samples};
use super::{Outcome, install};
use crate::shell::{Done, root};

/// The model's context in tokens; the input is cut to leave room for the answer.
const CONTEXT: usize = 4096;
const INPUT_BYTES: usize = 3000;

/// Generates personas with a real model. At this size it writes nonsense, and still every quote that is kept must be verified.
pub(super) fn check() -> Done<Outcome> {
    let Some(server) = start()? else { return Ok(skipped()) };
    let folder = out("llama")?;
    let input = short_interview(&folder)?;
    let address = format!("http://127.0.0.1:{}/v1", server.port);
    // Another seed yields another answer: a truncated one is not a failure, but proves less than a whole one.
    let mut cut = 0;
    for seed in ["1", "2"] {
        let args = ["--provider", "compatible", "--base-url", &address, "--model", "smollm2", "--count", "1"];
        let more = ["--detail", "brief", "--max-tokens", "1500", "--seed", seed, "--temperature", "0.5"];
        let ran = Ran::of(&mut generate(&input, &folder, &[&args[..], &more[..]].concat()))?;
        match ran.code {
            Some(0) => {
                let quotes = all_quotes_are_true(ran.personas(), &input)?;
                let unverified = ran.personas()[0]["unverified"].as_array().map_or(0, Vec::len);
                let tokens = &ran.run()["report"]["usage"]["output_tokens"];
                let what = format!(
                    "{tokens} tokens, {quotes} passages kept and found, {unverified} not verified, {cut} truncated answers before"
                );
                return Ok(Outcome::Passed(what));
            }
            Some(5) if ran.stderr.contains("cut at the token limit") => {
                if !ran.file("partial.txt").exists() {
                    return Err("the partial answer was not kept".to_owned());
                }
                cut += 1;
            }
            code => return Err(format!("generate ended with {code:?}: {}", ran.stderr)),
        }
    }
    Ok(Outcome::Passed(format!(
        "all {cut} answers were cut at the token limit, and reported so, with their text"
    )))
}

/// Distils interviews that are larger than a real model's context: every part is sent, and every quote that is kept is verified.
pub(super) fn check_distil() -> Done<Outcome> {
    let Some(server) = start()? else { return Ok(skipped()) };
    let folder = out("distil")?;
    let read = |name: &str| std::fs::read_to_string(samples().join(name)).map_err(|err| err.to_string());
    let input = folder.join("interviews.txt");
    let both = format!("{}\n\n{}", read("p01-cafe-owner.txt")?, read("p02-market-trader.md")?);
    std::fs::write(&input, both).map_err(|err| err.to_string())?;
    let address = format!("http://127.0.0.1:{}/v1", server.port);
    let args = ["--provider", "compatible", "--base-url", &address, "--model", "smollm2", "--count", "1"];
    let more = ["--detail", "brief", "--max-tokens", "1500", "--seed", "1", "--temperature", "0.3"];
    let ran = Ran::of(&mut generate(&input, &folder, &[&args[..], &more[..]].concat()))?;
    // All of what such a model writes may be nonsense: then that is reported, and no finding is invented.
    let named = ["nothing that a participant said was found", "cut at the token limit", "does not fit"];
    match ran.code {
        Some(0 | 4) => {
            let distilled = &ran.run()["report"]["distilled"];
            if distilled["parts"].as_u64() < Some(2) {
                return Err(format!("nothing was distilled: {distilled}"));
            }
            let quotes = all_quotes_are_true(ran.personas(), &input)?;
            Ok(Outcome::Passed(format!(
                "{} parts, {} findings and {} unverified; {quotes} passages kept and found",
                distilled["parts"], distilled["findings"], distilled["unverified"]
            )))
        }
        Some(5) if named.iter().any(|why| ran.stderr.contains(why)) => {
            Ok(Outcome::Passed("no finding could be verified, and that was reported".to_owned()))
        }
        code => Err(format!("generate ended with {code:?}: {}", ran.stderr)),
    }
}

/// Writes copy in four voices with a real model: every page fits the schema, and has no invented address or number.
pub(super) fn check_content() -> Done<Outcome> {
    let Some(server) = start()? else { return Ok(skipped()) };
    let folder = out("content")?;
    let notes = folder.join("ada.md");
    let text = "# Ada Byron\n\nI weave. One loom, made in 1843: https://loom.example\n";
    std::fs::write(&notes, text).map_err(|err| err.to_string())?;
    let address = format!("http://127.0.0.1:{}/v1", server.port);
    let mut command = content(&notes, &folder.join("site"), "brutalist,hacker,minimalist,enterprise");
    command.args(["--provider", "compatible", "--base-url", &address, "--model", "smollm2"]);
    command.args(["--max-tokens", "800", "--seed", "1", "--temperature", "0.8"]);
    let ran = Ran::of(&mut command)?;
    let pages = ran.document["pages"].as_array().ok_or("there are no pages")?;
    let (mut made, mut removed) = (0, 0);
    for page in pages {
        // Such a model does not always finish its answer.
        if page["content"].is_null()
            && page["error"].as_str().is_some_and(|why| why.contains("cut at the token limit"))
        {
            continue;
        }
        is_true_copy(&page["content"], text).map_err(|why| format!("{why}: {page}"))?;
        made += 1;
        removed += page["removed"].as_array().map_or(0, Vec::len);
    }
    if pages.len() != 4 || made == 0 || !matches!(ran.code, Some(0 | 4)) {
        return Err(format!("{made} pages of {}, and {:?}: {}", pages.len(), ran.code, ran.stderr));
    }
    Ok(Outcome::Passed(format!("{made} of 4 pages; {removed} items that are not in the notes were removed")))
}

/// Checks content against the recipe's limits and the notes, without any code of the program.
fn is_true_copy(content: &Value, notes: &str) -> Done {
    let text = |pointer: &str, most: usize| {
        let text = content.pointer(pointer).and_then(Value::as_str).ok_or(format!("no text at {pointer}"))?;
        match text.chars().count() {
            1.. if text.chars().count() <= most => Ok(()),
            length => Err(format!("{length} characters at {pointer}")),
        }
    };
    text("/brand_name", 100)?;
    text("/hero/title", 200)?;
    text("/hero/subtitle", 500)?;
    let list = |name: &str| content[name].as_array().cloned().unwrap_or_default();
    let (repos, menu) = (list("repos"), list("menu_items"));
    if repos.len() > 20 || menu.len() > 8 {
        return Err(format!("{} pieces of work and {} links", repos.len(), menu.len()));
    }
    let addresses =
        repos.iter().chain(&menu).chain(content.get("cta")).filter_map(|part| part["url"].as_str());
    for address in addresses.filter(|address| !address.starts_with('#')) {
        let bare = address.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
        if !notes.contains(bare.trim_start_matches("mailto:")) {
            return Err(format!("{address} is invented"));
        }
    }
    match repos.iter().filter_map(|part| part["stars"].as_u64()).find(|stars| *stars != 1_843) {
        Some(stars) => Err(format!("{stars} stars are invented")),
        None => Ok(()),
    }
}

/// Sends Ctrl-C twice during a call: the program ends soon, and the server is free again.
pub(super) fn check_interrupt() -> Done<Outcome> {
    let Some(server) = start()? else { return Ok(skipped()) };
    let folder = out("interrupt")?;
    let input = short_interview(&folder)?;
    let address = format!("http://127.0.0.1:{}/v1", server.port);
    let args =
        ["--provider", "compatible", "--base-url", &address, "--model", "smollm2", "--max-tokens", "3000"];
    let child = generate(&input, &folder, &args).spawn().map_err(|err| err.to_string())?;
    wait_until("the model works", || busy_slots(server.port).map(|busy| busy > 0))?;
    interrupt(child.id())?;
    std::thread::sleep(Duration::from_millis(300));
    interrupt(child.id())?;
    let began = std::time::Instant::now();
    let ran = Ran::of_child(child)?;
    let ended = began.elapsed().as_millis();
    if ran.code != Some(130) || !ran.stderr.contains("run the same command again") {
        return Err(format!("generate ended with {:?}: {}", ran.code, ran.stderr));
    }
    wait_until("the server is free again", || busy_slots(server.port).map(|busy| busy == 0))?;
    let free = began.elapsed().as_millis();
    Ok(Outcome::Passed(format!("ended {ended} ms and the server free {free} ms after the second Ctrl-C")))
}

pub(super) fn skipped() -> Outcome {
    Outcome::Skipped("llama.cpp's server is not installed: cargo xtask e2e --install".to_owned())
}

pub(super) fn start() -> Done<Option<Server>> {
    let Some(venv) = install::venv("llama") else { return Ok(None) };
    let port = free_port()?;
    let mut command = Command::new(venv.join("bin/python"));
    command.arg(root().join("xtask/e2e/llama_server.py")).args([port.to_string(), CONTEXT.to_string()]);
    Server::start(&mut command, port, "/health").map(Some)
}

/// Writes the beginning of a sample interview, cut between two turns, and returns its path.
fn short_interview(folder: &Path) -> Done<PathBuf> {
    let text =
        std::fs::read_to_string(samples().join("p01-cafe-owner.txt")).map_err(|err| err.to_string())?;
    let start = &text[..text.floor_char_boundary(INPUT_BYTES)];
    let end = start.rfind("\n\n").unwrap_or(start.len());
    let path = folder.join("interview.txt");
    std::fs::write(&path, &start[..end]).map_err(|err| err.to_string())?;
    Ok(path)
}

/// Checks that every kept passage is in the input, without any code of the program; returns their number.
fn all_quotes_are_true(personas: &[Value], input: &Path) -> Done<usize> {
    let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = std::fs::read_to_string(input).map_err(|err| err.to_string())?;
    let (whole, lines): (String, Vec<&str>) = (folded(&text), text.lines().collect());
    let mut kept = 0;
    for persona in personas {
        if persona["id"] != "persona-001" || !persona["goals"].is_array() {
            return Err(format!("not a persona: {persona}"));
        }
        let passages = [("quotes", "text"), ("evidence", "quote")].into_iter().flat_map(|(list, field)| {
            persona[list].as_array().into_iter().flatten().map(move |item| (&item[field], &item["line"]))
        });
        for (words, line) in passages {
            let words = words.as_str().unwrap_or_default();
            let line = line.as_u64().and_then(|line| usize::try_from(line).ok()).unwrap_or(0);
            let first = words.split_whitespace().next().unwrap_or_default();
            let is_there = lines.get(line.wrapping_sub(1)).is_some_and(|line| line.contains(first));
            if words.is_empty() || !whole.contains(words) || !is_there {
                return Err(format!("a quote was kept that is not on line {line}: {words:?}"));
            }
            kept += 1;
        }
    }
    Ok(kept)
}

pub(super) fn busy_slots(port: u16) -> Done<usize> {
    Ok(get(port, "/slots")?.matches("\"is_processing\":true").count())
}

pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> Done<bool>) -> Done {
    for _ in 0..600 {
        if is_so()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("timed out after 30 s waiting until {what}"))
}

fn interrupt(pid: u32) -> Done {
    let sent = Command::new("sh").args(["-c", "kill -INT \"$0\"", &pid.to_string()]).status();
    sent.map_err(|err| err.to_string())?
        .success()
        .then_some(())
        .ok_or_else(|| "cannot send Ctrl-C: the program has ended already".to_owned())
}
