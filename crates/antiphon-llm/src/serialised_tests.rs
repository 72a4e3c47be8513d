//! Tests of the serialised forms of prompts and answers, which other processes read and write.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Billed, Completion, DocumentPart, FinishReason, Head, LimitHints, Message, Part, Prompt, Role,
    SamplingParams, Side, SpeakerTurn, Spent, Timing, Usage,
};

/// Checks the serialised form of a value, and that reading it returns an equal value.
#[track_caller]
fn check<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
    expected: &Value,
) {
    assert_eq!(serde_json::to_value(value).unwrap(), *expected);
    assert_eq!(serde_json::from_str::<T>(&serde_json::to_string(value).unwrap()).unwrap(), *value);
    assert_eq!(serde_json::from_value::<T>(expected.clone()).unwrap(), *value);
}

fn prompt() -> Prompt {
    let turns =
        [SpeakerTurn::new("P1", Side::Participant, 0..2), SpeakerTurn::new("I", Side::Interviewer, 2..4)];
    let document = Part::Document(DocumentPart::new("d1", "a.txt", "text").turns(turns));
    let messages = [Message::of(Role::User, [Part::Text("Read:".to_owned()), document])];
    let parameters = SamplingParams::default().temperature(0.7).max_tokens(9);
    Prompt::new("m", messages).message(Message::assistant("ok")).system("Be brief.").parameters(parameters)
}

fn serialised_prompt() -> Value {
    let turns = json!([
        {"speaker": "P1", "side": "participant", "span": {"start": 0, "end": 2}},
        {"speaker": "I", "side": "interviewer", "span": {"start": 2, "end": 4}},
    ]);
    let document = json!({"id": "d1", "name": "a.txt", "text": "text", "turns": turns});
    json!({
        "model": "m",
        "system": "Be brief.",
        "messages": [
            {"role": "user", "parts": [{"text": "Read:"}, {"document": document}]},
            {"role": "assistant", "parts": [{"text": "ok"}]},
        ],
        "parameters": {"temperature": 0.7, "max_tokens": 9, "seed": null},
        "output": "text",
    })
}

#[test]
fn a_prompt_is_read_as_it_was_written() {
    check(&prompt(), &serialised_prompt());
    let shortest = json!({"model": "m", "messages": []});
    assert_eq!(serde_json::from_value::<Prompt>(shortest).unwrap(), Prompt::new("m", []));
    assert!(serde_json::from_value::<Prompt>(json!({"model": "m"})).is_err());
}

#[cfg(feature = "schema")]
#[test]
fn a_schema_is_compiled_when_it_is_read() {
    use crate::{CacheKey, Output, Schema, Scope};
    let schema = |value| Schema::new("s", value).unwrap();
    let value = json!({"type": "object", "required": ["b", "a"]});
    let asked = prompt().output(Output::Json(schema(value.clone())));
    let mut expected = serialised_prompt();
    expected["output"] = json!({"json": {"name": "s", "schema": value}});
    check(&asked, &expected);
    let read: Prompt = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(read.output.schema().unwrap().violations(&json!({"a": 1})).len(), 1);
    let scope = Scope::new("v", None);
    assert_eq!(CacheKey::of(&scope, &read), CacheKey::of(&scope, &asked));
    let reordered = json!({"required": ["b", "a"], "type": "object"});
    assert_ne!(schema(value), schema(reordered), "a model sees the order of the keys");
    expected["output"]["json"]["schema"] = json!({"type": "no such type"});
    assert!(serde_json::from_value::<Prompt>(expected).is_err());
}

#[test]
fn an_unknown_key_of_a_prompt_is_refused_at_any_depth() {
    for place in [
        "",
        "/messages/0",
        "/messages/0/parts/1/document",
        "/messages/0/parts/1/document/turns/0",
        "/parameters",
    ] {
        let mut value = serialised_prompt();
        value.pointer_mut(place).unwrap()["later"] = json!(1);
        let err = serde_json::from_value::<Prompt>(value).unwrap_err().to_string();
        assert!(err.contains("unknown field `later`"), "{place}: {err}");
    }
    let mut value = serialised_prompt();
    value["messages"][0]["parts"][0] = json!({"image": "…"});
    assert!(
        serde_json::from_value::<Prompt>(value).unwrap_err().to_string().contains("unknown variant `image`")
    );
}

fn answer() -> Completion {
    let head =
        Head::new(Some("req-1".to_owned()), None).served("m-mini", "m").weakened(vec!["/oneOf".to_owned()]);
    let timing =
        Timing::new(Some(Duration::from_millis(1_500)), Duration::from_secs(2)).http_version("HTTP/1.1");
    let usage = Usage::new(Some(9), Some(1)).cached(Some(4));
    let answer = Completion::new("Hello").finish(FinishReason::Length).usage(usage).head(head).timing(timing);
    answer.after(Spent::call(Billed::Maybe))
}

fn serialised_answer() -> Value {
    json!({
        "text": "Hello",
        "finish": "length",
        "usage": {"input": 9, "cached": 4, "cache_write": null, "output": 1, "reasoning": null},
        "head": {
            "request_id": "req-1",
            "response_id": null,
            "model": "m-mini",
            "other_model": true,
            "weakened": ["/oneOf"],
        },
        "timing": {
            "queue": {"secs": 0, "nanos": 0},
            "first_byte": null,
            "first_token": {"secs": 1, "nanos": 500_000_000},
            "total": {"secs": 2, "nanos": 0},
            "http_version": "HTTP/1.1",
        },
        "attempts": 2,
        "earlier": {"calls": 1, "possibly_billed": 1, "usage": null},
    })
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    check(&answer(), &serialised_answer());
    let mut with_limits = answer();
    with_limits.head.limits.retry_after = Some(Duration::from_secs(1));
    assert_ne!(with_limits.head.limits, LimitHints::default());
    let value = serde_json::to_value(&with_limits).unwrap();
    assert_eq!(value, serialised_answer(), "limits of the moment are not kept");
}

#[test]
fn unknown_and_missing_keys_of_an_answer_are_ignored() {
    let mut value = serialised_answer();
    for place in ["", "/usage", "/head", "/timing", "/earlier"] {
        value.pointer_mut(place).unwrap()["later"] = json!(1);
    }
    assert_eq!(serde_json::from_value::<Completion>(value.clone()).unwrap(), answer());
    value["timing"]["http_version"] = json!("SPDY");
    assert_eq!(serde_json::from_value::<Completion>(value).unwrap().timing.http_version, None);
    let shortest: Completion = serde_json::from_value(json!({"text": "Hello"})).unwrap();
    assert_eq!(shortest, Completion::new("Hello"), "one call, unless it says otherwise");
    assert!(serde_json::from_value::<Completion>(json!({"finish": "stop"})).is_err());
}

#[test]
fn a_finish_reason_is_serialised_by_its_name() {
    let unknown = FinishReason::Unknown("tool_use".to_owned());
    for reason in
        [FinishReason::Stop, FinishReason::Length, FinishReason::Filtered, FinishReason::Failed, unknown]
    {
        check(&reason, &json!(reason.name()));
    }
}
