//! The program.

fn main() -> std::process::ExitCode {
    antiphon::commands::main()
}
