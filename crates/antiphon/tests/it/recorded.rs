//! Runs that are recorded, and replayed without a network.

use std::fs;

use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::{Value, json};

use crate::program::{Lab, Ran, answer, json_file};

const KEY: &str = "planted-key-without-a-vendors-form";

/// A lab with rows, a recipe, and a provider that needs a key and a header that is one.
fn lab(url: &str) -> Lab {
    let lab = Lab::new();
    lab.file("rows.jsonl", "{\"n\": 1}\n{\"n\": 2}\n{\"n\": 3}\n");
    lab.file("r.toml", "prompt = \"Name {{ n }}\"\n[[check]]\nmax = 20\n");
    configure(&lab, url);
    lab
}

fn configure(lab: &Lab, url: &str) {
    let text = format!(
        "[providers.lab]\nkind = \"compatible\"\nbase_url = \"{url}\"\nkey_env = \"LAB_KEY\"\n\
         headers = {{ x-team = \"{KEY}\" }}\n[prices.lab.m]\ninput = 1.0\noutput = 4.0\n"
    );
    lab.file("antiphon.toml", text);
}

/// Runs a command with the key.
fn with_key(lab: &Lab, line: &str) -> Ran {
    Ran::new(lab.command(line).env("LAB_KEY", KEY).output().unwrap())
}

const MAP: &str = "map rows.jsonl -r r.toml --provider lab --model m --max-concurrency 1 --json";

#[track_caller]
fn report(ran: &Ran) -> Value {
    let report = serde_json::from_str(&ran.stdout);
    assert!(report.is_ok(), "{ran:?}");
    report.unwrap()
}

fn words() -> [Reply; 4] {
    // The second answer is too long, and is retried.
    ["Ada", "A name that is much longer than it may be", "Bea", "Cy"].map(|words| Reply::chat(words, "stop"))
}

#[test]
fn a_recorded_run_is_the_same_run_without_server_and_key() {
    let server = Server::start(words());
    let lab = lab(&server.url("/v1"));
    let ran = with_key(&lab, &format!("{MAP} --record tapes --out a --results a.jsonl --max-cost 1"));
    ran.ends_with(0, &[]);
    let first = report(&ran);
    assert_eq!((&first["calls"], server.requests().len()), (&json!(4), 4));
    let tapes: Vec<_> = fs::read_dir(lab.path("tapes")).unwrap().map(|found| found.unwrap().path()).collect();
    let tape = fs::read_to_string(&tapes[0]).unwrap();
    assert!(tapes.len() == 1 && tape.starts_with("{\"schema\":\"antiphon.cassette/1\""), "{tape}");
    assert!(!tape.contains("planted"), "neither the key nor a header: {tape}");
    configure(&lab, &refusing_url("/v1"));
    let ran = lab.run(&format!("{MAP} --replay tapes --out b --results b.jsonl --max-cost 1"));
    ran.ends_with(0, &["provider: lab at", "replayed from tapes, at no cost"]);
    let second = report(&ran);
    for same in ["fingerprint", "calls", "input_tokens", "output_tokens", "served_models", "base_url"] {
        assert_eq!(second[same], first[same], "{same}");
    }
    assert!(first["cost_usd_micros"].as_u64() > Some(0), "{first}");
    assert_eq!(second["cost_usd_micros"], 0, "nothing is paid now");
    assert_eq!(fs::read(lab.path("a.jsonl")).unwrap(), fs::read(lab.path("b.jsonl")).unwrap());
    // Without a provider and a model, those of the recording are used.
    let ran = lab.run("map rows.jsonl -r r.toml --replay tapes --out c --results c.jsonl --max-cost 1");
    ran.ends_with(0, &["provider: lab at"]);
    assert_eq!(fs::read(lab.path("a.jsonl")).unwrap(), fs::read(lab.path("c.jsonl")).unwrap());
    let planned = lab.run("map rows.jsonl -r r.toml --replay tapes --out d --dry-run");
    planned.ends_with(0, &[]);
    assert!(planned.stdout.contains("cost       no cost"), "{planned:?}");
}

#[test]
fn personas_pages_and_experiments_are_replayed() {
    let lab = lab("");
    let content = json!({
        "brand_name": "Ada", "tagline": null, "hero": { "title": "T", "subtitle": "S" }, "repos": [],
        "menu_items": [], "cta": null,
    });
    lab.file("ada.md", "# Ada\n\nI weave engines.\n");
    lab.run("experiment create goats -n 1").ends_with(0, &[]);
    lab.run("experiment add goats in").ends_with(0, &[]);
    let listed = Reply::json(200, &json!({ "data": [] }));
    for (line, reply, made) in [
        ("generate in -n 1", answer(), "personas.json"),
        ("content ada.md", content.to_string(), "content.json"),
        ("experiment generate goats", answer(), "personas.json"),
    ] {
        let tapes = line.split(' ').next().unwrap();
        let ending = if tapes == "content" { vec![] } else { vec![listed.clone()] };
        let server = Server::start(ending.into_iter().chain([Reply::chat(&reply, "stop")]));
        configure(&lab, &server.url("/v1"));
        let line = format!("{line} --provider lab --model m --json");
        with_key(&lab, &format!("{line} --record {tapes}")).ends_with(0, &[]);
        configure(&lab, &refusing_url("/v1"));
        let asked = server.requests().len();
        let out = if tapes == "experiment" { "--fresh" } else { "--out second" };
        let replayed = lab.run(&format!("{line} --replay {tapes} {out}"));
        replayed.ends_with(0, &["replayed from"]);
        assert_eq!(server.requests().len(), asked);
        let base = if tapes == "experiment" { "experiments/goats/outputs" } else { "antiphon-out" };
        let second = if tapes == "experiment" { base } else { "second" };
        let (first, second) = (written(&lab, base, made, 0), written(&lab, second, made, 1));
        assert_eq!(first, second, "{line}");
        assert!(replayed.stdout.contains("\"cost_usd_micros\": 0"), "{replayed:?}");
        fs::remove_dir_all(lab.path("antiphon-out")).unwrap_or_default();
        fs::remove_dir_all(lab.path("second")).unwrap_or_default();
    }
}

/// The bytes of a file that the oldest or the newest run wrote, without the run's id.
fn written(lab: &Lab, out: &str, name: &str, newest: usize) -> String {
    let runs = fs::read_dir(lab.path(out)).unwrap().map(|found| found.unwrap().path());
    let mut runs: Vec<_> = runs.filter(|path| path.join(name).exists()).collect();
    runs.sort();
    let run = &runs[newest.min(runs.len() - 1)];
    let id = run.file_name().unwrap().to_str().unwrap();
    fs::read_to_string(run.join(name)).unwrap().replace(id, "ID")
}

#[test]
fn what_was_not_recorded_is_named_with_what_to_do() {
    let server = Server::start(words());
    let lab = lab(&server.url("/v1"));
    with_key(&lab, &format!("{MAP} --record tapes --out a")).ends_with(0, &[]);
    lab.file("rows.jsonl", "{\"n\": 1}\n{\"n\": 4}\n");
    let ran = lab.run(&format!("{MAP} --replay tapes --out b"));
    let why = "cannot replay from tapes: no answer of m to \"Name 4\" was recorded. Record again, or ask with the same input";
    ran.ends_with(4, &[why]);
    let ran = lab.run("generate in -n 1 --provider lab --model m --replay tapes --out c");
    ran.ends_with(5, &["cannot replay from tapes: no answer of m", "Record again"]);
    assert!(!ran.stderr.contains("base URL"), "no address helps: {}", ran.stderr);
    lab.run(&format!("{MAP} --replay nothing")).ends_with(2, &["nothing", "Record it first"]);
    fs::create_dir(lab.path("empty")).unwrap();
    lab.run(&format!("{MAP} --replay empty")).ends_with(2, &["cannot replay empty: there is no cassette"]);
    let other = "map rows.jsonl -r r.toml --provider ollama --model m --replay tapes";
    lab.run(other).ends_with(2, &["cannot replay tapes: it has answers of lab at", "and none of ollama"]);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_folder_that_cannot_be_recorded_into_costs_nothing() {
    let server = Server::start(words());
    let lab = lab(&server.url("/v1"));
    let ran = with_key(&lab, &format!("{MAP} --record r.toml"));
    ran.ends_with(2, &["cannot record into r.toml/lab-", "Name another folder with --record"]);
    with_key(&lab, &format!("{MAP} --record tapes --dry-run")).ends_with(0, &[]);
    assert!(!lab.path("tapes").exists(), "a dry run records nothing");
    for conflict in ["--record a --replay b", "--replay a --offline"] {
        lab.run(&format!("generate in {conflict}")).ends_with(2, &["cannot be used with"]);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_run_that_is_resumed_is_not_recorded_again() {
    let server = Server::start(words());
    let lab = lab(&server.url("/v1"));
    with_key(&lab, &format!("{MAP} --record tapes --max-rows 1")).ends_with(0, &[]);
    let shown: Value = serde_json::from_str(&lab.run("runs show latest --json").stdout).unwrap();
    assert!(!shown["request"].to_string().contains("tapes"), "{shown}");
    fs::remove_dir_all(lab.path("tapes")).unwrap();
    with_key(&lab, "runs resume latest").ends_with(0, &[]);
    assert!(!lab.path("tapes").exists());
}

#[test]
fn a_recorded_fallback_answers_again_where_the_first_did_not() {
    let server = Server::start(words());
    let lab = lab(&server.url("/v1"));
    let config = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    let down = format!("[providers.down]\nkind = \"compatible\"\nbase_url = \"{}\"\n", refusing_url("/v1"));
    lab.file("antiphon.toml", format!("{config}{down}"));
    let line = MAP.replace("--provider lab --model m", "--provider down --model big --fallback-model lab/m");
    let lab = lab.with("ANTIPHON_RETRY_MAX", "0");
    let first = with_key(&lab, &format!("{line} --record tapes --out a --results a.jsonl"));
    first.ends_with(0, &[]);
    assert_eq!(fs::read_dir(lab.path("tapes")).unwrap().count(), 2, "a file for each provider");
    let second = lab.run(&format!("{line} --replay tapes --out b --results b.jsonl"));
    second.ends_with(0, &["provider: down at", "then lab/m; replayed from tapes"]);
    assert_eq!(fs::read(lab.path("a.jsonl")).unwrap(), fs::read(lab.path("b.jsonl")).unwrap());
    let (first, second) = (report(&first), report(&second));
    for same in ["fingerprint", "calls", "served_models"] {
        assert_eq!(second[same], first[same], "{same}");
    }
    assert_eq!((&second["cost_usd_micros"], server.requests().len()), (&json!(0), 4));
}

#[test]
fn drafts_without_a_model_are_replayed_too() {
    let lab = Lab::new();
    lab.run("generate in -n 1 --offline --record tapes --out a").ends_with(0, &[]);
    lab.run("generate in -n 1 --replay tapes --out b")
        .ends_with(0, &["provider: offline", "replayed from tapes"]);
    let (first, second) = (written(&lab, "a", "personas.json", 0), written(&lab, "b", "personas.json", 0));
    assert_eq!(first, second);
    let run =
        fs::read_dir(lab.path("b")).unwrap().map(|found| found.unwrap().path()).find(|path| path.is_dir());
    assert_eq!(json_file(&run.unwrap().join("run.json"))["model_used"], false);
}

#[test]
fn what_a_replay_lacks_is_no_result_of_the_run_itself() {
    let server = Server::start(words());
    let lab = lab(&server.url("/v1"));
    with_key(&lab, &format!("{MAP} --record tapes --max-rows 1 --out a")).ends_with(0, &[]);
    lab.run(&format!("{MAP} --replay tapes --out b")).ends_with(4, &["cannot replay"]);
    with_key(&lab, &format!("{MAP} --out b")).ends_with(0, &[]);
}

#[test]
fn a_run_that_a_budget_shortened_is_replayed_without_it() {
    let server = Server::start(words());
    let lab = lab(&server.url("/v1"));
    with_key(&lab, &format!("{MAP} --record tapes --max-cost 0.03 --out a")).ends_with(0, &[]);
    lab.run(&format!("{MAP} --replay tapes --out b")).ends_with(0, &[]);
}

#[test]
fn a_run_that_makes_no_call_says_that_it_records_nothing() {
    let server = Server::start(words());
    let lab = lab(&server.url("/v1"));
    let nothing = "nothing was recorded: ";
    // An answer of another model than the requested one is not cached.
    let map = MAP.replace("--model m", "--model served-1");
    let ran = with_key(&lab, &format!("{map} --max-rows 1 --record first"));
    assert_eq!((ran.code, ran.stderr.contains(nothing)), (Some(0), false), "{ran:?}");
    let again = [
        nothing,
        "the run had finished",
        "Use --fresh, and cache = false in the recipe, to record a new run in tapes",
    ];
    with_key(&lab, &format!("{map} --max-rows 1 --record tapes")).ends_with(0, &again);
    with_key(&lab, &format!("{map} --max-rows 1 --record tapes --fresh"))
        .ends_with(0, &[nothing, "all answers were cached"]);
    lab.run("generate in -n 1 --offline --out p").ends_with(0, &[]);
    let personas = lab.run("generate in -n 1 --offline --out p --record tapes");
    personas.ends_with(0, &[nothing, "Use --fresh to record a new run in tapes"]);
    let anew = lab.run("generate in -n 1 --offline --out p --record tapes --fresh");
    assert_eq!((anew.code, anew.stderr.contains(nothing)), (Some(0), false), "{anew:?}");
}
