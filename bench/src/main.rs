//! The program behind `cargo xtask bench`: comparisons with blocking code and with other libraries.
#![expect(
    clippy::disallowed_methods,
    reason = "blocking code is what it compares with, and it reads the clock"
)]

mod chart;
mod compare;
mod harness;
mod held;
mod server;
mod suites;

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
antiphon-bench compare OUT-FOLDER
antiphon-bench suite runtime|stream|fs|http|resilience|llm|engine|faults|content|all [--json FILE]
antiphon-bench suite job [--json FILE]             (one job with other tools; not part of `all`: takes half an hour and needs Python)
antiphon-bench job PEER VENDOR                     (its runs with these words in their names, with their output)
antiphon-bench script whole|streaming …            (the Rust script among those tools)
antiphon-bench map …                               (the program itself)
antiphon-bench serve LATENCY-MS WORDS STREAMS      (the server of the http rows, until stdin ends)
antiphon-bench hold ours|reqwest http1|http2 URL N (N requests in flight; prints the peak memory in KiB)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["map", ..] => return antiphon::commands::main(),
        ["job", peer, vendor] => suites::look(peer, vendor),
        ["script", how, ref job @ ..] => suites::script(how, job),
        ["compare", out] => compare::run(&PathBuf::from(out)),
        ["suite", name] => suites::run(name, None),
        ["suite", name, "--json", file] => suites::run(name, Some(&PathBuf::from(file))),
        ["serve", latency, words, streams] => server::serve([latency, words, streams]),
        ["hold", who, version, url, count] => held::run(who, version, url, count),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
