//! Answers as vendors really send them, in every format, streamed and whole: their ends, their reasoning, their odd metadata.

mod limits;
mod metadata;
mod recorded;
mod runs;
mod shapes;
mod thinking;

use antiphon_llm::{
    AnswerMark, CallContext, Completion, Error, ErrorKind, FinishReason, Output, ProviderExt, RetryPolicy,
    Retrying, TruncationCause,
};
use antiphon_tests::conformance::{FORMATS, Target, schema};
use antiphon_tests::{Reply, Server};
use serde_json::json;

use shapes::{Said, natural, replies};

/// Sends a prompt to a server that answers with `said`, once as a stream and once as a whole.
async fn each_way(format: &str, said: &Said, output: &Output) -> [Result<Completion, Error>; 2] {
    let [streamed, whole] = replies(format, said);
    [ask(format, streamed, output).await, ask(format, whole, output).await]
}

/// Sends a prompt to a server that answers with one reply.
async fn ask(format: &str, reply: Reply, output: &Output) -> Result<Completion, Error> {
    let server = Server::start(shapes::script(format, reply));
    let target = Target::new(format, &server.url(""), "m");
    let prompt = target.prompt().output(output.clone());
    target.provider().complete(&prompt, &CallContext::default()).await
}

fn json_output() -> Output {
    Output::Json(schema())
}

/// Returns JSON that fits the schema of the conformance checks.
fn paint() -> String {
    let label =
        "a pot of paint for walls and ceilings that dries within an hour and smells of nothing at all";
    json!({ "label": label, "colour": "red", "count": 3, "tags": ["matt"] }).to_string()
}

#[tokio::test]
async fn every_natural_end_of_every_format_is_whole() {
    let words = |format: &str| match format {
        "responses" => vec!["completed"],
        "anthropic" => vec!["end_turn", "stop_sequence"],
        "gemini" => vec!["STOP", "stop"],
        "ollama" | "ollama-generate" => vec!["stop", "unload"],
        "llamacpp-native" => vec!["eos", "word"],
        _ => vec!["stop", "STOP", "eos", "eos_token", "COMPLETE", "end_turn", "stop_sequence"],
    };
    for format in FORMATS {
        for word in words(format) {
            for done in each_way(format, &Said::text("Blue.").ends(word), &Output::Text).await {
                let done = done.unwrap_or_else(|err| panic!("{format}, {word}: {err}"));
                assert_eq!(
                    (done.text.as_str(), &done.finish),
                    ("Blue.", &FinishReason::Stop),
                    "{format}, {word}"
                );
                assert_eq!(done.raw_finish.as_deref(), Some(word), "{format}");
                assert!(done.marks.is_empty(), "{format}");
            }
        }
    }
}

#[tokio::test]
async fn any_other_end_is_an_error_with_its_word() {
    let words = [
        ("insufficient_system_resource", TruncationCause::Disconnected),
        ("cancelled", TruncationCause::Disconnected),
        ("Time Limit", TruncationCause::Disconnected),
        ("abort", TruncationCause::Disconnected),
        ("interrupted", TruncationCause::Disconnected),
        ("pause_turn", TruncationCause::Stopped),
        ("tool_calls", TruncationCause::Stopped),
        ("xyzzy", TruncationCause::Stopped),
    ];
    for format in FORMATS {
        for (word, cause) in words {
            for failed in each_way(format, &Said::text("The three").ends(word), &Output::Text).await {
                let err = failed.expect_err(&format!("{format}, {word}"));
                assert_eq!(err.kind(), ErrorKind::Truncated { cause }, "{format}, {word}: {err}");
                assert!(err.to_string().contains(word), "{format}: {err}");
                let partial = err.partial().unwrap();
                let said = (partial.text.as_str(), partial.raw_finish.as_deref());
                assert_eq!(said, ("The three", Some(word)), "{format}");
            }
        }
    }
}

#[tokio::test]
async fn a_text_that_filled_its_limit_is_cut_in_any_spelling() {
    for format in FORMATS {
        for word in ["MAX_TOKENS", "max-tokens", "Max Tokens", "model_context_window_exceeded"] {
            for done in each_way(format, &Said::text("The three").ends(word), &Output::Text).await {
                let done = done.unwrap();
                let end = (&done.finish, done.raw_finish.as_deref());
                assert_eq!(end, (&FinishReason::Length, Some(word)), "{format}");
            }
        }
    }
}

#[tokio::test]
async fn withheld_content_is_explained_and_not_asked_for_again() {
    let quick = RetryPolicy::default().base(std::time::Duration::ZERO, std::time::Duration::ZERO);
    for format in FORMATS {
        for (word, meaning) in [
            ("SAFETY", "safety filter"),
            ("RECITATION", "copyright"),
            ("LANGUAGE", "language"),
            ("BLOCKLIST", "blocked term"),
            ("PROHIBITED_CONTENT", "prohibited"),
            ("SPII", "personal data"),
            ("MODEL_ARMOR", "Model Armor"),
            ("IMAGE_SAFETY", "image"),
            ("content_filter", "filter"),
            ("content_filter: RECITATION", "copyright"),
        ] {
            for reply in replies(format, &Said::text("The").ends(word)) {
                let server = Server::start(shapes::script(format, reply));
                let target = Target::new(format, &server.url(""), "m");
                let provider = Retrying::new(target.provider(), quick.clone());
                let err = provider.complete(&target.prompt(), &CallContext::default()).await.unwrap_err();
                assert_eq!(err.kind(), ErrorKind::Filtered, "{format}, {word}: {err}");
                let said = err.to_string();
                assert!(said.contains(meaning) && said.contains(word), "{format}: {said}");
                let calls = server.requests().len() - shapes::calls_before(format);
                assert_eq!(calls, 1, "{format}, {word}");
            }
        }
    }
}

#[tokio::test]
async fn filters_name_their_categories() {
    let azure = json!({ "hate": { "filtered": false, "severity": "safe" }, "violence": { "filtered": true, "severity": "medium" } });
    let chunk = json!({ "choices": [{ "delta": { "content": "x" }, "finish_reason": "content_filter", "content_filter_results": azure }] });
    let err = ask("chat", Reply::events([&*chunk.to_string()]), &Output::Text).await.unwrap_err();
    assert!(err.to_string().contains("violence (medium)") && !err.to_string().contains("hate"), "{err}");
    let ratings = json!([{ "category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": true }]);
    let candidate =
        json!({ "finishReason": "SAFETY", "finishMessage": "It insults.", "safetyRatings": ratings });
    let reply = Reply::json(200, &json!({ "candidates": [candidate] }));
    let err = ask("gemini", reply, &Output::Text).await.unwrap_err().to_string();
    assert!(err.contains("harassment (high)") && err.contains("It insults."), "{err}");
    let feedback = json!({ "blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "Not this.", "safetyRatings": ratings });
    let reply = Reply::json(200, &json!({ "promptFeedback": feedback }));
    let err = ask("gemini", reply, &Output::Text).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Filtered);
    for part in ["PROHIBITED_CONTENT", "the content is prohibited", "Not this.", "harassment"] {
        assert!(err.to_string().contains(part), "{part}: {err}");
    }
    let refusal = json!({ "type": "message", "content": [], "stop_reason": "refusal", "stop_details": { "explanation": "It is about weapons.", "category": 7 } });
    let err = ask("anthropic", Reply::json(200, &refusal), &Output::Text).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::ModelRefusal);
    assert!(err.to_string().contains("It is about weapons."), "{err}");
}

#[tokio::test]
async fn a_tool_call_without_text_is_no_success() {
    for format in
        FORMATS.into_iter().filter(|format| !format.ends_with("generate") && !format.ends_with("native"))
    {
        for word in [natural(format), "tool_calls"] {
            for output in [Output::Text, json_output()] {
                for failed in each_way(format, &Said::text("").calls("get_weather").ends(word), &output).await
                {
                    let err = failed.expect_err(&format!("{format}, {word}"));
                    let stopped = ErrorKind::Truncated { cause: TruncationCause::Stopped };
                    assert_eq!(err.kind(), stopped, "{format}, {word}: {err}");
                    assert!(err.to_string().contains("the tool get_weather"), "{format}: {err}");
                }
            }
        }
        let both = Said::text("Blue.").calls("get_weather").ends(natural(format));
        for done in each_way(format, &both, &Output::Text).await {
            assert_eq!(done.unwrap().text, "Blue.", "{format}");
        }
    }
}

#[tokio::test]
async fn only_the_alternative_with_the_index_0_is_the_answer() {
    let chunk = |index: i32, text: &str, finish: Option<&str>| {
        let delta = json!({ "content": text });
        json!({ "choices": [{ "index": index, "delta": delta, "finish_reason": finish }] }).to_string()
    };
    let events = [
        chunk(1, "Red", None),
        chunk(0, "Bl", None),
        chunk(1, "", Some("length")),
        chunk(2, "", Some("content_filter")),
        chunk(0, "ue", Some("stop")),
        chunk(1, " and more", Some("error")),
    ];
    let done = ask("chat", Reply::events(events.iter().map(String::as_str)), &Output::Text).await.unwrap();
    assert_eq!((done.text.as_str(), done.finish), ("Blue", FinishReason::Stop));
    let choice = |index: i32, text: &str| json!({ "index": index, "message": { "content": text }, "finish_reason": "stop" });
    let both = json!({ "choices": [choice(1, "Red"), choice(0, "Blue")] });
    assert_eq!(ask("chat", Reply::json(200, &both), &Output::Text).await.unwrap().text, "Blue");
    let candidate = |index: i32, text: &str| json!({ "index": index, "content": { "parts": [{ "text": text }] }, "finishReason": "STOP" });
    let both = json!({ "candidates": [candidate(1, "Red"), candidate(0, "Blue")] });
    assert_eq!(ask("gemini", Reply::json(200, &both), &Output::Text).await.unwrap().text, "Blue");
    let only = json!({ "choices": [choice(1, "Blue")] });
    assert_eq!(ask("chat", Reply::json(200, &only), &Output::Text).await.unwrap().text, "Blue");
    // Without an index the first one is the answer.
    let unnumbered = json!({ "choices": [{ "message": { "content": "Blue" }, "finish_reason": "stop" }, { "message": { "content": "Red" } }] });
    assert_eq!(ask("chat", Reply::json(200, &unnumbered), &Output::Text).await.unwrap().text, "Blue");
}

#[tokio::test]
async fn whole_json_at_the_token_limit_is_a_marked_answer() {
    for format in FORMATS {
        for word in ["length", "MAX_TOKENS", "xyzzy"] {
            let padded = format!("{}{}", paint(), "\n ".repeat(40));
            for done in each_way(format, &Said::text(&padded).ends(word), &json_output()).await {
                let done = done.unwrap_or_else(|err| panic!("{format}, {word}: {err}"));
                let marked = (&done.marks[..], done.raw_finish.as_deref());
                assert_eq!(marked, (&[AnswerMark::CompleteWithoutEnd][..], Some(word)), "{format}");
            }
            for cut in [&paint()[..40], "{\"colour\": \"red\"}", ""] {
                for failed in each_way(format, &Said::text(cut).ends(word), &json_output()).await {
                    let err = failed.expect_err(&format!("{format}, {word}, {cut}"));
                    assert!(matches!(err.kind(), ErrorKind::Truncated { .. }), "{format}, {word}: {err}");
                }
            }
        }
    }
}
