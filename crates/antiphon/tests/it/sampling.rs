//! Sampling parameters and additions from flags, recipes and the configuration to the request.

use antiphon_tests::{Received, Reply, Server};
use serde_json::{Value, json};

use crate::map::report;
use crate::program::{Lab, Ran, answer};

const RECIPE: &str = "prompt = \"{{ n }}\"\n[parameters]\ntemperature = 0.5\n";

/// A lab with one row, a recipe, and a compatible provider with further lines in its entry.
fn lab(url: &str, defaults: &str, entry: &str) -> Lab {
    let lab = Lab::new();
    lab.file("rows.jsonl", "{\"n\": 1}\n");
    lab.file("r.toml", RECIPE);
    let provider = format!("[providers.lab]\nkind = \"compatible\"\nbase_url = \"{url}\"\n{entry}");
    lab.file(
        "antiphon.toml",
        format!("[defaults]\nprovider = \"lab\"\nmodel = \"m\"\n{defaults}\n{provider}"),
    );
    lab
}

const MAP: &str = "map rows.jsonl -r r.toml";

fn call(server: &Server) -> Received {
    server.requests().into_iter().find(|request| request.line.starts_with("POST ")).unwrap()
}

fn is_uncalled(server: &Server) -> bool {
    server.requests().iter().all(|request| !request.line.starts_with("POST "))
}

/// Checks that a run and its estimate are refused alike, before any call.
#[track_caller]
fn refused(lab: &Lab, server: &Server, line: &str, code: i32, expected: &[&str]) {
    for line in [line.to_owned(), format!("{line} --dry-run")] {
        lab.run(&line).ends_with(code, expected);
    }
    assert!(is_uncalled(server), "{:?}", server.requests());
}

#[test]
fn recipes_override_entries_and_these_the_defaults() {
    let server = Server::start([Reply::chat("one", "stop")]);
    let defaults = "temperature = 0.1\ntop_p = 0.2\ntop_k = 3\nstop = [\"END\"]";
    let lab =
        lab(&server.url("/v1"), defaults, "temperature = 0.2\ntop_p = 0.7\nreasoning_effort = \"low\"\n");
    let ran = lab.run(&format!("{MAP} --json"));
    ran.ends_with(0, &[]);
    let body = call(&server).body;
    assert_eq!((&body["temperature"], &body["top_p"], &body["top_k"]), (&json!(0.5), &json!(0.7), &json!(3)));
    assert_eq!((&body["stop"], &body["reasoning_effort"]), (&json!(["END"]), &json!("low")));
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(lab.only_run().join("run.json")).unwrap()).unwrap();
    assert_eq!(report["parameters"]["top_p"], json!(0.7), "{report}");
    assert_eq!(report["parameters"]["stop"], json!(["END"]), "{report}");
}

#[test]
fn a_changed_parameter_is_another_run_and_named_as_the_difference() {
    let server = Server::start([Reply::chat("one", "stop")]);
    let lab = lab(&server.url("/v1"), "", "top_p = 0.7\n");
    let id = |ran: &Ran| {
        ran.ends_with(0, &[]);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["run_id"].clone()
    };
    let first = id(&lab.run(&format!("{MAP} --json")));
    assert_eq!(id(&lab.run(&format!("{MAP} --json"))), first);
    let text = std::fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    lab.file("antiphon.toml", text.replace("0.7", "0.8"));
    assert_ne!(id(&lab.run(&format!("{MAP} --json"))), first);
    lab.file("antiphon.toml", text + "headers = { x-team = \"a\" }\n");
    assert_ne!(id(&lab.run(&format!("{MAP} --json"))), first);
    assert_eq!(server.requests().iter().filter(|request| request.line.starts_with("POST ")).count(), 3);
}

#[test]
fn flags_override_the_recipe_and_reach_the_request() {
    let server = Server::start([Reply::chat(&answer(), "stop")]);
    let lab = lab(&server.url("/v1"), "top_p = 0.2", "");
    let flags = "--top-p 0.9 --top-k 40 --min-p 0.1 --stop END --stop STOP --presence-penalty 0.5 \
                 --frequency-penalty -0.5 --reasoning-effort minimal --service-tier flex";
    lab.run(&format!("generate in --count 1 {flags}")).ends_with(0, &[]);
    let body = call(&server).body;
    let expected = json!([0.9, 40, 0.1, ["END", "STOP"], 0.5, -0.5, "minimal", "flex"]);
    let names = ["top_p", "top_k", "min_p", "stop", "presence_penalty", "frequency_penalty"];
    let names = names.into_iter().chain(["reasoning_effort", "service_tier"]);
    assert_eq!(json!(names.map(|name| body[name].clone()).collect::<Vec<_>>()), expected);
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(lab.only_run().join("run.json")).unwrap()).unwrap();
    assert_eq!(report["parameters"]["top_k"], json!(40), "{report}");
    for (flag, expected) in [
        ("--top-p 3", "top_p is 3: it must be a number from 0 to 1"),
        ("--top-p nan", "top_p is NaN"),
        ("--min-p=-0.1", "min_p is -0.1: it must be a number from 0 to 1"),
        ("--presence-penalty 9", "expected a number from -2 to 2"),
        ("--stop=", "--stop"),
        ("--reasoning-effort hgih", "minimal"),
        ("--reasoning-effort low --reasoning-budget 5", "--reasoning-budget"),
    ] {
        lab.run(&format!("generate in --count 1 {flag}")).ends_with(2, &[expected]);
    }
}

#[test]
fn a_parameter_that_the_provider_does_not_have_is_refused_before_any_call() {
    let server = Server::start([Reply::chat("one", "stop")]);
    let url = server.url("/v1");
    let openai = |text: &str| {
        let lab = lab(&url, "", "");
        lab.file("antiphon.toml", format!("{text}[providers.openai]\nbase_url = \"{url}\"\n"));
        lab.with("OPENAI_API_KEY", "k")
    };
    let named = format!("{MAP} --provider openai --model m");
    let plain = openai("");
    plain.file("r.toml", format!("{RECIPE}top_k = 40\n"));
    refused(&plain, &server, &named, 2, &["r.toml:4: the provider openai has no top_k: leave it out"]);
    let flagged = "generate in --count 1 --provider openai --model m --min-p 0.1";
    refused(&plain, &server, flagged, 2, &["the provider openai has no min_p"]);
    let defaults = openai("[defaults]\ntop_k = 40\n");
    refused(&defaults, &server, &named, 3, &["antiphon.toml:2: the provider openai has no top_k"]);
    let entry = openai("[providers.anthropic]\nseed = 7\n");
    refused(&entry, &server, &named, 3, &["antiphon.toml:2: the provider anthropic has no seed"]);
    let fallback = openai("[defaults]\nfallback = [\"anthropic/claude\"]\n").with("ANTHROPIC_API_KEY", "k");
    fallback.file("r.toml", format!("{RECIPE}seed = 7\n"));
    refused(
        &fallback,
        &server,
        &named,
        2,
        &["the fallback anthropic/claude: the provider anthropic has no seed"],
    );
}

#[test]
fn mistakes_in_files_are_reported_with_their_line() {
    let server = Server::start([Reply::chat("one", "stop")]);
    for (defaults, entry, expected) in [
        ("top_p = 3", "", "antiphon.toml:4: top_p is 3: it must be a number from 0 to 1"),
        ("temperature = nan", "", "antiphon.toml:4: temperature is NaN"),
        ("stop = []", "", "antiphon.toml:4: stop is empty"),
        ("tep_p = 0.5", "", "antiphon.toml:4: unknown key tep_p; did you mean top_p?"),
        ("", "min_p = -1.0\n", "antiphon.toml:8: min_p is -1"),
        (
            "",
            "rasoning_effort = \"low\"\n",
            "antiphon.toml:8: unknown key rasoning_effort; did you mean reasoning_effort?",
        ),
        ("", "reasoning_budget = 9\n", "antiphon.toml:8: the provider lab has no reasoning_budget"),
        (
            "",
            "headers = { authorization = \"planted\" }\n",
            "antiphon.toml:8: headers cannot set authorization",
        ),
        (
            "",
            "headers_env = { x-key = \"sk-planted\" }\n",
            "antiphon.toml:8: headers_env has for x-key no name",
        ),
        (
            "",
            "[providers.lab.extra_body]\na = 1\nmodel = \"planted\"\n",
            "antiphon.toml:10: extra_body cannot set model",
        ),
        ("", "extra.messages = []\n", "antiphon.toml:8: extra_body cannot set messages"),
        ("", "query = { a = \"b\", key = \"planted\" }\n", "antiphon.toml:8: query cannot set key"),
        (
            "",
            "headers = { Cookie = \"planted\" }\n",
            "antiphon.toml:8: headers cannot set Cookie, which carries a key",
        ),
        ("", "extra_body = { n = 3 }\n", "antiphon.toml:8: extra_body cannot set n: one answer is read"),
        (
            "",
            "extra_body = { max_completion_tokens = 100000 }\n",
            "antiphon.toml:8: extra_body cannot set max_completion_tokens: it would exceed the limit that a budget counts \
             on. Use max_tokens",
        ),
        (
            "",
            "extra_body = { tools = [] }\n",
            "antiphon.toml:8: extra_body cannot set tools: an answer must be text",
        ),
        (
            "",
            "extra_body = { a = 1 }\nextra = { b = 1 }\n",
            "antiphon.toml:9: extra is an earlier name of extra_body, and both are set",
        ),
    ] {
        let lab = lab(&server.url("/v1"), defaults, entry);
        refused(&lab, &server, MAP, 3, &[expected]);
        let shown = lab.run("config show");
        shown.ends_with(3, &[expected]);
        assert!(!(shown.stdout + &shown.stderr).contains("planted"));
    }
}

#[test]
fn a_secret_header_is_sent_and_shown_nowhere() {
    const SECRET: &str = "sk-planted-0123456789";
    let rejects = Reply::json(401, &json!({ "error": { "message": format!("wrong: {SECRET}") } }));
    for (reply, code) in [(Reply::chat("one", "stop"), 0), (rejects, 3)] {
        let server = Server::start([reply]);
        let entry = "headers_env = { X-Proxy-Key = \"PROXY_KEY\" }\nquery = { api-version = \"1\" }\n\
                     extra_body = { repetition_penalty = 1.1 }\n";
        let unset = lab(&server.url("/v1"), "", entry);
        unset.run(MAP).ends_with(3, &["PROXY_KEY"]);
        let plan = unset.run(&format!("{MAP} --dry-run"));
        plan.ends_with(
            0,
            &["PROXY_KEY is not set, which headers_env in [providers.lab] names for X-Proxy-Key"],
        );
        assert_eq!(plan.stderr.matches("PROXY_KEY").count(), 1, "{}", plan.stderr);
        assert!(is_uncalled(&server), "{:?}", server.requests());
        let lab = lab(&server.url("/v1"), "", entry).with("PROXY_KEY", SECRET);
        let ran = lab.run(&format!("{MAP} -vvv --json"));
        ran.ends_with(code, &["TRACE"]);
        let request = call(&server);
        assert!(request.headers.iter().any(|line| *line == format!("x-proxy-key: {SECRET}")), "{request:?}");
        assert!(request.line.contains("?api-version=1"), "{}", request.line);
        assert_eq!(request.body["repetition_penalty"], json!(1.1));
        let shown = lab.run("config show --json");
        let mut seen = ran.stdout + &ran.stderr + &shown.stdout + &lab.run("doctor lab").stdout;
        assert!(shown.stdout.contains("PROXY_KEY"), "{}", shown.stdout);
        for name in ["antiphon.db", "antiphon.db-wal"] {
            let bytes = std::fs::read(lab.path("antiphon-out").join(name)).unwrap_or_default();
            seen += &String::from_utf8_lossy(&bytes);
        }
        assert!(!seen.contains("planted"), "{seen}");
    }
}

#[test]
fn settings_are_set_and_shown_with_their_origin() {
    let lab = lab("http://localhost:8080/v1", "", "");
    for (key, value) in [
        ("defaults.top_p", "0.9"),
        ("defaults.stop", "[\"END\"]"),
        ("providers.lab.top_k", "40"),
        ("providers.lab.reasoning_effort", "low"),
        ("providers.lab.query.api-version", "2024-10-21"),
        ("providers.lab.headers_env.x-key", "LAB_TOKEN"),
        ("providers.lab.extra_body.repetition_penalty", "1.1"),
        ("providers.openai.key_header", "api-key"),
    ] {
        lab.run(&format!("config set {key} {value}")).ends_with(0, &[]);
    }
    let shown = lab.run("config show --json");
    shown.ends_with(0, &[]);
    let document: Value = serde_json::from_str(&shown.stdout).unwrap();
    let setting = |key: &str| {
        let all = document["settings"].as_array().unwrap();
        all.iter().find(|setting| setting["key"] == key).cloned().unwrap_or_default()
    };
    assert_eq!(setting("defaults.top_p")["value"], json!(0.9));
    assert_eq!(setting("defaults.stop")["value"], json!(["END"]));
    assert_eq!(setting("defaults.min_p")["value"], Value::Null);
    assert_eq!(setting("providers.lab.top_k")["value"], json!(40));
    assert_eq!(setting("providers.lab.top_k")["origin"]["from"], "file");
    assert_eq!(setting("providers.lab.reasoning_effort")["value"], "low");
    assert_eq!(setting("providers.lab.headers_env.x-key")["value"], "LAB_TOKEN");
    assert_eq!(setting("providers.lab.query.api-version")["note"], "set, not shown");
    assert_eq!(setting("providers.lab.extra_body.repetition_penalty")["origin"]["from"], "file");
    assert_eq!(setting("providers.openai.key_header")["value"], "api-key");
    let wrong = lab.run("config set defaults.top_p 3");
    wrong.ends_with(
        3,
        &["cannot set defaults.top_p in antiphon.toml, and nothing was changed", "from 0 to 1"],
    );
    lab.run("config set providers.openai.top_k 3").ends_with(3, &["the provider openai has no top_k"]);
}

#[test]
fn azure_is_an_entry_of_the_configuration() {
    let server = Server::start([Reply::chat("one", "stop")]);
    let lab = Lab::new().with("AZURE_OPENAI_API_KEY", "azure-key");
    lab.file("rows.jsonl", "{\"n\": 1}\n");
    lab.file("r.toml", RECIPE);
    let url = server.url("/openai/deployments/my-gpt");
    lab.file(
        "antiphon.toml",
        format!(
            "[providers.azure]\nkind = \"openai\"\nbase_url = \"{url}\"\nkey_env = \"AZURE_OPENAI_API_KEY\"\n\
             key_header = \"api-key\"\nquery = {{ api-version = \"2024-10-21\" }}\nmodel = \"my-gpt\"\n"
        ),
    );
    lab.run(&format!("{MAP} --provider azure")).ends_with(0, &[]);
    let request = call(&server);
    let line = "POST /openai/deployments/my-gpt/chat/completions?api-version=2024-10-21";
    assert!(request.line.starts_with(line), "{}", request.line);
    assert!(request.headers.iter().any(|line| line == "api-key: azure-key"), "{:?}", request.headers);
    assert!(!request.headers.iter().any(|line| line.starts_with("authorization:")), "{:?}", request.headers);
}

#[test]
fn fields_that_may_change_the_price_leave_the_cost_unknown_and_no_budget() {
    let entry = |extra: &str, url: &str| {
        format!(
            "[providers.router]\nkind = \"compatible\"\nbase_url = \"{url}\"\n{extra}[prices.router.m]\ninput = 1.0\noutput = 1.0\n"
        )
    };
    let run = |extra: &str, more: &str| {
        let server = Server::start([Reply::chat("fine", "stop")]);
        let lab = Lab::new();
        lab.file("rows.jsonl", "{\"n\": 1}\n");
        lab.file("r.toml", "prompt = \"{{ n }}\"\n[parameters]\nmax_tokens = 64\n");
        lab.file("antiphon.toml", entry(extra, &server.url("/v1")));
        let flags = "map rows.jsonl -r r.toml --provider router --model m --progress none --json --yes";
        let ran = lab.run(&format!("{flags} {more}"));
        (ran, server.requests().len())
    };
    for (extra, field) in [
        ("extra_body = { models = [\"a/b\", \"c/d\"] }\n", "models"),
        ("extra_body = { plugins = [{ id = \"web\" }] }\n", "plugins"),
        ("extra_body = { route = \"fallback\" }\n", "route"),
        ("extra_body = { provider = { max_price = { prompt = 9 } } }\n", "provider.max_price"),
        ("extra_body = { web_search_options = {} }\n", "web_search_options"),
    ] {
        let (ran, calls) = run(extra, "--max-cost 1");
        let expected = format!("{field} in extra_body of router may change the model or the price of a call");
        ran.ends_with(2, &["a budget cannot be kept", &expected]);
        assert_eq!(calls, 0, "{field}");
        let (ran, _) = run(extra, "");
        ran.ends_with(0, &["the cost of the run is not known", &expected]);
        assert_eq!(report(&ran)["cost_usd_micros"], Value::Null, "{field}");
    }
    let (ran, _) = run("extra_body = { provider = { require_parameters = true } }\n", "--max-cost 1");
    ran.ends_with(0, &[]);
    assert_eq!(report(&ran)["cost_usd_micros"], 1_200);
    let (ran, calls) = run("extra_body = { service_tier = \"priority\" }\n", "");
    ran.ends_with(3, &["extra_body cannot set service_tier", "Use the parameter service_tier"]);
    assert_eq!(calls, 0);
}
