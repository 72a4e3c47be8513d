//! The `antiphon` command-line program.

fn main() -> std::process::ExitCode {
    antiphon::commands::main()
}
