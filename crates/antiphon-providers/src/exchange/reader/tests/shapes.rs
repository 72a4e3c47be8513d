//! Answers in odd shapes, each read from its pieces.

use antiphon_llm::{
    CallContext, Completion, Error, ErrorKind, FinishReason, Output, Redactor, Schema, Usage,
};
use serde_json::json;

use super::{ChatDecoder, Facts, Piece, Pieces, Reader, facts};

fn json_facts() -> Facts {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    Facts { output: Output::Json(Schema::new("s", schema).unwrap()), ..facts() }
}

/// Reads an answer of these pieces.
async fn read(facts: Facts, pieces: &[&str]) -> Result<Completion, Error> {
    let piece = |data: &&str| Piece { event: String::new(), data: (*data).to_owned() };
    let pieces = Pieces::Ready(pieces.iter().map(piece).collect());
    Reader::new(pieces, ChatDecoder, facts).begin().await?.complete(&CallContext::default()).await
}

fn choice(fields: &str) -> String {
    format!(r#"{{"choices":[{{{fields}}}]}}"#)
}

const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const DRAFT: &str = r#"Maybe {\"n\": 1}? No wait, that is wrong"#;

#[tokio::test(start_paused = true)]
async fn a_draft_in_the_reasoning_is_no_answer() {
    let reasoned = |text: &str, finish: &str| {
        let text = choice(&format!(r#""delta":{{"content":"","reasoning_content":"{text}"}}"#));
        [text, choice(&format!(r#""delta":{{}},"finish_reason":"{finish}""#))]
    };
    let tagged = |text: &str, finish: &str| {
        let text = choice(&format!(r#""delta":{{"content":"<think>{text}"}}"#));
        [text, choice(&format!(r#""delta":{{}},"finish_reason":"{finish}""#))]
    };
    for finish in ["length", "stop"] {
        for pieces in [reasoned(DRAFT, finish), tagged(DRAFT, finish)] {
            let ended = read(json_facts(), &[&pieces[0], &pieces[1]]).await;
            let text = ended.map_or_else(|err| err.partial().unwrap().text.clone(), |answer| answer.text);
            assert_eq!(text, "", "{pieces:?}");
        }
    }
    let cut = reasoned(r#"So {\"n\": 1}"#, "length");
    assert!(read(json_facts(), &[&cut[0], &cut[1]]).await.is_err(), "the reasoning may go on");
    for last in [r#"So {\"n\": 1}"#, r#"So\n```json\n{\"n\": 1}\n```\n"#, r#"So {\"n\": 1}\n</answer> "#] {
        for pieces in [reasoned(last, "stop"), tagged(last, "stop")] {
            let answer = read(json_facts(), &[&pieces[0], &pieces[1]]).await.unwrap();
            assert_eq!(answer.text, r#"{"n":1}"#, "{pieces:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_in_the_names_of_an_answer_is_removed() {
    let piece = r#"{"id":"sk-secret-1234567890","model":"m sk-secret-1234567890","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let facts = Facts { redactor: Redactor::new(["sk-secret-1234567890"], []), ..facts() };
    let head = read(facts, &[piece]).await.unwrap().head;
    assert!(!format!("{head:?}").contains("1234567890"), "{head:?}");
    assert!(head.response_id.is_some() && head.model.is_some() && head.other_model);
}

#[tokio::test(start_paused = true)]
async fn a_key_in_an_answer_is_removed_over_pieces_and_escapes() {
    let pieces = [
        choice(r#""delta":{"reasoning_content":"is it sk-secret-"}"#),
        choice(r#""delta":{"reasoning_content":"1234567890?"}"#),
        choice(r#""delta":{"content":"<think>sk-sec"}"#),
        choice(r#""delta":{"content":"ret-1234567890</think>{\"n\": \"s\\u006"}"#),
        choice(r#""delta":{"content":"b-secret-1234567890\"} SK-SECRET-12"}"#),
        choice(r#""delta":{"content":"345678"}"#),
        choice(r#""delta":{"content":"90"},"finish_reason":"sk-secret-1234567890""#),
    ];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let facts = || Facts { redactor: Redactor::new(["sk-secret-1234567890"], []), ..facts() };
    let partial = |ended: Result<Completion, Error>| match ended {
        Ok(answer) => answer,
        Err(err) => {
            assert!(!format!("{err:?}").contains("234567"), "{err:?}");
            err.partial().cloned().unwrap()
        }
    };
    let answer = partial(read(facts(), &pieces).await);
    assert_eq!(answer.text, r#"{"n": "[key]"} [key]"#);
    assert_eq!(answer.reasoning.as_deref(), Some("is it [key]?[key]"));
    assert_eq!(answer.finish, FinishReason::Unknown("[key]".to_owned()));
    // The answer is cut within the key.
    let cut = partial(read(facts(), &pieces[..5]).await);
    assert_eq!(cut.text, r#"{"n": "[key]"} [key]"#);
}

#[tokio::test(start_paused = true)]
async fn a_text_is_read_once_and_wherever_it_is() {
    let check = async |pieces: &[&str], expected: &str| {
        assert_eq!(read(facts(), pieces).await.unwrap().text, expected, "{pieces:?}");
    };
    let word = choice(r#""delta":{"content":"good"}"#);
    let whole = choice(r#""message":{"content":"good"},"finish_reason":"stop""#);
    check(&[&word, &whole], "good").await;
    check(&[&word, &choice(r#""delta":{},"message":{"content":"good"},"finish_reason":"stop""#)], "good")
        .await;
    for delta in [r#"{"content":null}"#, "{}", r#"{"role":"assistant","content":""}"#] {
        let both =
            choice(&format!(r#""delta":{delta},"message":{{"content":"good"}},"finish_reason":"stop""#));
        check(&[&both], "good").await;
    }
    check(&[&choice(r#""message":{"content":"good","refusal":" "},"finish_reason":"stop""#)], "good").await;
    check(&[&choice(r#""message":{"content":42},"finish_reason":"stop""#)], "42").await;
    check(&[&choice(r#""message":{"content":true},"finish_reason":"stop""#)], "true").await;
    check(&[&choice(r#""message":{"content":{"type":"text","text":"a"}},"finish_reason":"stop""#)], "a")
        .await;
    let object = choice(r#""message":{"content":{"n": 1}},"finish_reason":"stop""#);
    let answer = read(json_facts(), &[&object]).await.unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&answer.text).unwrap(), json!({ "n": 1 }));
}

#[tokio::test(start_paused = true)]
async fn odd_metadata_loses_no_answer() {
    let choices = r#""choices":[{"message":{"content":"good","reasoning":"a","reasoning":"b"},"finish_reason":"stop"}]"#;
    for fields in [
        r#""usage":null,"usage":{"prompt_tokens":3,"completion_tokens":1}"#,
        r#""usage":{"prompt_tokens":3,"completion_tokens":1},"usage":null,"id":"a","id":"b""#,
        r#""usage":{"prompt_tokens":3,"completion_tokens":1,"cost":NaN},"tps":Infinity,"a":[-Infinity, NaN]"#,
    ] {
        let piece = format!("{{{choices},{fields}}}");
        let answer = read(facts(), &[&piece]).await.unwrap();
        assert_eq!(answer.text, "good", "{piece}");
        assert_eq!(answer.usage, Usage::new(Some(3), Some(1)), "{piece}");
    }
    let said = r#"{"x":NaN,"choices":[{"message":{"content":"NaN \"Infinity\" -Infinity"},"finish_reason":"stop"}]}"#;
    assert_eq!(read(facts(), &[said]).await.unwrap().text, "NaN \"Infinity\" -Infinity");
    let contents = r#"{"choices":[{"message":{"content":"a","content":"b"},"finish_reason":"stop"}]}"#;
    assert_eq!(read(facts(), &[contents]).await.unwrap_err().kind(), ErrorKind::InvalidResponse);
    let ends = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop","finish_reason":"length"}]}"#;
    assert_eq!(read(facts(), &[ends]).await.unwrap_err().kind(), ErrorKind::InvalidResponse);
}

#[tokio::test(start_paused = true)]
async fn halves_of_a_character_are_joined_or_replaced() {
    let check = async |texts: &[&str], expected: &str| {
        let words = texts.iter().map(|text| choice(&format!(r#""delta":{{"content":"{text}"}}"#)));
        let pieces: Vec<String> = words.chain([STOP.to_owned()]).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        assert_eq!(read(facts(), &pieces).await.unwrap().text, expected, "{texts:?}");
    };
    check(&[r"good \ud83d", r"\ude00 so"], "good \u{1f600} so").await;
    check(&[r"good \ud83d", " so"], "good \u{fffd} so").await;
    check(&[r"good \ud83d"], "good \u{fffd}").await;
    check(&[r"a\ude00\ud83d\ude00 \\ud83d"], "a\u{fffd}\u{1f600} \\ud83d").await;
}

#[tokio::test(start_paused = true)]
async fn an_error_behind_a_natural_end_does_not_lose_the_answer() {
    let word = choice(r#""delta":{"content":"good"}"#);
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let failed = r#"{"error":{"message":"internal error","code":500}}"#;
    let answer = read(facts(), &[&word, STOP, usage, failed]).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("good", FinishReason::Stop));
    assert_eq!(answer.usage, Usage::new(Some(3), Some(1)));
    let filtered = r#"{"error":{"message":"content filtered","code":"content_filter"}}"#;
    assert_eq!(read(facts(), &[&word, STOP, filtered]).await.unwrap_err().kind(), ErrorKind::Filtered);
    assert!(read(facts(), &[&word, failed]).await.is_err(), "without an end");
}

#[tokio::test(start_paused = true)]
async fn reported_tokens_of_an_answer_without_an_end_are_kept() {
    let word = choice(r#""delta":{"content":"good"}"#);
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let err = read(facts(), &[&word, usage, "[DONE]"]).await.unwrap_err();
    assert_eq!(err.partial().unwrap().usage, Usage::new(Some(3), Some(1)));
    assert_eq!(err.billed(), antiphon_llm::Billed::Yes(Usage::new(Some(3), Some(1))));
}

#[tokio::test(start_paused = true)]
async fn output_behind_the_end_of_a_message_is_bounded() {
    let end = choice(r#""delta":{"content":"<|channel|>final<|message|>Blue.<|end|>"}"#);
    let more = choice(&format!(r#""delta":{{"content":"{}"}}"#, "more and ".repeat(20_000)));
    let pieces: Vec<&str> = std::iter::once(&*end).chain(std::iter::repeat_n(&*more, 400)).collect();
    let answer = read(facts(), &pieces).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("Blue.", FinishReason::Length));
    assert!(answer.finish_detail.unwrap_or_default().contains("its output has more than"));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_server_is_not_repeated_by_its_piece() {
    let error =
        r#"{"error":{"message":"no valid JSON","code":"json_validate_failed","failed_generation":"{}"}}"#;
    let err = read(facts(), &[error]).await.unwrap_err();
    assert!(
        err.to_string().contains("no valid JSON") && !err.to_string().contains("failed_generation"),
        "{err}"
    );
}
