//! The words by which servers name the end of an answer, and the meaning of each.
//!
//! The list of natural ends is closed: an answer that ends with any other word is not complete. Servers spell the same word
//! in several ways (`MAX_TOKENS`, `max-tokens`, `MaxTokens`), so that only letters and digits are compared. Proxies translate
//! answers without their finish reasons, which is why all formats share one list.
//!
//! | word | of | finish |
//! |---|---|---|
//! | `stop`, `end_turn`, `stop_sequence`, `completed`, `eos`, `eos_token`, `COMPLETE` … | OpenAI, Anthropic, Gemini, the Responses API, Together, TGI, Cohere | `Stop` |
//! | `length`, `max_tokens`, `model_length`, `model_context_window_exceeded` … | OpenAI, Gemini, Mistral, Anthropic | `Length` |
//! | `content_filter`, `SAFETY`, `RECITATION`, `sensitive`, `guardrail_intervened` … | OpenAI, Gemini, Z.ai, Bedrock | `Filtered` |
//! | `error`, `abort`, `cancelled`, `insufficient_system_resource`, `OTHER` … | vLLM, DeepSeek, Gemini | `Failed` |
//! | `tool_calls`, `pause_turn`, anything else | all | `Unknown` |

use antiphon_llm::FinishReason;

use super::text::normalised;

/// The meaning of a server's word for the end of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// No end: the answer continues.
    None,
    /// An end, with an explanation for people where the word needs one.
    Finish(FinishReason, Option<&'static str>),
    /// The end of an answer in which the model called a tool.
    Tool,
    /// The end of an answer that the model refused to give.
    Refusal,
}

/// Words of natural ends: the model ended its answer, or wrote a stop text that was requested.
const NATURAL: [&str; 22] = [
    "stop",
    "stopped",
    "end",
    "endturn",
    "endofturn",
    "endoftext",
    "endofsequence",
    "eos",
    "eostoken",
    "eosfound",
    "stopsequence",
    "stopsequences",
    "stopstring",
    "stopstringfound",
    "stopword",
    "stoptoken",
    "complete",
    "completed",
    "finished",
    "done",
    // Baidu's word for an answer without truncation.
    "normal",
    "finishreasonstop",
];

/// Words of answers that reached the token limit.
const LIMIT: [&str; 12] = [
    "length",
    "maxtokens",
    "maxlength",
    "maxtoken",
    "maxoutputtokens",
    "maxnewtokens",
    "maxcompletiontokens",
    "maxpredictedtokensreached",
    "modellength",
    "tokenlimit",
    "limit",
    "finishreasonmaxtokens",
];

/// Words of answers that filled the context window.
const CONTEXT: [&str; 9] = [
    "modelcontextwindowexceeded",
    "contextwindowexceeded",
    "contextlengthexceeded",
    "contextlengthreached",
    "contextlength",
    "contextexceeded",
    "maxcontextlength",
    "contextwindow",
    "exceedcontextsize",
];

/// Words of answers that a filter withheld, each with its meaning
/// (<https://ai.google.dev/api/generate-content#FinishReason>, <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse>,
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>).
const FILTERS: [(&str, &str); 18] = [
    ("safety", "the safety filter withheld the content"),
    ("recitation", "the content recites material that may be protected by copyright"),
    ("language", "the content is in a language that the model does not support"),
    ("blocklist", "the content has a blocked term"),
    ("prohibitedcontent", "the content is prohibited"),
    ("spii", "the content may have sensitive personal data"),
    ("modelarmor", "Model Armor withheld the content"),
    ("jailbreak", "the prompt was taken for a jailbreak"),
    ("imagesafety", "the safety filter withheld an image"),
    ("imageprohibitedcontent", "an image has prohibited content"),
    ("imagerecitation", "an image recites material that may be protected by copyright"),
    ("sensitive", "the content was taken for sensitive"),
    ("guardrailintervened", "a guardrail withheld the content"),
    ("guardrail", "a guardrail withheld the content"),
    ("moderation", "the moderation withheld the content"),
    ("errortoxic", "the content was taken for toxic"),
    ("blocked", "the content was blocked"),
    ("filtered", "the content was filtered"),
];

/// Words of answers that the server did not complete, for a reason that may pass.
const FAILURES: [&str; 36] = [
    "missingthoughtsignature",
    "escalation",
    "error",
    "failed",
    "failure",
    "abort",
    "aborted",
    "cancel",
    "cancelled",
    "canceled",
    "interrupt",
    "interrupted",
    "preempted",
    "evicted",
    "userstopped",
    "userstop",
    "modelunloaded",
    "timeout",
    "timedout",
    "time",
    "timelimit",
    "timelimitexceeded",
    "deadline",
    "deadlineexceeded",
    "insufficientsystemresource",
    "insufficientsystemresources",
    "networkerror",
    "servererror",
    "internalerror",
    "overloaded",
    "unavailable",
    "ratelimit",
    "disconnected",
    "other",
    "malformedresponse",
    "malformedmodeloutput",
];

/// Words of answers in which the model called a tool.
const TOOLS: [&str; 13] = [
    "toolcalls",
    "toolcall",
    "tooluse",
    "tool",
    "tools",
    "functioncall",
    "functioncalls",
    "function",
    "malformedfunctioncall",
    "malformedtooluse",
    "unexpectedtoolcall",
    "toomanytoolcalls",
    "requiresaction",
];

/// Words that say nothing: servers send them while the answer continues.
const NOTHING: [&str; 7] =
    ["", "null", "none", "unspecified", "finishreasonunspecified", "inprogress", "queued"];

/// Returns the meaning of a word, whatever its case and its separators are.
pub(crate) fn ending(word: &str) -> Ending {
    let plain = normalised(word);
    let plain = plain.as_str();
    let is_one_of = |words: &[&str]| words.contains(&plain);
    if word.starts_with(['[', '{']) {
        // JSON in place of a word, which no format has.
        return Ending::Finish(FinishReason::Unknown(word.to_owned()), None);
    }
    if is_one_of(&NOTHING) {
        return Ending::None;
    }
    if plain == "refusal" || plain == "refused" {
        return Ending::Refusal;
    }
    if is_one_of(&TOOLS) {
        return Ending::Tool;
    }
    let (finish, detail) = if is_one_of(&NATURAL) {
        (FinishReason::Stop, None)
    } else if is_one_of(&LIMIT) {
        (FinishReason::Length, None)
    } else if is_one_of(&CONTEXT) {
        (FinishReason::Length, Some("the context window of the model is full"))
    } else if let Some(meaning) = filter(plain) {
        (FinishReason::Filtered, Some(meaning).filter(|meaning| !meaning.is_empty()))
    } else if is_one_of(&FAILURES) {
        (FinishReason::Failed, None)
    } else if plain == "pauseturn" || plain == "pause" {
        (FinishReason::Unknown(word.to_owned()), Some("the model paused its turn"))
    } else {
        (FinishReason::Unknown(word.to_owned()), None)
    };
    Ending::Finish(finish, detail)
}

/// Returns the meaning of a filter's word in letters and digits, which is empty where the word says enough; `None` for another
/// word. Gemini's compatible interface sends `content_filter: RECITATION`.
fn filter(plain: &str) -> Option<&'static str> {
    let of = |plain: &str| FILTERS.iter().find(|(word, _)| *word == plain).map(|(_, meaning)| *meaning);
    match plain.strip_prefix("contentfilter") {
        Some(cause) => Some(of(cause).unwrap_or_default()),
        None => of(plain.strip_prefix("finishreason").unwrap_or(plain)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, FinishReason, ending};

    #[track_caller]
    fn check(words: &[&str], expected: &FinishReason) {
        for word in words {
            let Ending::Finish(finish, _) = ending(word) else { panic!("{word}: {:?}", ending(word)) };
            assert_eq!(&finish, expected, "{word}");
        }
    }

    #[test]
    fn words_are_recognised_in_any_spelling() {
        check(
            &["stop", "STOP", "end_turn", "EndTurn", "eos_token", "eos", "COMPLETE", "stop-sequence"],
            &FinishReason::Stop,
        );
        check(
            &[
                "length",
                "MAX_TOKENS",
                "max-tokens",
                "Max Tokens",
                "maxTokens",
                "model_context_window_exceeded",
            ],
            &FinishReason::Length,
        );
        check(
            &[
                "content_filter",
                "CONTENT-FILTER",
                "content_filter: RECITATION",
                "SAFETY",
                "SPII",
                "MODEL_ARMOR",
            ],
            &FinishReason::Filtered,
        );
        check(
            &["insufficient_system_resource", "cancelled", "Canceled", "time limit", "abort", "interrupted"],
            &FinishReason::Failed,
        );
        for word in ["pause_turn", "stop_it", "nonstop", "42", "sto"] {
            check(&[word], &FinishReason::Unknown(word.to_owned()));
        }
        for word in ["tool_calls", "TOOL_USE", "function-call", "MALFORMED_FUNCTION_CALL"] {
            assert_eq!(ending(word), Ending::Tool, "{word}");
        }
        for word in ["", " ", "null", "None", "FINISH_REASON_UNSPECIFIED"] {
            assert_eq!(ending(word), Ending::None, "{word}");
        }
        assert_eq!(ending("refusal"), Ending::Refusal);
    }
}
