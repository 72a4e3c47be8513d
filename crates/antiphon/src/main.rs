//! The `antiphon` command-line program.

fn main() -> std::process::ExitCode {
    antiphon::commands::share_one_heap();
    antiphon::commands::main()
}
