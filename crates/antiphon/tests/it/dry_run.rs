//! `--dry-run` of every kind of run: no key, no call, and cached answers cost nothing.

use antiphon_sim::Scenario;
use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use crate::map::{Bench, report};
use crate::program::{Lab, answer};

const KINDS: [&str; 3] = ["map towns.csv -r r.toml", "content notes", "generate in --count 1"];

/// A lab with an input for each kind of run, and a provider whose key is in a variable.
fn lab(url: &str) -> Lab {
    let lab = Lab::new();
    lab.file("towns.csv", "name\nOslo\nBergen\nOslo\n");
    lab.file("r.toml", "prompt = \"What is {{ name }} known for?\"\n[parameters]\nmax_tokens = 64\n");
    lab.file("notes/ada.md", "# Ada\n\nI weave engines of brass and cards.\n");
    let provider = "kind = \"compatible\"\nkey_env = \"LAB_KEY\"";
    let prices = "[prices.sim.m]\ninput = 1.0\noutput = 4.0\n";
    lab.file("antiphon.toml", format!("[providers.sim]\n{provider}\nbase_url = \"{url}\"\n{prices}"));
    lab
}

fn plan(lab: &Lab, kind: &str) -> Value {
    let ran = lab.run(&format!("{kind} --provider sim --model m --dry-run --json"));
    ran.ends_with(0, &[]);
    let plan = report(&ran);
    match plan["generations"].as_array() {
        Some(plans) => plans[0].clone(),
        None => plan,
    }
}

#[test]
fn no_key_is_needed_and_no_call_is_made() {
    let server = Server::start([Reply::chat("never", "stop")]);
    let lab = lab(&server.url("/v1"));
    for kind in KINDS {
        let plan = plan(&lab, kind);
        assert!(plan["calls"] != json!(0) && plan["calls"] != json!([0, 0]), "{kind}: {plan}");
        assert!(!plan["cost_usd_micros"].is_null(), "{kind}: {plan}");
    }
    // The server may be asked for the context window of its model; the model is not called.
    let asked: Vec<_> =
        server.requests().into_iter().filter(|asked| !asked.line.starts_with("GET ")).collect();
    assert!(asked.is_empty(), "{asked:?}");
    assert!(!lab.path("antiphon-out").exists(), "a dry run writes nothing");
}

#[test]
fn a_finished_run_costs_nothing_more() {
    let server = Server::start([Reply::chat(&answer(), "stop")]);
    let lab = lab(&server.url("/v1")).with("LAB_KEY", "k");
    for kind in ["map towns.csv -r r.toml", "generate in --count 1"] {
        lab.run(&format!("{kind} --provider sim --model m")).ends_with(0, &[]);
        let plan = plan(&lab, kind);
        assert!(plan["calls"] == json!(0) || plan["calls"] == json!([0, 0]), "{kind}: {plan}");
        let cost = &plan["cost_usd_micros"];
        assert!(*cost == json!(0) || *cost == json!([0, 0]), "{kind}: {plan}");
    }
}

#[test]
fn after_twenty_calls_the_range_is_at_most_threefold_and_holds() {
    for tokens in [3, 20, 60] {
        let bench = Bench::new(Scenario::default().answer_tokens(tokens), 400);
        bench.map("--max-rows 25").ends_with(0, &[]);
        let plan = report(&bench.map("--dry-run --json"));
        let range = |name: &str| {
            let of = |at: usize| plan[name][at].as_u64().unwrap();
            (of(0), of(1))
        };
        let before = bench.stats();
        bench.map("--json").ends_with(0, &[]);
        let after = bench.stats();
        let bill = |stats: &antiphon_sim::Stats| stats.billed_input_tokens + 4 * stats.billed_output_tokens;
        let (bill, (least, most)) = (bill(&after) - bill(&before), range("cost_usd_micros"));
        assert!((least..=most).contains(&bill), "{bill} is not within {least} to {most}: {plan}");
        assert!(most <= 3 * least + 3, "{plan}");
        assert!(
            (range("calls").0..=range("calls").1).contains(&(after.requests - before.requests)),
            "{plan}"
        );
    }
}
