//! Google's `generateContent` and `streamGenerateContent`.
//!
//! The model and the method are in the path: `/v1beta/models/{model}:streamGenerateContent?alt=sse`. A stream consists
//! of the same objects as a whole answer, one for each word. The last one has the reason of the end, so that no bytes
//! follow it:
//!
//! ```text
//! data: {"candidates":[{"content":{"parts":[{"text":"The "}],"role":"model"},"index":0}],
//!        "usageMetadata":{"promptTokenCount":20,"candidatesTokenCount":1,"totalTokenCount":21},…}
//! data: {"candidates":[{…,"finishReason":"STOP","index":0}],"usageMetadata":{…},…}
//! ```
//!
//! The format has no headers for rate limits: the wait after a 429 is in the details of the error (`RetryInfo`).

use serde_json::{Value, json};

use super::{Answer, ErrorCase, Finish, Headers, ParsedRequest, Wire, quoted};

/// The format of Google's `generateContent` and `streamGenerateContent?alt=sse`.
pub(super) struct Generate;

impl Wire for Generate {
    fn parse(&self, path: &str, body: &[u8]) -> Option<ParsedRequest> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let (name, method) = path.rsplit_once('/')?.1.rsplit_once(':')?;
        body.get("contents")?.as_array().filter(|contents| !contents.is_empty())?;
        let config = body.get("generationConfig").cloned().unwrap_or_default();
        let schema = config.get("responseJsonSchema").cloned();
        let is_json = config["responseMimeType"] == "application/json";
        Some(ParsedRequest {
            model: Some(name.to_owned()),
            stream: method == "streamGenerateContent",
            max_tokens: config["maxOutputTokens"]
                .as_u64()
                .map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
            schema: schema.or_else(|| is_json.then(|| json!({ "type": "object" }))),
            include_usage: true,
        })
    }

    fn whole(&self, answer: &Answer) -> String {
        chunk(answer, &answer.text(), answer.tokens, true)
    }

    fn piece(&self, answer: &Answer, at: u32) -> String {
        let is_last = at + 1 == answer.tokens;
        format!("data: {}\r\n\r\n", chunk(answer, &answer.word(at), at + 1, is_last))
    }

    fn empty(&self, answer: &Answer) -> String {
        format!("data: {}\r\n\r\n", chunk(answer, r#""""#, 1, false))
    }

    fn end(&self, answer: &Answer) -> String {
        // The event of the last word includes the end.
        match answer.tokens {
            0 => format!("data: {}\r\n\r\n", chunk(answer, r#""""#, 0, true)),
            _ => String::new(),
        }
    }

    fn garbage(&self) -> &'static str {
        "data: {\"candidates\": [{\"cont\r\n\r\n"
    }

    /// Returns plain JSON over several lines, without `data:`, as the vendor sends it.
    fn breaks(&self) -> String {
        "\n{\n  \"error\": {\n    \"code\": 500,\n    \"message\": \"it broke in the middle\",\n    \"status\": \"INTERNAL\"\n  }\n}\n"
            .to_owned()
    }

    /// Returns an error. A quota for a day counts as missing credit: the wait that it reports is of no use.
    fn error(&self, case: ErrorCase, message: &str) -> (u16, String) {
        let (status, name, message, details) = match case {
            ErrorCase::Invalid => (400, "INVALID_ARGUMENT", message, json!([])),
            ErrorCase::TooLong => (
                400,
                "INVALID_ARGUMENT",
                "The input token count (11) exceeds the maximum number of tokens allowed (10).",
                json!([]),
            ),
            ErrorCase::NoSuchModel => {
                (404, "NOT_FOUND", "models/x is not found for API version v1beta", json!([]))
            }
            ErrorCase::WrongKey => (
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
                json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID" }]),
            ),
            ErrorCase::Limited(None) => {
                (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", json!([]))
            }
            ErrorCase::Limited(Some(wait)) => {
                let id = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
                (429, "RESOURCE_EXHAUSTED", message, quota(id, wait))
            }
            ErrorCase::NoMoney => {
                let id = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
                (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", quota(id, 30.0))
            }
            ErrorCase::Overloaded => (503, "UNAVAILABLE", "The model is overloaded.", json!([])),
            ErrorCase::Broken => (500, "INTERNAL", message, json!([])),
        };
        let error = json!({ "code": status, "message": message, "status": name, "details": details });
        (status, json!({ "error": error }).to_string())
    }

    fn key_header(&self) -> Option<&'static str> {
        Some("x-goog-api-key")
    }

    fn headers(&self) -> Headers {
        Headers::Plain
    }

    /// Returns true: the wait is in the body of the error.
    fn has_retry_after(&self) -> bool {
        true
    }
}

/// Returns the details of an exhausted quota: the id of the quota, whose name has its period, and the seconds to wait.
fn quota(id: &str, wait: f64) -> Value {
    json!([
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{ "quotaMetric": "generativelanguage.googleapis.com/requests", "quotaId": id }],
        },
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{wait:.3}s") },
    ])
}

/// Returns the vendor's name for the reason of the end.
fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Refused => "PROHIBITED_CONTENT",
        Finish::Filtered => "SAFETY",
    }
}

/// Returns a chunk; `tokens` counts all words so far.
fn chunk(answer: &Answer, text: &str, tokens: u32, is_last: bool) -> String {
    let (id, model, prompt) = (answer.id, &answer.model, answer.prompt_tokens);
    let finish = if is_last {
        format!(r#","finishReason":{}"#, quoted(finish_reason(answer.finish)))
    } else {
        String::new()
    };
    let total = prompt + u64::from(tokens);
    format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":{text}}}],"role":"model"}}{finish},"index":0}}],"usageMetadata":{{"promptTokenCount":{prompt},"candidatesTokenCount":{tokens},"totalTokenCount":{total}}},"modelVersion":{model},"responseId":"sim-{id}"}}"#
    )
}
