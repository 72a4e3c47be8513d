//! Schemas as generators print them, in the form in which each vendor gets them.

use antiphon_llm::{CallContext, Message, Output, Prompt, ProviderExt, Schema};
use antiphon_tests::conformance::Target;
use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

/// Pydantic 2: definitions, a nullable default, a discriminated union, a constant.
fn pydantic() -> Value {
    let pet = |kind: &str| {
        json!({
            "properties": { "kind": { "const": kind, "title": "Kind", "type": "string" }, "age": { "exclusiveMinimum": 0, "type": "integer" } },
            "required": ["kind", "age"], "title": kind, "type": "object", "additionalProperties": false,
        })
    };
    json!({
        "$defs": { "Cat": pet("cat"), "Dog": pet("dog"), "Size": { "enum": ["s", "l"], "title": "Size", "type": "string" } },
        "properties": {
            "pet": {
                "discriminator": { "mapping": { "cat": "#/$defs/Cat", "dog": "#/$defs/Dog" }, "propertyName": "kind" },
                "oneOf": [{ "$ref": "#/$defs/Cat" }, { "$ref": "#/$defs/Dog" }], "title": "Pet",
            },
            "size": { "$ref": "#/$defs/Size", "description": "As sold." },
            "first": { "allOf": [{ "$ref": "#/$defs/Size" }], "default": "s" },
            "note": { "anyOf": [{ "type": "string" }, { "type": "null" }], "default": null, "title": "Note" },
        },
        "required": ["pet", "size"], "title": "Order", "type": "object",
    })
}

/// zod-to-json-schema with a name: a root that is a reference.
fn zod_3() -> Value {
    let town = json!({
        "type": "object", "additionalProperties": false, "required": ["name", "size"],
        "properties": { "name": { "type": "string" }, "size": { "type": "number", "exclusiveMinimum": 0 } },
    });
    json!({ "$ref": "#/definitions/Town", "definitions": { "Town": town }, "$schema": "http://json-schema.org/draft-07/schema#" })
}

/// zod 4: draft 2020-12, the bounds of integers, and recursion.
fn zod_4() -> Value {
    let node = json!({
        "type": "object", "additionalProperties": false, "required": ["n", "next"],
        "properties": {
            "n": { "type": "integer", "minimum": -9_007_199_254_740_991_i64, "maximum": 9_007_199_254_740_991_i64 },
            "next": { "anyOf": [{ "$ref": "#/$defs/__schema0" }, { "type": "null" }] },
        },
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
        "properties": { "list": { "$ref": "#/$defs/__schema0" } }, "required": ["list"], "$defs": { "__schema0": node },
    })
}

/// Sends a schema, and returns the body of the request and the places that are not enforced.
async fn sent(format: &str, schema: Value) -> (Value, Vec<String>) {
    let body = match format {
        "anthropic" => include_str!("../fixtures/anthropic.sse"),
        "gemini" => include_str!("../fixtures/gemini.sse"),
        _ => include_str!("../fixtures/openai-chat.sse"),
    };
    let server = Server::start([Reply::new(200, "text/event-stream", body)]);
    let target = Target::new(format, &server.url(""), "the-model");
    let schema = Schema::new("order", schema).unwrap();
    let prompt = Prompt::new("the-model", [Message::user("?")]).output(Output::Json(schema));
    let answer = target.provider().complete(&prompt, &CallContext::default()).await.unwrap();
    (server.requests()[0].body.clone(), answer.head.weakened)
}

/// Returns whether a value has a key anywhere.
fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(name, value)| name == key || has_key(value, key)),
        Value::Array(values) => values.iter().any(|value| has_key(value, key)),
        _ => false,
    }
}

#[tokio::test]
async fn openai_gets_strict_schemas() {
    for (schema, weakened) in
        [(pydantic(), vec!["/properties/pet/oneOf"]), (zod_3(), vec![]), (zod_4(), vec![])]
    {
        let (body, found) = sent("chat", schema).await;
        let sent = &body["response_format"]["json_schema"];
        assert_eq!(
            (&sent["strict"], found),
            (&json!(true), weakened.into_iter().map(str::to_owned).collect()),
            "{sent}"
        );
        let schema = &sent["schema"];
        assert_eq!(schema["type"], "object", "{schema}");
        assert!(
            !has_key(schema, "allOf") && !has_key(schema, "default") && !has_key(schema, "discriminator"),
            "{schema}"
        );
        let properties = schema["properties"].as_object().unwrap();
        assert_eq!(schema["required"].as_array().unwrap().len(), properties.len());
        // A reference has nothing beside it.
        let beside = properties.values().filter(|schema| schema.get("$ref").is_some());
        assert!(beside.into_iter().all(|schema| schema.as_object().unwrap().len() == 1), "{schema}");
    }
    let (body, _) = sent("chat", pydantic()).await;
    let size = &body["response_format"]["json_schema"]["schema"]["properties"]["size"];
    assert_eq!((&size["enum"], &size["description"]), (&json!(["s", "l"]), &json!("As sold.")));
}

#[tokio::test]
async fn anthropic_gets_no_references_and_recursion_is_named() {
    for schema in [pydantic(), zod_3()] {
        let (body, weakened) = sent("anthropic", schema).await;
        let schema = &body["output_config"]["format"]["schema"];
        assert_eq!(schema["type"], "object", "{body}");
        assert!(
            !has_key(schema, "$ref") && !has_key(schema, "$defs") && !has_key(schema, "definitions"),
            "{schema}"
        );
        assert!(!weakened.contains(&String::new()), "{weakened:?}");
    }
    let (body, weakened) = sent("anthropic", zod_4()).await;
    assert_eq!((body.get("output_config"), weakened), (None, vec![String::new()]));
}

#[tokio::test]
async fn gemini_gets_copies_and_keeps_recursion() {
    for schema in [pydantic(), zod_3()] {
        let (body, _) = sent("gemini", schema).await;
        let schema = &body["generationConfig"]["responseJsonSchema"];
        assert_eq!(schema["type"], "object", "{body}");
        assert!(!has_key(schema, "$ref") && !has_key(schema, "definitions"), "{schema}");
    }
    let (body, _) = sent("gemini", zod_4()).await;
    let schema = &body["generationConfig"]["responseJsonSchema"];
    assert!(has_key(schema, "$ref") && has_key(schema, "$defs"), "{schema}");
}

#[tokio::test]
async fn other_servers_get_the_schema_as_it_is() {
    let (body, weakened) = sent("compatible", zod_3()).await;
    assert_eq!(body["response_format"]["json_schema"]["schema"], zod_3());
    assert_eq!(weakened, [""; 0]);
}
