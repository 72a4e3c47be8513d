//! Fallback models for a provider that cannot answer.

use std::fs;

use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::{Value, json};

use crate::program::{Lab, Ran, answer, json_file};

const KEY: &str = "sk-planted-0123456789";

/// A lab with rows, a recipe, a provider `down` that is asked first and a provider `lab` that needs a key.
fn lab(down: &str, lab_url: &str) -> Lab {
    let lab = Lab::new().with("LAB_KEY", KEY).with("ANTIPHON_RETRY_MAX", "0");
    lab.file("rows.jsonl", "{\"n\": 1}\n{\"n\": 2}\n{\"n\": 3}\n");
    lab.file("r.toml", "prompt = \"Name {{ n }}\"\n[parameters]\nmax_tokens = 64\n");
    lab.file(
        "antiphon.toml",
        format!(
            "[providers.down]\nkind = \"compatible\"\nbase_url = \"{down}\"\n\
             [providers.lab]\nkind = \"compatible\"\nbase_url = \"{lab_url}\"\nkey_env = \"LAB_KEY\"\n\
             [prices.down.big]\ninput = 0.1\noutput = 0.1\n[prices.lab.small]\ninput = 10.0\noutput = 40.0\n"
        ),
    );
    lab
}

fn map(lab: &Lab, more: &str) -> Ran {
    lab.run(&format!(
        "map rows.jsonl -r r.toml --provider down --model big --max-concurrency 1 --json {more}"
    ))
}

#[track_caller]
fn report(ran: &Ran) -> Value {
    let report = serde_json::from_str(&ran.stdout);
    assert!(report.is_ok(), "{ran:?}");
    report.unwrap()
}

/// An answer of few tokens by a model of this name.
fn short(model: &str) -> Reply {
    let event = |value: Value| value.to_string();
    let events = [
        event(json!({ "model": model, "choices": [{ "delta": { "content": "Ada" } }] })),
        event(json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] })),
        event(json!({ "choices": [], "usage": { "prompt_tokens": 10, "completion_tokens": 5 } })),
        "[DONE]".to_owned(),
    ];
    Reply::events(events.iter().map(String::as_str))
}

#[test]
fn a_fallback_answers_where_the_provider_refuses_connections() {
    let server = Server::start([short("small-2")]);
    let lab = lab(&refusing_url("/v1"), &server.url("/v1"));
    let ran = map(&lab, "--fallback-model lab/small");
    ran.ends_with(0, &["provider: down at", "model big, then lab/small", "asking lab at"]);
    let first = report(&ran);
    assert_eq!((&first["accepted"], &first["calls"]), (&json!(3), &json!(6)), "each call has its intent");
    assert_eq!(first["served_models"], json!({ "small-2": 3 }));
    assert_eq!(first["possibly_billed"]["calls"], 0, "what was never connected is not billed");
    // At the dearer price: 10 + 5 tokens a row.
    assert_eq!(first["cost_usd_micros"], 3 * (10 * 10 + 5 * 40));
    let asked = server.requests();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|asked| asked.body["model"] == "small"));
    assert!(asked.iter().all(|asked| asked.headers.iter().any(|line| line.contains(KEY))));
    let shown = lab.run("runs show latest").stdout;
    assert!(shown.contains("served by  small-2 (3)") && shown.contains("calls      6"), "{shown}");
    // The answers are another model's, so they are no cached answers of this one.
    map(&lab, "--fallback-model lab/small --fresh").ends_with(0, &[]);
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn all_kinds_of_runs_have_fallbacks_from_flags_files_and_recipes() {
    let server = Server::start([Reply::chat(&answer(), "stop")]);
    let lab = lab(&refusing_url("/v1"), &server.url("/v1"));
    let config = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    lab.file("antiphon.toml", format!("[defaults]\nfallback = [\"lab/small\"]\n{config}"));
    let generate = "generate in -n 1 --provider down --model big --out of-file";
    let ran = lab.run(generate);
    ran.ends_with(0, &["then lab/small"]);
    assert!(ran.stdout.contains("by served-1"), "{ran:?}");
    let id = ran.stdout.lines().last().unwrap().split('/').nth(1).unwrap().to_owned();
    let written = json_file(&lab.path(&format!("of-file/{id}/run.json")));
    assert_eq!((&written["served_model"], &written["calls"]), (&json!("served-1"), &json!(2)));
    lab.file("antiphon.toml", config);
    lab.file("own.toml", "count = 1\nfallback = [\"lab/small\"]\n");
    let of_recipe = "generate in --provider down --model big --recipe own.toml --out of-recipe";
    lab.run(of_recipe).ends_with(0, &["then lab/small"]);
    lab.file("ada.md", "# Ada\n\nI weave engines.\n");
    let content = json!({
        "brand_name": "Ada", "tagline": null, "hero": { "title": "T", "subtitle": "S" }, "repos": [],
        "menu_items": [], "cta": null,
    });
    let server = Server::start([Reply::chat(&content.to_string(), "stop")]);
    let line = format!(
        "content ada.md --provider down --model big --fallback-model compatible/c --base-url {}",
        refusing_url("/v1")
    );
    lab.run(&line).ends_with(2, &["the fallback compatible/c", "has no address"]);
    let config = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    let config =
        format!("{config}[providers.site]\nkind = \"compatible\"\nbase_url = \"{}\"\n", server.url("/v1"));
    lab.file(
        "antiphon.toml",
        config.replace("[providers.down]\n", "[providers.down]\nfallback = [\"site/c\"]\n"),
    );
    lab.run("content ada.md --provider down --model big").ends_with(0, &["then site/c"]);
}

#[test]
fn only_a_recipe_with_fallbacks_has_another_fingerprint() {
    let server = Server::start([short("big")]);
    let lab = lab(&server.url("/v1"), &server.url("/v1"));
    let fingerprint = |more: &str| report(&map(&lab, more))["fingerprint"].clone();
    let plain = fingerprint("");
    assert_eq!(fingerprint("--fallback-model lab/small --fresh"), plain, "a flag is no part of the recipe");
    lab.run("runs resume latest").ends_with(0, &["then lab/small", "already finished"]);
    let recipe = fs::read_to_string(lab.path("r.toml")).unwrap();
    lab.file("r.toml", format!("fallback = [\"lab/small\"]\n{recipe}"));
    assert_ne!(fingerprint(""), plain);
}

#[test]
fn a_fallback_that_cannot_be_used_is_a_mistake_before_any_call() {
    let server = Server::start([short("big")]);
    let lab = lab(&server.url("/v1"), &server.url("/v1")).with("LAB_KEY", "");
    let expected = ["the fallback lab/small", "LAB_KEY is not set", "export LAB_KEY"];
    map(&lab, "--fallback-model lab/small").ends_with(3, &expected);
    map(&lab, "--fallback-model lab")
        .ends_with(2, &["--fallback-model: a fallback has no provider or no model"]);
    map(&lab, "--fallback-model ollamma/small").ends_with(2, &["did you mean ollama?"]);
    lab.run("generate in --offline --fallback-model lab/small").ends_with(2, &["cannot be used with"]);
    let alone = lab.run("generate in --fallback-model down/big");
    alone.ends_with(2, &["no provider is named", "a fallback needs a provider before it"]);
    let of_file = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    lab.file(
        "antiphon.toml",
        of_file.replace("[providers.down]\n", "[providers.down]\nfallback = [\"lba/s\"]\n"),
    );
    map(&lab, "").ends_with(3, &["unknown provider lba"]);
    assert!(server.requests().is_empty());
}

#[test]
fn what_is_named_behind_one_provider_gets_nothing_of_another() {
    let server = Server::start([short("small")]);
    let lab = lab(&refusing_url("/v1"), &server.url("/v1"));
    let of_file = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    let defaults = "[defaults]\nprovider = \"lab\"\nmodel = \"small\"\nfallback = [\"lab/other\"]\n";
    lab.file("antiphon.toml", format!("{defaults}{of_file}"));
    map(&lab, "").ends_with(5, &["provider: down"]);
    assert!(server.requests().is_empty(), "data that is for one provider goes to no other");
    lab.run("config get defaults.fallback").ends_with(0, &[]);
    assert_eq!(lab.run("config get defaults.fallback").stdout, "lab/other\n");
}

#[test]
fn a_budget_holds_at_the_dearer_price_also_where_both_may_be_billed() {
    // It takes each prompt, and says nothing.
    let silent = Server::start([Reply::raw("").and_stall()]);
    let server = Server::start([short("small")]);
    let lab = lab(&silent.url("/v1"), &server.url("/v1")).with("ANTIPHON_TIMEOUT", "0.3");
    lab.file("rows.jsonl", (0..20).map(|n| format!("{{\"n\": {n}}}\n")).collect::<String>());
    let ran = map(&lab, "--fallback-model lab/small --max-cost 0.02");
    ran.ends_with(6, &["is used up"]);
    let found = report(&ran);
    let number = |value: &Value| value.as_u64().unwrap();
    let (spent, possible) =
        (number(&found["cost_usd_micros"]), number(&found["possibly_billed"]["most_usd_micros"]));
    let done = number(&found["accepted"]);
    assert_eq!(spent, done * (10 * 10 + 5 * 40), "{found}");
    assert!(done > 0 && number(&found["possibly_billed"]["calls"]) == done, "{found}");
    assert!(spent + possible <= 20_000, "{spent} + {possible}");
    // The reservation of one more row at both models: two prompts and two answers of 64 tokens.
    assert!(spent + possible > 20_000 - 2 * (200 * 10 + 64 * 40), "{spent} + {possible}");
    let unpriced = map(&lab, "--fallback-model lab/unpriced --max-cost 1");
    unpriced.ends_with(2, &["the price of unpriced is not known"]);
}

#[test]
fn each_call_of_a_chain_that_may_be_billed_is_counted() {
    let silent = Server::start([Reply::raw("").and_stall()]);
    let server = Server::start([short("small")]);
    let lab = lab(&silent.url("/v1"), &server.url("/v1")).with("ANTIPHON_TIMEOUT", "0.3");
    let config = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    let slow = format!("[providers.slow]\nkind = \"compatible\"\nbase_url = \"{}\"\n", silent.url("/v1"));
    lab.file("antiphon.toml", config + &slow);
    lab.file("rows.jsonl", "{\"n\": 1}\n");
    let ran = map(&lab, "--fallback-model slow/big --fallback-model lab/small");
    ran.ends_with(0, &["possibly billed: 2 calls without an answer"]);
    assert_eq!(report(&ran)["possibly_billed"]["calls"], json!(2));
}
