//! The confirmation of expensive runs.

use antiphon_sim::Scenario;

use crate::map::Bench;

#[test]
fn yes_skips_the_confirmation() {
    let bench = Bench::new(Scenario::default(), 40);
    bench.lab.file("r.toml", "prompt = \"{{ name }}\"\n[parameters]\nmax_tokens = 100000\n");
    bench.map("--no-input").ends_with(2, &["may cost "]);
    bench.map("").ends_with(2, &["may cost "]);
    bench.map("--yes").ends_with(0, &[]);
    assert_eq!(bench.stats().requests, 40);
}

#[test]
fn without_input_an_expensive_run_needs_a_flag() {
    let bench = Bench::new(Scenario::default(), 5_000);
    let ran = bench.map("--no-input");
    ran.ends_with(2, &["may cost ", "--max-cost", "--yes"]);
    assert_eq!(bench.stats().requests, 0);
}

#[test]
fn without_a_terminal_an_expensive_run_is_refused_before_any_call() {
    let bench = Bench::new(Scenario::default(), 5_000);
    bench.map("").ends_with(2, &["cannot start: this run may cost ", "--max-cost", "--yes"]);
    assert_eq!(bench.stats().requests, 0);
    bench.map("--max-rows 10").ends_with(0, &[]);
    assert_eq!(bench.stats().requests, 10);
}

#[test]
fn without_a_terminal_an_unknown_cost_is_refused_unless_the_server_is_of_this_machine() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.lab.run("map towns.csv -r r.toml --provider sim --model other --progress none").ends_with(0, &[]);
    let elsewhere = "[providers.sim]\nkind = \"compatible\"\nbase_url = \"http://192.0.2.1/v1\"\n";
    bench.lab.file("antiphon.toml", elsewhere);
    let ran = bench.map("--fresh");
    ran.ends_with(2, &["cannot start: this run has an unknown cost", "--yes", "[prices]"]);
}

#[test]
fn a_fallback_of_unknown_cost_elsewhere_is_not_hidden_by_a_server_of_this_machine() {
    let bench = Bench::new(Scenario::default(), 3);
    let places = "[providers.far]\nkind = \"compatible\"\nbase_url = \"http://192.0.2.1/v1\"\n";
    let near = format!("[providers.near]\nkind = \"compatible\"\nbase_url = \"{}/v1\"\n", bench.server.url());
    bench.lab.file("antiphon.toml", format!("{places}{near}"));
    let line = "map towns.csv -r r.toml --provider near --model m --progress none --fallback-model far/n";
    bench.lab.run(line).ends_with(2, &["cannot start: this run has an unknown cost", "--yes"]);
    assert_eq!(bench.stats().requests, 0);
}
