//! Values on their way from rows and answers to results: digits, keys, scalars, and lists of an exact length.

use std::fs;

use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use crate::map::{lab, map, report};
use crate::program::{Lab, json_file};

const LONG: &str = "12345678901234567890123456789";
const EXACT: &str = "0.1234567890123456789";

/// A lab whose server answers with these texts, and whose recipe has a prompt and these lines.
fn bench(recipe: &str, answers: &[&str]) -> (Lab, Server) {
    let server = Server::start(answers.iter().map(|text| Reply::chat(text, "stop")));
    let lab = lab(&server.url("/v1"), 1);
    lab.file("r.toml", format!("prompt = \"{{{{ name }}}}\"\n{recipe}"));
    (lab, server)
}

/// The result of the first row, as it is written.
fn first_result(lab: &Lab, name: &str) -> String {
    let text = fs::read_to_string(lab.path(name)).unwrap();
    let line = text.lines().next().unwrap();
    line.split_once("\"result\":").unwrap().1.trim_end_matches('}').to_owned()
}

#[test]
fn numbers_of_answers_keep_their_digits_to_the_last_file() {
    for (kind, number) in
        [("integer", LONG), ("integer", "-98765432109876543210"), ("number", EXACT), ("number", "1.50")]
    {
        let (lab, server) = bench(&format!("schema = {{ type = \"{kind}\" }}"), &[number]);
        lab.run(&map("--results out.jsonl")).ends_with(0, &[]);
        assert_eq!(first_result(&lab, "out.jsonl"), number);
        for name in ["out.csv", "out.md", "out.json", "again.jsonl"] {
            lab.run(&format!("runs export latest --results {name}")).ends_with(0, &[]);
            assert!(fs::read_to_string(lab.path(name)).unwrap().contains(number), "{name}: {number}");
        }
        // The same command takes the answer from the journal.
        lab.run(&map("--results journal.jsonl")).ends_with(0, &[]);
        assert_eq!((first_result(&lab, "journal.jsonl").as_str(), server.requests().len()), (number, 1));
        let compared = lab.run("runs diff latest latest --json");
        assert_eq!(report(&compared)["same"], 1, "{compared:?}");
    }
}

#[test]
fn two_numbers_that_differ_in_their_last_digit_differ() {
    let (lab, _server) = bench("schema = { type = \"integer\" }", &[LONG, "12345678901234567890123456788"]);
    lab.run(&map("")).ends_with(0, &[]);
    lab.file("r.toml", "prompt = \"{{ name }}?\"\nschema = { type = \"integer\" }");
    lab.run(&map("")).ends_with(0, &[]);
    let runs = lab.run("runs list --json");
    let runs = report(&runs);
    let id = |at: usize| runs["runs"][at]["run_id"].as_str().unwrap();
    let compared = lab.run(&format!("runs diff {} {} --json", id(0), id(1)));
    assert_eq!(report(&compared)["changed"], 1, "{compared:?}");
}

#[test]
fn numbers_of_rows_keep_their_digits_in_prompts_and_results() {
    for (name, text) in [
        ("in.jsonl", format!("{{\"n\": {LONG}, \"x\": {EXACT}, \"p\": 1.50}}\n")),
        ("in.json", format!("[\n{{\"n\": {LONG},\n\"x\": {EXACT}, \"p\": 1.50}}]")),
        ("in.csv", format!("n,x,p\n{LONG},{EXACT},1.50\n")),
    ] {
        let (lab, server) = bench("", &["yes"]);
        lab.file("r.toml", "prompt = \"{{ n }} {{ x }} {{ p }} {{ row|tojson }}\"");
        lab.file(name, text);
        let ran = lab.run(&map("--results out.jsonl").replace("towns.csv", name));
        ran.ends_with(0, &[]);
        let asked = server.requests()[0].body["messages"].to_string();
        assert!(asked.contains(&format!("{LONG} {EXACT} 1.50 {{")), "{asked}");
        for digits in [LONG, EXACT, "1.50"] {
            assert_eq!(asked.matches(digits).count(), 2, "{asked}");
            assert!(fs::read_to_string(lab.path("out.jsonl")).unwrap().contains(digits));
        }
        lab.run("runs export latest --results out.csv").ends_with(0, &[]);
        assert!(fs::read_to_string(lab.path("out.csv")).unwrap().contains(LONG));
    }
}

#[test]
fn rows_with_a_key_that_occurs_twice_fail_with_their_line() {
    for (name, text, line) in [
        ("in.jsonl", "{\"name\": \"a\"}\n\n{\"name\": \"b\", \"x\": {\"k\": 1, \"k\": 1}}\n", 3),
        ("in.json", "[{\"name\": \"a\"},\n\n\n{\"name\": \"b\", \"name\": \"c\"}]", 4),
    ] {
        let (lab, _server) = bench("", &["yes"]);
        lab.file(name, text);
        let ran = lab.run(&map("").replace("towns.csv", name));
        ran.ends_with(4, &["1 row failed: bad_row", "occurs twice"]);
        let failed = fs::read_to_string(lab.only_run().join("failed.jsonl")).unwrap();
        let failed: Value = serde_json::from_str(&failed).unwrap();
        assert_eq!(failed["_antiphon"]["line"], line, "{failed}");
    }
}

#[test]
fn an_answer_with_a_key_that_occurs_twice_is_asked_for_again() {
    let schema =
        "schema = { type = \"object\", required = [\"a\"], properties = { a = { type = \"integer\" } } }";
    let (lab, server) = bench(schema, &["{\"a\": 1, \"a\": 2}", "{\"a\": 2}"]);
    lab.run(&map("--results out.jsonl")).ends_with(0, &[]);
    assert_eq!(first_result(&lab, "out.jsonl"), "{\"a\":2");
    assert!(server.requests()[1].body.to_string().contains("twice"), "{:?}", server.requests()[1].body);
    let (lab, _server) = bench(schema, &["{\"a\": 1, \"a\": 1}"]);
    lab.run(&map("")).ends_with(5, &["1 row failed: schema_mismatch", "twice"]);
}

#[test]
fn scalars_are_results() {
    let cases = [
        ("type = \"integer\"", "42", "42"),
        ("type = \"integer\"", "```json\n42\n```", "42"),
        ("type = \"integer\"", "The answer is 42.", "42"),
        ("type = \"integer\"", "{\"value\": 42}", "42"),
        ("type = \"string\"", "\"Paris\"", "\"Paris\""),
        ("type = \"boolean\"", "false", "false"),
        ("type = \"null\"", "null", "null"),
        ("enum = [\"good\", \"bad\"]", "bad", "\"bad\""),
        ("enum = [\"good\", 3]", "3", "3"),
        ("const = \"x\"", "\"x\"", "\"x\""),
        ("type = \"array\", items = { type = \"boolean\" }", "[true, false]", "[true,false]"),
        ("anyOf = [{ type = \"integer\" }, { type = \"null\" }]", "null", "null"),
    ];
    for (schema, answer, expected) in cases {
        let (lab, _server) = bench(&format!("schema = {{ {schema} }}"), &[answer]);
        let ran = lab.run(&map("--results out.jsonl"));
        ran.ends_with(0, &[]);
        assert_eq!(first_result(&lab, "out.jsonl"), expected, "{schema}");
        lab.run("runs export latest --results out.csv").ends_with(0, &[]);
        let table = fs::read_to_string(lab.path("out.csv")).unwrap();
        let cell = serde_json::from_str::<String>(expected).unwrap_or_else(|_| expected.to_owned());
        let cell = cell.trim_matches(['[', ']']).replace(',', "\n").replace("null", "");
        assert_eq!(
            table,
            format!("\"index\",\"row.name\",\"row.number\",\"result\"\n\"0\",\"Town 0\",\"0\",\"{cell}\"\n")
        );
    }
    let (lab, _server) = bench("schema = { type = \"integer\" }", &["4 or 5"]);
    lab.run(&map("")).ends_with(5, &["1 row failed: schema_mismatch"]);
}

/// A recipe for a list of so many different names.
fn names(count: usize, more: &str) -> String {
    format!(
        "{more}\nschema = {{ type = \"object\", required = [\"names\"], properties = {{ names = {{ type = \"array\", minItems = {count}, maxItems = {count}, uniqueItems = true, items = {{ type = \"string\", minLength = 2 }} }} }} }}"
    )
}

#[test]
fn a_bad_or_equal_element_costs_itself_alone() {
    let answers = [
        "{\"names\": [\"Ada\", \"B\", \"Ada\", \"Cy\"]}",
        "{\"names\": [\"Di\", \"Ada\"]}",
        "{\"names\": [\"Ed\", \"Flo\"]}",
    ];
    let (lab, server) = bench(&names(4, "attempts = 3"), &answers);
    let ran = lab.run(&map("--results out.jsonl --json"));
    ran.ends_with(0, &[]);
    assert_eq!(first_result(&lab, "out.jsonl"), "{\"names\":[\"Ada\",\"Cy\",\"Di\",\"Ed\"]");
    assert_eq!(report(&ran)["elements_left_out"], 1);
    let asked: Vec<String> = server.requests().iter().map(|seen| seen.body["messages"].to_string()).collect();
    assert!(
        asked[1].contains(r#"[\"Ada\",\"Cy\"]"#) && asked[1].contains("only the 2 elements that are missing"),
        "{asked:?}"
    );
    assert!(
        asked[2].contains(r#"[\"Ada\",\"Cy\",\"Di\"]"#)
            && asked[2].contains("only the 1 element that is missing")
    );
    let sent = &server.requests()[2].body["response_format"]["json_schema"]["schema"]["properties"]["names"];
    assert_eq!((&sent["minItems"], &sent["maxItems"]), (&json!(1), &json!(1)));
}

#[test]
fn a_list_that_is_the_whole_answer_is_filled_up_in_the_same_way() {
    let schema = "schema = { type = \"array\", minItems = 3, maxItems = 3, items = { type = \"integer\" } }";
    let (lab, server) = bench(schema, &["[1, \"two\", 3]", "{\"value\": [4]}"]);
    lab.run(&map("--results out.jsonl")).ends_with(0, &[]);
    assert_eq!((first_result(&lab, "out.jsonl").as_str(), server.requests().len()), ("[1,3,4]", 2));
}

#[test]
fn a_list_that_stays_too_short_fails_with_the_number_that_there_is() {
    let (lab, server) =
        bench(&names(3, "attempts = 2"), &["{\"names\": [\"Ada\", \"Bo\"]}", "{\"names\": [\"Ada\"]}"]);
    lab.run(&map("")).ends_with(5, &["there are 2 valid and distinct elements, and 1 more are missing"]);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_list_that_is_too_long_is_cut_to_its_first_elements() {
    let (lab, server) = bench(&names(2, ""), &["{\"names\": [\"Ada\", \"Bo\", \"Cy\"]}"]);
    let ran = lab.run(&map("--results out.jsonl"));
    ran.ends_with(0, &[]);
    assert!(ran.stdout.contains("1 element left out of lists"), "{ran:?}");
    assert_eq!(
        (first_result(&lab, "out.jsonl").as_str(), server.requests().len()),
        ("{\"names\":[\"Ada\",\"Bo\"]", 1)
    );
    assert_eq!(json_file(&lab.only_run().join("run.json"))["elements_left_out"], 1);
}
