//! Reasoning never becomes text, wherever a server puts it.

use antiphon_llm::{AnswerMark, CallContext, Delta, Output, ProviderExt};
use antiphon_tests::conformance::{FORMATS, Target};
use antiphon_tests::{Reply, Server};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::shapes::{self, Said, natural, replies, stream};
use super::{ask, each_way, json_output, paint};

#[tokio::test]
async fn tagged_reasoning_is_no_text_in_any_format() {
    for format in FORMATS {
        for (output, text, reasoning) in [
            ("<think>They ask.</think>\n\nBlue.", "Blue.", "They ask."),
            ("[THINK]They ask.[/THINK]Blue.", "Blue.", "They ask."),
            (
                "<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant<|channel|>final<|message|>Blue.",
                "Blue.",
                "They ask.",
            ),
            ("They ask.\n</think>\n\nBlue.", "Blue.", "They ask."),
            ("<think>They ask for one word.</think>", "", "They ask for one word."),
            ("<thinking>They ask for one word.", "", "They ask for one word."),
            ("Write <think> and </think>.", "Write <think> and </think>.", ""),
        ] {
            for size in [1, 4, 100] {
                let said = Said::text(output).in_pieces_of(size).ends(natural(format));
                for done in each_way(format, &said, &Output::Text).await {
                    let done = done.unwrap_or_else(|err| panic!("{format}, {output}: {err}"));
                    let thought = done.reasoning.as_deref().unwrap_or_default().trim();
                    assert_eq!((done.text.as_str(), thought), (text, reasoning), "{format}, {output}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_pieces_of_a_stream_have_no_reasoning() {
    for format in FORMATS {
        let said =
            Said::text("<think>They ask.</think>\n\nBlue or green.").in_pieces_of(3).ends(natural(format));
        let [reply, _] = replies(format, &said);
        let server = Server::start(shapes::script(format, reply));
        let target = Target::new(format, &server.url(""), "m");
        let mut answer = target.provider().stream(&target.prompt(), &CallContext::default()).await.unwrap();
        let (mut pieces, mut whole) = (String::new(), String::new());
        while let Some(delta) = answer.next().await {
            match delta.unwrap() {
                Delta::Text(piece) => pieces.push_str(&piece),
                Delta::End(done) => whole = done.text,
                _ => {}
            }
        }
        assert_eq!((pieces.as_str(), whole.as_str()), ("Blue or green.", "Blue or green."), "{format}");
    }
}

#[tokio::test]
async fn reasoning_that_is_sent_apart_is_kept_apart() {
    for format in FORMATS.into_iter().filter(|format| *format != "llamacpp-native") {
        let said = Said::text("Blue.").reasoning("They ask.").ends(natural(format));
        for done in each_way(format, &said, &Output::Text).await {
            let done = done.unwrap();
            assert_eq!(
                (done.text.as_str(), done.reasoning.as_deref()),
                ("Blue.", Some("They ask.")),
                "{format}"
            );
        }
    }
    for delta in [
        json!({ "reasoning": "hm" }),
        json!({ "reasoning": "hm", "reasoning_details": [{ "type": "reasoning.text", "text": "hm" }] }),
        json!({ "reasoning_details": [{ "type": "reasoning.encrypted", "data": "x" }, { "type": "reasoning.summary", "summary": "hm" }] }),
        json!({ "thinking": "hm" }),
        json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] }] }),
        json!({ "content": [{ "type": "reasoning", "text": "hm" }] }),
    ] {
        let end = json!({ "choices": [{ "delta": { "content": "Blue." }, "finish_reason": "stop" }] });
        let events = [json!({ "choices": [{ "delta": delta }] }), end];
        let done = ask("chat", stream("chat", &events), &Output::Text).await.unwrap();
        assert_eq!((done.text.as_str(), done.reasoning.as_deref()), ("Blue.", Some("hm")), "{delta}");
    }
}

#[tokio::test]
async fn json_that_is_only_in_the_reasoning_is_read_and_marked() {
    let wanted: Value = serde_json::from_str(&paint()).unwrap();
    for format in FORMATS {
        let thought = format!("They want paint.\n{}", paint());
        let apart = Said::text("").reasoning(&thought).ends(natural(format));
        let tagged = Said::text(&format!("<think>{thought}")).ends(natural(format));
        let all = if format == "llamacpp-native" { vec![tagged] } else { vec![apart, tagged] };
        for said in all {
            for done in each_way(format, &said, &json_output()).await {
                let done = done.unwrap_or_else(|err| panic!("{format}: {err}"));
                assert_eq!(serde_json::from_str::<Value>(&done.text).unwrap(), wanted, "{format}");
                assert_eq!(done.marks, [AnswerMark::FromReasoning], "{format}");
            }
        }
        // JSON in the text prevails, and a text is never taken from the reasoning.
        let both = Said::text(&paint()).reasoning("{\"draft\": 1}").ends(natural(format));
        for done in each_way(format, &both, &json_output()).await {
            assert_eq!((done.as_ref().unwrap().marks.len(), &done.unwrap().text), (0, &paint()), "{format}");
        }
        let text = Said::text("").reasoning(&paint()).ends(natural(format));
        for done in each_way(format, &text, &Output::Text).await {
            assert_eq!(done.unwrap().text, "", "{format}");
        }
    }
}

#[tokio::test]
async fn tags_in_the_strings_of_json_are_content() {
    for format in FORMATS {
        let text = "{\"note\": \"<think>x</think> and </think>\"}";
        for done in each_way(format, &Said::text(text).ends(natural(format)), &Output::Text).await {
            assert_eq!(done.unwrap().text, text, "{format}");
        }
    }
}

#[tokio::test]
async fn reasoning_tokens_are_counted_apart() {
    let usage = json!({ "prompt_tokens": 9, "completion_tokens": 30, "completion_tokens_details": { "reasoning_tokens": 20 } });
    let chat =
        json!({ "choices": [{ "message": { "content": "x" }, "finish_reason": "stop" }], "usage": usage });
    let grok = json!({ "prompt_tokens": 9, "completion_tokens": 10, "total_tokens": 39, "completion_tokens_details": { "reasoning_tokens": 20 } });
    let grok =
        json!({ "choices": [{ "message": { "content": "x" }, "finish_reason": "stop" }], "usage": grok });
    let usage = json!({ "input_tokens": 9, "output_tokens": 30, "output_tokens_details": { "reasoning_tokens": 20 } });
    let output = json!([{ "type": "message", "content": [{ "type": "output_text", "text": "x" }] }]);
    let responses = json!({ "object": "response", "status": "completed", "output": output, "usage": usage });
    let usage =
        json!({ "input_tokens": 9, "output_tokens": 30, "output_tokens_details": { "thinking_tokens": 20 } });
    let anthropic = json!({ "type": "message", "content": [{ "type": "text", "text": "x" }], "stop_reason": "end_turn", "usage": usage });
    let usage = json!({ "promptTokenCount": 9, "candidatesTokenCount": 10, "thoughtsTokenCount": 20 });
    let gemini = json!({ "candidates": [{ "content": { "parts": [{ "text": "x" }] }, "finishReason": "STOP" }], "usageMetadata": usage });
    for (format, body) in [
        ("chat", chat),
        ("compatible", grok),
        ("responses", responses),
        ("anthropic", anthropic),
        ("gemini", gemini),
    ] {
        let usage = ask(format, Reply::json(200, &body), &Output::Text).await.unwrap().usage;
        assert_eq!((usage.input, usage.output, usage.reasoning), (Some(9), Some(30), Some(20)), "{format}");
    }
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_again() {
    let only = |text: &str| replies("compatible", &Said::text(text).ends("stop"))[0].clone();
    let server = Server::start([only("<think>They ask for one word.</think>"), only(&paint())]);
    let target = Target::new("compatible", &server.url(""), "m");
    let schema = antiphon_tests::conformance::schema();
    let done =
        target.provider().complete_json(&target.prompt(), &schema, &CallContext::default()).await.unwrap();
    assert_eq!((done.spent.calls, server.requests().len()), (2, 2));
}
