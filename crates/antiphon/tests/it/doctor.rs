//! `doctor PROVIDER`, and the errors about keys, addresses and names that it examines.

use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::{Value, json};

use crate::program::{Lab, Ran};

fn listed(models: &[&str]) -> Reply {
    let models: Vec<Value> = models.iter().map(|id| json!({ "id": id, "object": "model" })).collect();
    Reply::json(200, &json!({ "object": "list", "data": models }))
}

/// Returns the states of the steps, in their order.
fn states(ran: &Ran) -> Vec<String> {
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["schema"], "antiphon.doctor/1");
    let steps = document["steps"].as_array().unwrap();
    steps.iter().map(|step| step["status"].as_str().unwrap().to_owned()).collect()
}

fn lab(url: &str, more: &str) -> Lab {
    let lab = Lab::new().with("LAB_KEY", "sk-planted");
    let entry = format!(
        "[providers.lab]\nkind = \"compatible\"\nbase_url = \"{url}\"\nkey_env = \"LAB_KEY\"\n{more}"
    );
    lab.file("antiphon.toml", entry);
    lab
}

#[test]
fn a_provider_is_checked_step_by_step() {
    let server = Server::start(vec![listed(&["small", "large"]); 12]);
    let lab = lab(&server.url("/v1"), "model = \"small\"\n[prices.lab.small]\ninput = 0.5\noutput = 2\n");
    let ran = lab.run("doctor lab --json");
    ran.ends_with(0, &[]);
    assert_eq!(states(&ran), ["ok", "ok", "skipped", "ok", "ok", "ok", "ok"]);
    let text = lab.run("doctor lab");
    for expected in ["in LAB_KEY", "2 models, the key is accepted", "small is listed", "$0.5 in, $2 out"] {
        assert!(text.stdout.contains(expected), "{expected}: {}", text.stdout);
    }
    let unpriced = lab.run("doctor lab --model large");
    unpriced.ends_with(0, &[]);
    assert!(unpriced.stdout.contains("add [prices.lab.large]"), "{}", unpriced.stdout);
    let missing = lab.run("doctor lab --model smal");
    assert_eq!(missing.code, Some(3), "{missing:?}");
    assert!(missing.stdout.contains("did you mean small"), "{}", missing.stdout);
    assert!(!(ran.stdout + &text.stdout + &text.stderr).contains("planted"));
}

#[test]
fn each_failed_step_says_what_to_do() {
    let refused = lab(&refusing_url("/v1"), "").run("doctor lab");
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(
        refused.stdout.contains("!!  connection") && refused.stdout.contains("check that the server runs")
    );

    let reject = Reply::json(401, &json!({ "error": { "message": "no such key" } }));
    let server = Server::start(vec![reject; 9]);
    let rejected = lab(&server.url("/v1"), "").run("doctor lab");
    assert_eq!(rejected.code, Some(3), "{rejected:?}");
    assert!(rejected.stdout.contains("check the key in LAB_KEY"), "{}", rejected.stdout);

    let none = Lab::new().run("doctor openai");
    assert_eq!(none.code, Some(3), "{none:?}");
    assert!(
        none.stdout.contains("no key in OPENAI_API_KEY") && none.stdout.contains("export OPENAI_API_KEY=…")
    );
    Lab::new().run("doctor opanai").ends_with(2, &["unknown provider opanai; did you mean openai?"]);
}

#[test]
fn a_badly_copied_key_is_reported_by_its_variable() {
    let server = Server::start(vec![listed(&["m"]); 9]);
    for (key, expected) in [("sk-plan\nted", "a line break"), ("sk plan ted", "a space")] {
        let lab = Lab::new().with("LAB_KEY", key);
        lab.file(
            "antiphon.toml",
            format!(
                "[providers.lab]\nkind = \"compatible\"\nbase_url = \"{}\"\nkey_env = \"LAB_KEY\"\n",
                server.url("/v1")
            ),
        );
        let ran = lab.run("generate in --provider lab --model m --count 1");
        ran.ends_with(3, &["cannot use the key in LAB_KEY", expected]);
        assert!(!ran.stderr.contains("plan") && server.requests().is_empty(), "{}", ran.stderr);
        let doctor = lab.run("doctor lab");
        assert!(
            doctor.code == Some(3) && doctor.stdout.contains("cannot use the key in LAB_KEY"),
            "{doctor:?}"
        );
    }
}

#[test]
fn a_rejected_key_names_the_variable_that_it_was_read_from() {
    let reject = Reply::json(401, &json!({ "error": { "message": "no such key" } }));
    let server = Server::start(vec![reject; 9]);
    let lab = Lab::new().with("GOOGLE_API_KEY", "sk-planted");
    lab.file("antiphon.toml", format!("[providers.gemini]\nbase_url = \"{}\"\n", server.url("")));
    let ran = lab.run("generate in --provider gemini --model m --count 1");
    ran.ends_with(3, &["401: no such key (the key is that of GOOGLE_API_KEY)", "check the key"]);
    assert!(!ran.stderr.contains("GEMINI_API_KEY"), "{}", ran.stderr);
}

#[test]
fn the_example_of_an_address_is_not_shown_as_the_cause() {
    for line in
        ["generate in --provider compatible --base-url h:1 --model m", "generate in --provider compatible"]
    {
        let ran = Lab::new().run(line);
        ran.ends_with(2, &["base"]);
        let error = ran.stderr.lines().find(|line| line.contains("error: ")).unwrap();
        let (cause, _) = error.split_once(". ").unwrap();
        assert!(!cause.contains("localhost"), "{error}");
    }
}
