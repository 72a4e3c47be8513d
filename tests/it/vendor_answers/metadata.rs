//! Odd metadata never loses an answer that was paid for.

use antiphon_llm::{Completion, FinishReason, Output, Usage};
use antiphon_tests::Reply;
use antiphon_tests::conformance::FORMATS;
use serde_json::{Value, json};

use super::ask;
use super::shapes::{Said, natural, replies, stream};

/// JSON of every type, in place of an id, a name, a count or an object.
fn oddities() -> [Value; 11] {
    [
        json!(null),
        json!(true),
        json!(-35),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!("10"),
        json!([1, [2]]),
        json!({ "a": { "b": [] } }),
        json!([]),
        json!({}),
    ]
}

/// Returns the last event of an answer of one event, and the answer as a whole, with `fields` in the place where the format has
/// its metadata.
fn with_metadata(format: &str, fields: &Value) -> Vec<Reply> {
    let put = |mut body: Value, at: &str| {
        let place = body.pointer_mut(at).and_then(Value::as_object_mut).unwrap();
        place.extend(fields.as_object().unwrap().clone());
        body
    };
    let text = |kind: &str| json!({ "type": kind, "text": "Blue." });
    match format {
        "responses" => {
            let output = json!([{ "type": "message", "content": [text("output_text")] }]);
            let whole = put(json!({ "object": "response", "status": "completed", "output": output }), "");
            let event = json!({ "type": "response.completed", "response": whole });
            vec![Reply::json(200, &whole), stream(format, &[event])]
        }
        "anthropic" => {
            let whole = json!({ "type": "message", "content": [text("text")], "stop_reason": "end_turn" });
            vec![Reply::json(200, &put(whole, ""))]
        }
        "gemini" => {
            let candidate = json!({ "content": { "parts": [{ "text": "Blue." }] }, "finishReason": "STOP" });
            let whole = put(put(json!({ "candidates": [candidate] }), ""), "/candidates/0");
            vec![Reply::json(200, &whole), stream(format, &[whole])]
        }
        "ollama" => {
            let line = json!({ "message": { "content": "Blue." }, "done": true, "done_reason": "stop" });
            let line = put(put(line, ""), "/message");
            vec![Reply::json(200, &line), stream(format, &[line])]
        }
        "ollama-generate" => {
            let line = put(json!({ "response": "Blue.", "done": true, "done_reason": "stop" }), "");
            vec![Reply::json(200, &line), stream(format, &[line])]
        }
        "llamacpp-native" => {
            let event = put(json!({ "content": "Blue.", "stop": true, "stop_type": "eos" }), "");
            vec![Reply::json(200, &event), stream(format, &[event])]
        }
        _ => {
            let choice = json!({ "message": { "content": "Blue." }, "finish_reason": "stop" });
            let whole = put(put(json!({ "choices": [choice] }), ""), "/choices/0");
            let delta = json!({ "delta": { "content": "Blue." }, "finish_reason": "stop" });
            let chunk = put(put(json!({ "choices": [delta] }), ""), "/choices/0");
            vec![
                Reply::json(200, &put(whole, "/choices/0/message")),
                stream(format, &[put(chunk, "/choices/0/delta")]),
            ]
        }
    }
}

async fn kept(format: &str, fields: &Value) -> Vec<Completion> {
    let mut all = Vec::new();
    for reply in with_metadata(format, fields) {
        let done = ask(format, reply, &Output::Text).await;
        let done = done.map_err(|err| format!("{format}, {fields}: {err}")).unwrap();
        assert_eq!((done.text.as_str(), &done.finish), ("Blue.", &FinishReason::Stop), "{format}, {fields}");
        all.push(done);
    }
    all
}

#[tokio::test]
async fn metadata_of_any_type_keeps_the_answer() {
    for format in FORMATS {
        for odd in oddities() {
            let mut fields = json!({});
            for key in [
                "id",
                "created",
                "created_at",
                "model",
                "modelVersion",
                "responseId",
                "system_fingerprint",
                "service_tier",
                "usage",
                "usageMetadata",
                "usage_metadata",
                "timings",
                "x_groq",
                "logprobs",
                "stop_reason_detail",
                "index",
                "role",
                "prompt_eval_count",
                "eval_count",
                "tokens_evaluated",
                "tokens_predicted",
                "total_duration",
                "context",
                "safetyRatings",
                "citationMetadata",
                "finishMessage",
                "content_filter_results",
                "prompt_filter_results",
                "annotations",
                "audio",
                "metadata",
                "stop_details",
                "incomplete_details",
                "promptFeedback",
                "weird",
            ] {
                fields[key] = odd.clone();
            }
            // An index that is a number above 0 names another alternative.
            fields["index"] = if odd.is_u64() || odd.is_i64() || odd == "10" { json!(0) } else { odd };
            kept(format, &fields).await;
        }
    }
}

#[tokio::test]
async fn a_count_that_cannot_be_read_is_unknown() {
    for format in FORMATS {
        for (value, expected) in [
            (json!(5), Some(5)),
            (json!(5.0), Some(5)),
            (json!(-35), None),
            (json!(1.5), None),
            (json!("10"), None),
            (json!([1]), None),
            (json!(null), None),
            (json!(u64::MAX), None),
        ] {
            let usage = json!({ "input_tokens": 9, "output_tokens": value });
            let fields = match format {
                "responses" | "anthropic" => json!({ "usage": usage }),
                "gemini" => {
                    json!({ "usageMetadata": { "promptTokenCount": 9, "candidatesTokenCount": value } })
                }
                "ollama" | "ollama-generate" => json!({ "prompt_eval_count": 9, "eval_count": value }),
                "llamacpp-native" => json!({ "tokens_evaluated": 9, "tokens_predicted": value }),
                _ => {
                    json!({ "usage": { "prompt_tokens": 9, "completion_tokens": value, "total_tokens": 14 } })
                }
            };
            for done in kept(format, &fields).await {
                assert_eq!((done.usage.input, done.usage.output), (Some(9), expected), "{format}, {value}");
            }
        }
    }
}

#[tokio::test]
async fn token_counts_are_found_wherever_a_server_puts_them() {
    let usage = json!({ "prompt_tokens": 23, "completion_tokens": 19, "total_tokens": 42 });
    let gemini = json!({ "prompt_token_count": 23, "candidates_token_count": 19 });
    let timings = json!({ "prompt_n": 20, "cache_n": 3, "predicted_n": 19, "predicted_ms": 1.5 });
    let end = json!({ "choices": [{ "delta": { "content": "Blue." }, "finish_reason": "stop" }] });
    for last in [
        json!({ "choices": [], "usage": usage }),
        json!({ "choices": null, "usage": usage }),
        json!({ "usage": usage }),
        json!({ "choices": [{ "delta": {}, "finish_reason": null }], "x_groq": { "id": "r1", "usage": usage } }),
        json!({ "choices": [{ "delta": null, "usage": usage }] }),
        json!({ "choices": [], "usage_metadata": gemini }),
        json!({ "choices": [], "timings": timings }),
        json!({ "choices": [{ "index": 0, "delta": { "content": null } }], "usage": usage }),
    ] {
        let done = ask("compatible", stream("compatible", &[end.clone(), last.clone()]), &Output::Text)
            .await
            .unwrap();
        assert_eq!((done.usage.input, done.usage.output), (Some(23), Some(19)), "{last}");
        // Later chunks without counts change nothing.
        let later = json!({ "choices": [], "usage": null });
        let events = [end.clone(), last.clone(), later, json!({ "choices": [], "usage": {} })];
        let done = ask("compatible", stream("compatible", &events), &Output::Text).await.unwrap();
        assert_eq!(done.usage.output, Some(19), "{last}");
    }
}

#[tokio::test]
async fn chunks_of_any_shape_are_tolerated() {
    let text = |text: Value| json!({ "choices": [{ "delta": { "content": text } }] });
    let events = [
        json!({ "choices": null }),
        json!({}),
        json!({ "choices": [null] }),
        json!({ "choices": [{ "delta": null }] }),
        json!({ "choices": [{}] }),
        json!({ "object": "something.new", "payload": [1] }),
        text(json!(null)),
        text(json!("Bl")),
        text(
            json!([{ "type": "text", "text": "u" }, { "type": "image_url", "image_url": {} }, { "type": "text", "text": "e" }]),
        ),
        text(json!([])),
        json!({ "choices": [{ "delta": { "content": "." }, "finish_reason": "stop", "logprobs": [1] }] }),
        json!({ "choices": [{ "delta": { "content": "" }, "finish_reason": "stop" }], "error": [] }),
    ];
    let done = ask("compatible", stream("compatible", &events), &Output::Text).await.unwrap();
    assert_eq!(done.text, "Blue.");
    let raw = [
        "",
        "null",
        "[]",
        "7",
        "\"ping\"",
        r#"{"choices":[{"delta":{"content":"Blue."},"finish_reason":"stop"}]}"#,
        // What cannot be read after the end says nothing about the answer.
        "{\"usage\":",
        "garbage",
        "[DONE]",
    ];
    assert_eq!(ask("compatible", Reply::events(raw), &Output::Text).await.unwrap().text, "Blue.");
}

#[tokio::test]
async fn unknown_events_are_ignored() {
    let unknown = [
        json!({ "type": "something.new", "index": "x", "delta": 5 }),
        json!({ "type": 7 }),
        json!({ "type": ["ping"], "usage": [] }),
        json!([1, 2]),
        json!(null),
    ];
    for format in ["anthropic", "responses"] {
        let mut events = unknown.to_vec();
        if format == "anthropic" {
            events.extend([
                json!({ "type": "content_block_delta", "index": "0", "delta": { "type": "text_delta", "text": "Blue." } }),
                json!({ "type": "content_block_delta", "delta": { "type": 5 } }),
                json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": "none" }),
                json!({ "type": "message_stop" }),
            ]);
        } else {
            events.extend([
                json!({ "type": "response.output_text.delta", "output_index": "one", "delta": "Blue.", "logprobs": 5 }),
                json!({ "type": "response.completed", "response": { "status": "completed", "usage": [], "output": {} } }),
            ]);
        }
        let done = ask(format, stream(format, &events), &Output::Text).await;
        assert_eq!(done.unwrap_or_else(|err| panic!("{format}: {err}")).text, "Blue.", "{format}");
    }
}

#[tokio::test]
async fn an_end_that_is_no_text_is_no_natural_one() {
    for reason in [json!(7), json!({ "type": "stop" }), json!(["stop"]), json!(true)] {
        let whole = json!({ "choices": [{ "message": { "content": "The" }, "finish_reason": reason }] });
        let err = ask("chat", Reply::json(200, &whole), &Output::Text).await.unwrap_err();
        assert!(err.to_string().contains(&reason.to_string()), "{reason}: {err}");
    }
}

#[tokio::test]
async fn gateways_may_answer_with_another_status_of_success() {
    for format in FORMATS {
        for status in [200, 201, 202, 203, 206] {
            let said = Said::text("Blue.").ends(natural(format));
            for reply in replies(format, &said) {
                let done = ask(format, reply.with_status(status), &Output::Text).await;
                let done = done.unwrap_or_else(|err| panic!("{format}, {status}: {err}"));
                assert_eq!(done.text, "Blue.", "{format}, {status}");
            }
        }
    }
    let part =
        Reply::with_headers(206, "content-type: application/json\r\ncontent-range: bytes 0-1/9\r\n", "{}");
    assert!(ask("chat", part, &Output::Text).await.is_err());
    for status in [204, 205, 302, 404] {
        assert!(ask("chat", Reply::json(status, &json!({})), &Output::Text).await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn counts_that_are_not_sent_are_unknown() {
    for done in kept("chat", &json!({ "usage": { "prompt_tokens": "10", "completion_tokens": 5.0 } })).await {
        assert_eq!(done.usage, Usage::new(None, Some(5)));
    }
    for done in kept("anthropic", &json!({ "usage": { "cache_read_input_tokens": "many" } })).await {
        assert_eq!(done.usage, Usage::default());
    }
}
