//! The configuration as users read and change it: `config`, and the warnings about variables.

use std::fs;

use serde_json::{Value, json};

use crate::program::{Lab, Ran};

const LAB: &str = "[providers.lab]\nkind = \"compatible\"\nbase_url = \"http://localhost:8080/v1\"\nkey_env = \"LAB_KEY\"\n\
                   headers = { x-team = \"planted-header\" }\ntimeout = 60\n[prices.lab.m]\ninput = 0.1\noutput = 0.4\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("antiphon.toml", format!("[defaults]\nprovider = \"lab\"\n{LAB}"));
    lab
}

fn settings(ran: &Ran) -> Vec<Value> {
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["schema"], "antiphon.config/1");
    document["settings"].as_array().unwrap().clone()
}

fn setting(ran: &Ran, key: &str) -> Value {
    settings(ran).into_iter().find(|setting| setting["key"] == key).unwrap()
}

/// Checks that a line of `config show` has a name, a value and an origin.
#[track_caller]
fn has_line(ran: &Ran, name: &str, value: &str, origin: &str) {
    let is_it = |line: &str| {
        line.starts_with(&format!("{name} ")) && line.contains(value) && line.trim_end().ends_with(origin)
    };
    assert!(ran.stdout.lines().any(is_it), "{name}, {value}, {origin}\n{}{}", ran.stdout, ran.stderr);
}

#[test]
fn each_setting_is_shown_with_its_origin() {
    let lab = lab()
        .with("ANTIPHON_WORKERS", "8")
        .with("LAB_KEY", "sk-planted")
        .with("OPENAI_API_KEY", "sk-planted");
    lab.file(
        ".config/antiphon/antiphon.toml",
        "\n[defaults]\nmax_cost = 2.5\n[providers.lab]\nmodel = \"small\"\n",
    );
    let user = lab.path(".config/antiphon/antiphon.toml").display().to_string();
    let shown = lab.run("config show --model large");
    shown.ends_with(0, &[]);
    has_line(&shown, "provider", "lab", "antiphon.toml:2");
    has_line(&shown, "model", "large", "--model");
    has_line(&shown, "model", "small", &format!("{user}:5"));
    has_line(&shown, "max_concurrency", "8", "environment variable ANTIPHON_WORKERS");
    has_line(&shown, "max_cost", "2.5", &format!("{user}:3"));
    has_line(&shown, "max_retries", "5", "default");
    has_line(&shown, "base_url", "http://localhost:8080/v1", "antiphon.toml:5");
    has_line(&shown, "key_env", "LAB_KEY (the key is in LAB_KEY)", "antiphon.toml:6");
    has_line(&shown, "headers.x-team", "not shown", "antiphon.toml:7");
    has_line(&shown, "timeout", "60", "antiphon.toml:8");
    has_line(&shown, "call_timeout", "3 x timeout", "default");
    has_line(&shown, "schema", "the strictest", "default");
    has_line(&shown, "input", "0.1", "antiphon.toml:10");
    has_line(&shown, "route", "chat", "default");
    has_line(&shown, "key_env", "OPENAI_API_KEY", "environment variable OPENAI_API_KEY");
    let column = |name: &str, origin: &str| {
        let mut lines = shown.stdout.lines().filter(|line| line.starts_with(name));
        lines.find_map(|line| line.strip_suffix(origin)).map(|line| line.chars().count())
    };
    let origins = ["antiphon.toml:6", "environment variable OPENAI_API_KEY"];
    assert_eq!(column("key_env", origins[0]), column("key_env", origins[1]), "{}", shown.stdout);
    assert_eq!(column("key_env", origins[0]), column("timeout", "antiphon.toml:8"), "{}", shown.stdout);
    assert!(shown.stdout.contains("not set up: anthropic, gemini"), "{}", shown.stdout);
    assert!(!(shown.stdout + &shown.stderr).contains("planted"));
}

#[test]
fn the_document_has_all_settings_of_all_providers() {
    let ran = lab().run("config show --json");
    ran.ends_with(0, &[]);
    let expected = json!({
        "key": "providers.lab.timeout", "value": 60.0, "note": null,
        "origin": { "from": "file", "name": "antiphon.toml", "line": 8 },
    });
    assert_eq!(setting(&ran, "providers.lab.timeout"), expected);
    assert_eq!(setting(&ran, "providers.anthropic.timeout")["value"], 120.0);
    assert_eq!(setting(&ran, "providers.openrouter.base_url")["origin"]["from"], "default");
    assert_eq!(setting(&ran, "output.dir")["value"], "antiphon-out");
    assert_eq!(setting(&ran, "prices.lab.m.output")["origin"]["line"], 11);
    assert!(!ran.stdout.contains("planted"));
}

#[test]
fn an_address_with_a_secret_is_hidden() {
    let lab = Lab::new().with("OPENAI_BASE_URL", "http://u:planted@h/v1");
    let shown = lab.run("config show");
    has_line(&shown, "base_url", "not shown", "environment variable OPENAI_BASE_URL");
    assert!(!(shown.stdout + &shown.stderr + &lab.run("config show --json").stdout).contains("planted"));
}

#[test]
fn a_configuration_is_rejected_as_a_run_rejects_it() {
    for (text, expected) in [
        (
            "[providers.openai]\nroute = \"respnses\"\n",
            "antiphon.toml:2: the kind openai has no such route; did you mean responses?",
        ),
        (
            "[providers.lab]\nkind = \"compatible\"\nschema = \"jsn_object\"\n",
            "antiphon.toml:3: unknown mode in schema; did you mean json_object?",
        ),
        (
            "[providers.lab]\nkind = \"compatable\"\n",
            "antiphon.toml:2: unknown kind; did you mean compatible?",
        ),
        (
            "[prices.opnai.m]\ninput = 1\noutput = 2\n",
            "antiphon.toml:1: prices of an unknown provider opnai; did you mean openai?",
        ),
        ("[defaults]\nmodle = \"m\"\n", "antiphon.toml:2: unknown key modle; did you mean model?"),
        (
            "[defaults]\nprovider = \"olama\"\n",
            "antiphon.toml:2: unknown provider olama; did you mean ollama?",
        ),
    ] {
        let lab = Lab::new();
        lab.file("antiphon.toml", text);
        for line in ["config show", "generate in --offline", "doctor", "config get defaults.model"] {
            // A flag replaces the default provider.
            if line.ends_with("--offline") && text.contains("provider = ") {
                continue;
            }
            lab.run(line).ends_with(3, &[expected]);
        }
        lab.run("config show --json").ends_with(3, &[expected]);
    }
}

#[test]
fn settings_are_got_by_name() {
    let lab = lab();
    assert_eq!(lab.run("config get providers.lab.timeout").stdout, "60\n");
    assert_eq!(lab.run("config get retry.max_retries").stdout, "5\n");
    let table = lab.run("config get providers.lab").stdout;
    assert!(table.contains("providers.lab.base_url http://localhost:8080/v1\n"), "{table}");
    lab.run("config get defaults.modle")
        .ends_with(2, &["cannot get defaults.modle", "did you mean defaults.model?"]);
    lab.run("config get a..b").ends_with(2, &["write it as in antiphon.toml"]);
    assert_eq!(settings(&lab.run("config get prices.lab.m --json")).len(), 2);
}

#[test]
fn settings_are_set_in_place() {
    let lab = lab();
    let before = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    let ran = lab.run("config set providers.lab.timeout 90");
    ran.ends_with(0, &["set providers.lab.timeout"]);
    assert_eq!(ran.stdout, "antiphon.toml\n");
    let after = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    assert_eq!(after, before.replace("timeout = 60", "timeout = 90"));
    lab.run("config set defaults.modle planted").ends_with(3, &["antiphon.toml", "did you mean model?"]);
    lab.run("config set providers.lab.key_env sk-planted").ends_with(3, &["a key does not belong here"]);
    assert_eq!(
        fs::read_to_string(lab.path("antiphon.toml")).unwrap(),
        after,
        "a wrong value changes nothing"
    );
    lab.run("config set --user defaults.max_cost 3").ends_with(0, &[]);
    assert_eq!(lab.run("config get defaults.max_cost").stdout, "3\n");
    let user = fs::read_to_string(lab.path(".config/antiphon/antiphon.toml")).unwrap();
    assert_eq!(user, "[defaults]\nmax_cost = 3\n");
}

#[test]
fn a_wrong_setting_can_be_corrected_by_setting_it() {
    let lab = Lab::new();
    lab.file("antiphon.toml", "[providers.openai]\nroute = \"wrong\" # mine\n");
    lab.run("config show").ends_with(3, &[]);
    lab.run("config set providers.openai.route responses").ends_with(0, &[]);
    let text = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
    assert_eq!(text, "[providers.openai]\nroute = \"responses\" # mine\n");
    lab.run("config show").ends_with(0, &[]);
}

#[test]
fn a_new_file_has_all_settings_as_comments() {
    let lab = Lab::new();
    let ran = lab.run("config init");
    ran.ends_with(0, &["config set defaults.provider"]);
    assert_eq!(ran.stdout, "antiphon.toml\n");
    lab.run("config show").ends_with(0, &[]);
    lab.file("antiphon.toml", "[defaults]\n# mine\n");
    lab.run("config init").ends_with(2, &["cannot create antiphon.toml: the file exists", "--overwrite"]);
    assert!(fs::read_to_string(lab.path("antiphon.toml")).unwrap().contains("# mine"));
    lab.run("config init --overwrite").ends_with(0, &[]);
    assert!(!fs::read_to_string(lab.path("antiphon.toml")).unwrap().contains("# mine"));
    lab.run("config init --user").ends_with(0, &[]);
    assert!(lab.path(".config/antiphon/antiphon.toml").exists());
}

#[test]
fn the_files_are_listed_in_their_order() {
    let lab = lab();
    let user = lab.path(".config/antiphon/antiphon.toml").display().to_string();
    assert_eq!(lab.run("config path").stdout, format!("exists   antiphon.toml\nmissing  {user}\n"));
    let document: Value = serde_json::from_str(&lab.run("config path --json").stdout).unwrap();
    let files = json!([
        { "path": "antiphon.toml", "scope": "project", "exists": true },
        { "path": user, "scope": "user", "exists": false },
    ]);
    assert_eq!(document, json!({ "schema": "antiphon.config_files/1", "files": files }));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let lab = Lab::new();
    fs::create_dir(lab.path("antiphon.toml")).unwrap();
    lab.run("config show").ends_with(3, &["cannot read antiphon.toml: not a regular file"]);
    let lab = Lab::new();
    lab.file("antiphon.toml", [b'a', 0, 159]);
    lab.run("generate in --offline").ends_with(3, &["cannot read antiphon.toml"]);
    // A container may have no home at all.
    let ran = Lab::new().with("HOME", "/dev/null").run("config show");
    ran.ends_with(0, &[]);
}

#[test]
fn misspelt_variables_are_named() {
    let lab = Lab::new().with("ANTIPHON_WORKER", "planted");
    for line in ["config show", "generate in --offline --count 1", "local status"] {
        let ran = lab.run(line);
        let expected =
            "warning: the environment variable ANTIPHON_WORKER has no effect; did you mean ANTIPHON_WORKERS?";
        ran.ends_with(0, &[expected]);
        assert!(!ran.stderr.contains("planted"));
        assert!(!lab.run(&format!("{line} --quiet")).stderr.contains("ANTIPHON_WORKER"));
    }
    let guide = include_str!("../../../../docs/guide/providers.md");
    let help = lab.run("map --help").stdout;
    for variable in antiphon::runtime::VARIABLES {
        assert!(guide.contains(&format!("| `{}` |", variable.name)), "{}", variable.name);
        assert!(help.contains(variable.name), "{}", variable.name);
    }
}

#[test]
fn a_table_is_not_replaced_by_a_value() {
    let lab = Lab::new();
    let text = "[defaults]\nmax_cost = 5 # of the team\n";
    lab.file("antiphon.toml", text);
    lab.run("config set defaults {}").ends_with(3, &["cannot set defaults in antiphon.toml: it is a table"]);
    assert_eq!(fs::read_to_string(lab.path("antiphon.toml")).unwrap(), text);
}
