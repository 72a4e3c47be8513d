//! Schemas of recipes: in a file, weakened by a vendor, and ignored by a server.

use std::fs;

use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use crate::map::report;
use crate::program::{Lab, Ran, json_file};

/// A schema as Pydantic prints it.
fn pydantic() -> Value {
    json!({
        "$defs": {
            "Kind": { "enum": ["port", "inland"], "title": "Kind", "type": "string" },
            "Place": {
                "properties": { "country": { "title": "Country", "type": "string", "maxLength": 40 } },
                "required": ["country"], "title": "Place", "type": "object",
            },
        },
        "properties": {
            "name": { "title": "Name", "type": "string" },
            "kind": { "$ref": "#/$defs/Kind" },
            "place": { "allOf": [{ "$ref": "#/$defs/Place" }], "description": "Where it is." },
            "note": { "anyOf": [{ "type": "string" }, { "type": "null" }], "default": null, "title": "Note" },
        },
        "required": ["name", "kind", "place"],
        "title": "Town", "type": "object",
    })
}

const FITS: &str = r#"{"name":"Oslo","kind":"port","place":{"country":"Norway"},"note":null}"#;

fn lab(server: &Server, entry: &str) -> Lab {
    let lab = Lab::new().with("OPENAI_API_KEY", "k");
    lab.file("rows.jsonl", "{\"n\": 1}\n{\"n\": 2}\n");
    lab.file("recipes/town.json", pydantic().to_string());
    lab.file(
        "recipes/r.toml",
        "prompt = \"Describe town {{ n }}\"\nschema = \"town.json\" # of the service\n\n[parameters]\nmax_tokens = 64\n",
    );
    lab.file(
        "antiphon.toml",
        format!("[providers.lab]\nkind = \"compatible\"\nbase_url = \"{}\"\n{entry}", server.url("/v1")),
    );
    lab
}

fn map(lab: &Lab, more: &str) -> Ran {
    lab.run(&format!(
        "map rows.jsonl -r recipes/r.toml --provider lab --model m --max-concurrency 1 --progress none --json {more}"
    ))
}

#[test]
fn a_schema_in_a_file_is_sent_checked_and_stored_with_the_run() {
    let server = Server::start([Reply::chat(FITS, "stop")]);
    let lab = lab(&server, "");
    let ran = map(&lab, "--max-rows 1");
    ran.ends_with(0, &[]);
    let format = &server.requests()[0].body["response_format"]["json_schema"];
    assert_eq!(format["schema"]["properties"]["name"]["type"], "string", "{format}");
    let first = report(&ran);
    // The content is a part of the fingerprint.
    let mut other = pydantic();
    other["properties"]["name"]["description"] = json!("In English.");
    lab.file("recipes/town.json", other.to_string());
    let second = report(&map(&lab, "--max-rows 1"));
    assert_ne!(first["fingerprint"], second["fingerprint"]);
    // A resumed run needs no file.
    fs::remove_file(lab.path("recipes/town.json")).unwrap();
    fs::remove_file(lab.path("recipes/r.toml")).unwrap();
    let id = first["run_id"].as_str().unwrap();
    lab.run(&format!("runs resume {id}")).ends_with(0, &["already finished"]);
}

#[test]
fn mistakes_in_a_schema_file_are_named_with_their_place() {
    let server = Server::start([Reply::chat(FITS, "stop")]);
    let lab = lab(&server, "");
    let error = |content: &str, expected: &[&str]| {
        lab.file("recipes/town.json", content);
        map(&lab, "").ends_with(2, expected);
    };
    error("{\"type\": \"object\",\n  \"properties\": }", &["recipes/town.json:2:"]);
    error("{\"properties\": {\"a\": {\"type\": \"strin\"}}}", &["recipes/town.json", "/properties/a/type"]);
    error("[1]", &["recipes/town.json"]);
    fs::remove_file(lab.path("recipes/town.json")).unwrap();
    map(&lab, "").ends_with(2, &["recipes/r.toml:2", "town.json"]);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn constraints_that_a_vendor_does_not_enforce_are_shown_by_the_plan_and_kept_in_the_report() {
    let server = Server::start([Reply::chat(FITS, "stop")]);
    let lab = lab(&server, "").with("OPENAI_BASE_URL", &server.url("/v1"));
    let line = "map rows.jsonl -r recipes/r.toml --provider openai --model gpt-4o --progress none --yes";
    let plan = lab.run(&format!("{line} --dry-run"));
    assert!(plan.stdout.contains("not enforced") && plan.stdout.contains("maxLength"), "{plan:?}");
    let plan = report(&lab.run(&format!("{line} --dry-run --json")));
    assert_eq!(plan["weakened"].as_array().map(Vec::len), Some(1), "{plan}");
    let ran = lab.run(&format!("{line} --json"));
    ran.ends_with(0, &[]);
    let sent = &server.requests()[0].body["response_format"]["json_schema"];
    assert_eq!(sent["strict"], true, "{sent}");
    assert_eq!(report(&ran)["weakened"], plan["weakened"]);
    let kept = json_file(&lab.only_run().join("run.json"));
    assert_eq!(kept["weakened"], plan["weakened"]);
}

#[test]
fn a_route_that_is_known_to_ignore_schemas_is_named_at_the_first_try() {
    let server = Server::start([Reply::chat(FITS, "stop")]);
    let lab = lab(&server, "schema = \"words\"\n");
    let plan = report(&map(&lab, "--dry-run"));
    assert_eq!(plan["weakened"], json!([""]));
    let ran = map(&lab, "");
    ran.ends_with(0, &["does not enforce the schema"]);
    assert_eq!(ran.stderr.matches("does not enforce the schema").count(), 1, "{}", ran.stderr);
    let warnings = &report(&ran)["warnings"];
    assert_eq!((warnings[0]["rows"].as_u64(), warnings.as_array().unwrap().len()), (Some(2), 1));
}

#[test]
fn a_schema_that_an_answer_shows_to_be_ignored_goes_into_the_prompt_from_then_on() {
    let ignored = ["Oslo is a lovely town by the sea.", "{\"answer\": {\"town\": \"Oslo\"}}"];
    for answer in ignored {
        let server = Server::start([Reply::chat(answer, "stop"), Reply::chat(FITS, "stop")]);
        let lab = lab(&server, "");
        let ran = map(&lab, "");
        ran.ends_with(0, &["ignores the schema"]);
        assert_eq!(ran.stderr.matches("ignores the schema").count(), 1, "{}", ran.stderr);
        let bodies: Vec<Value> = server.requests().into_iter().map(|asked| asked.body).collect();
        assert_eq!(bodies[0]["response_format"]["type"], "json_schema");
        // Remembered for the other rows, too.
        for body in &bodies[1..] {
            assert_eq!(body["response_format"]["type"], "json_object", "{body}");
            assert!(body["messages"][0]["content"].as_str().unwrap().contains("JSON schema"), "{body}");
        }
        let report = report(&ran);
        assert_eq!(report["accepted"], 2);
        assert!(report["warnings"].to_string().contains("ignores the schema"), "{report}");
    }
}

#[test]
fn a_mode_that_the_server_rejects_is_said_with_what_happens_now() {
    let rejected = json!({ "error": { "message": "This response_format type is unavailable now", "type": "invalid_request_error" } });
    let server = Server::start([Reply::json(400, &rejected), Reply::chat(FITS, "stop")]);
    let lab = lab(&server, "");
    let ran = map(&lab, "");
    ran.ends_with(0, &["does not enforce the schema", "unavailable now"]);
    assert_eq!(report(&ran)["weakened"], json!([""]));
}

#[test]
fn one_value_that_breaks_a_constraint_is_no_ignored_schema() {
    let long = FITS.replace("Norway", &"N".repeat(50));
    let server = Server::start([Reply::chat(&long, "stop"), Reply::chat(FITS, "stop")]);
    let lab = lab(&server, "");
    let ran = map(&lab, "");
    ran.ends_with(0, &[]);
    assert_eq!(report(&ran)["warnings"], json!([]));
    assert!(server.requests().iter().all(|asked| asked.body["response_format"]["type"] == "json_schema"));
}
