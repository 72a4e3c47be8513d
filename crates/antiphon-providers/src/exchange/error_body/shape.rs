//! The fields of an error, in every shape in use.

use std::time::SystemTime;

use antiphon_llm::LimitHints;
use serde_json::Value;

use super::nested;
use crate::exchange::text::normalised;

/// The error of a body, independent of its shape.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    /// The server's text, with those of errors inside it; the JSON of the error where it has none.
    pub(super) message: String,
    /// The codes and types, in lower case and without punctuation: of the error, of what contains it, and of errors inside it.
    pub(super) labels: Vec<String>,
    /// The vendor's code, as the vendor writes it.
    pub(super) code: Option<String>,
    /// The code of an error that has only a status in its place, as Azure's `"429"`.
    number: Option<String>,
    /// The status in the body, as a number or a text; inside a stream it is the only status.
    pub(super) status: Option<u16>,
    /// The id of the request, where the body has it.
    pub(super) request_id: Option<String>,
    /// Whether OpenRouter's moderation reports flagged input.
    pub(super) is_flagged: bool,
    /// The limits in the headers that the error itself has.
    pub(super) limits: Option<LimitHints>,
}

/// The fields that have the text of an error, the best first.
const MESSAGES: [&str; 15] = [
    "message",
    "msg",
    "error_message",
    "errorMessage",
    "error_msg",
    "Message",
    "status_msg",
    "faultstring",
    "error_description",
    "detail",
    "details",
    "title",
    "description",
    "reason",
    "error",
];

/// The fields that have a code or a type.
const LABELS: [&str; 16] = [
    "code",
    "type",
    "status",
    "reason",
    "error_type",
    "errorType",
    "error_code",
    "errorcode",
    "errorCode",
    "__type",
    "name",
    "limit_source",
    "status_code",
    "statusCode",
    "http_code",
    "key",
];

/// Places below an error whose labels are its own.
const INNER: [&str; 10] = [
    "message",
    "errors",
    "metadata",
    "innererror",
    "inner_error",
    "details",
    "detail",
    "error",
    "ModelError",
    "content_filter_result",
];

/// The maximum depth to which errors inside errors are followed.
const MAX_DEPTH: usize = 4;

/// Texts in the place of an error that report none.
const NONE: [&str; 14] = [
    "",
    "null",
    "nil",
    "none",
    "n/a",
    "false",
    "0",
    "ok",
    "okay",
    "success",
    "succeeded",
    "no error",
    "no errors",
    "no_error",
];

/// Returns whether the value of an `error` field is an error: some servers always send the field, and beside an answer it may be
/// `{"code": 0, "message": ""}` or `"none"`.
///
/// An object counts where one of its values does, and a code of success does not.
pub(crate) fn is_error(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::String(text) => {
            let text = text.trim().trim_end_matches(['.', '!']).to_lowercase();
            !NONE.contains(&text.as_str())
        }
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            let is_code = matches!(name.as_str(), "code" | "status" | "status_code" | "statusCode");
            is_error(value) && !(is_code && is_success(value))
        }),
        Value::Array(items) => items.iter().any(is_error),
        Value::Number(number) => number.as_f64() != Some(0.0),
    }
}

/// Returns whether a code is a status of success.
fn is_success(code: &Value) -> bool {
    let number = code.as_u64().or_else(|| code.as_str()?.trim().parse().ok());
    number.is_some_and(|number| (200..300).contains(&number))
}

/// Returns whether a field has a value at all.
fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_true) => *is_true,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => items.iter().any(is_filled),
        Value::Number(number) => number.as_u64() != Some(0),
    }
}

impl ErrorBody {
    /// Reads the error of a body, if it has one. Under status 200 a body without a mark of an error is an answer.
    pub(super) fn of(status: u16, body: &Value) -> Option<Self> {
        Self::at_depth(status, body, 0)
    }

    /// Reads the error of a body that is itself inside this many others.
    pub(super) fn at_depth(status: u16, body: &Value, depth: usize) -> Option<Self> {
        if depth > MAX_DEPTH {
            return None;
        }
        match body {
            Value::Array(items) => items.iter().find_map(|item| Self::at_depth(status, item, depth + 1)),
            Value::String(text) if status != 200 && !text.is_empty() => Some(Self::of_text(text, depth)),
            Value::Object(_) => {
                let error = place_of(status, body)?;
                let mut found = Self::default();
                if !std::ptr::eq(error, body) {
                    found.add_labels(body);
                }
                found.add_error(error, depth);
                let number = found.number.take();
                found.code = found.code.take().or(number);
                found.request_id = text_of(body, &["request_id", "requestId", "id_request"])
                    .or_else(|| text_of(error, &["request_id", "requestId"]));
                Some(found)
            }
            _ => None,
        }
    }

    /// Reads an error that is only a text.
    pub(super) fn of_text(text: &str, depth: usize) -> Self {
        let mut found = Self::default();
        found.set_message(text, depth);
        found
    }

    /// Adds the fields of an error, and those of errors inside it.
    fn add_error(&mut self, error: &Value, depth: usize) {
        self.add_labels_within(error, depth);
        self.is_flagged |= error.pointer("/metadata/flagged_input").is_some();
        let headers = error.get("headers").or_else(|| error.pointer("/metadata/headers"));
        self.limits = self.limits.or_else(|| headers.and_then(limits_of));
        self.set_message(&message_of(error), depth);
        if let Some(param) = error.get("param").and_then(Value::as_str)
            && !self.message.contains(param)
        {
            self.message = format!("{param}: {}", self.message);
        }
        let raw = ["/metadata/raw", "/error", "/upstream_error", "/cause", "/metadata/error"];
        for inside in raw.iter().filter_map(|place| error.pointer(place)).filter(|inner| is_error(inner)) {
            if let Some(inner) = nested::error_in(inside, depth) {
                let by = error.pointer("/metadata/provider_name").and_then(Value::as_str);
                self.merge(inner, by);
                break;
            }
        }
    }

    /// Sets the message, and reads the error inside it, if it is or has one as JSON.
    fn set_message(&mut self, text: &str, depth: usize) {
        let (before, inner) = nested::split(text, depth);
        self.message = before.to_owned();
        if let Some(inner) = inner {
            self.merge(inner, None);
        }
        for label in nested::labels_in(text) {
            self.add_label(&label);
        }
    }

    /// Adds an inner error: its text after the outer one, which is often "Provider returned error" alone.
    fn merge(&mut self, inner: Self, by: Option<&str>) {
        let by = by.map(|name| format!(" ({name})")).unwrap_or_default();
        if self.message.is_empty() {
            self.message = inner.message;
        } else if !self.message.contains(&inner.message) {
            self.message = format!("{}{by}: {}", self.message, inner.message);
        }
        self.labels.extend(inner.labels);
        // A router's code is often the status alone.
        self.code = self.code.take().or(inner.code);
        self.status = self.status.or(inner.status);
        self.is_flagged |= inner.is_flagged;
        self.limits = self.limits.or(inner.limits);
        self.request_id = self.request_id.take().or(inner.request_id);
    }

    /// Adds the codes and types of an object.
    fn add_labels(&mut self, object: &Value) {
        for (name, value) in LABELS.iter().filter_map(|name| Some((*name, object.get(name)?))) {
            let label = match value {
                Value::String(label) => label.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            let number = label.parse::<u16>().ok().filter(|number| (400..600).contains(number));
            self.status = self.status.or(number);
            if number.is_some() && value.is_string() && self.number.is_none() {
                self.number = Some(label.clone());
            }
            // A text such as a title is no label.
            if number.is_none() && label.len() <= 100 && !(name == "status" && label.contains(' ')) {
                self.add_label(&label);
                // A canonical status is a code; a status such as "failed" is none.
                let is_code = match name {
                    "name" | "limit_source" | "reason" | "key" => false,
                    "status" => label.contains(char::is_uppercase),
                    _ => !matches!(label.as_str(), "error" | "about:blank"),
                };
                if is_code && self.code.is_none() {
                    self.code = Some(label);
                }
            }
        }
    }

    /// Adds the codes and types of an error, and of the details in it.
    fn add_labels_within(&mut self, error: &Value, depth: usize) {
        self.add_labels(error);
        if depth <= MAX_DEPTH {
            let inner = INNER.iter().filter_map(|place| error.get(place)).flat_map(items);
            inner.for_each(|inner| self.add_labels_within(inner, depth + 1));
        }
    }

    /// Adds a label, and its parts: `Throttling.RateQuota`, and problem types, which are addresses.
    fn add_label(&mut self, label: &str) {
        self.labels.push(normalised(label));
        self.labels.extend(label.split(['.', '#', '/', ':']).map(normalised).filter(|part| !part.is_empty()));
    }
}

/// Returns the elements of a list, or the value itself.
fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

/// Returns the place of the error in a body.
fn place_of(status: u16, body: &Value) -> Option<&Value> {
    let at = |place: &str| body.pointer(place).filter(|error| is_error(error));
    let is_answer = ["choices", "candidates", "content", "output", "data", "models", "response", "done"]
        .iter()
        .any(|field| body.get(field).is_some_and(is_filled));
    let is_marked =
        body["object"] == "error" || body["type"] == "error" || (body["success"] == false && !is_answer);
    let is_status =
        |name: &&str| body.get(name).and_then(Value::as_u64).is_some_and(|n| (400..600).contains(&n));
    let has_status = ["code", "status", "status_code", "statusCode", "error_code"].iter().any(is_status);
    let error = at("/error");
    if let Some(error) = error {
        let is_flag = error.is_boolean() || error.is_number();
        // A code as the error, with its description beside it.
        let is_described = error.is_string() && body.get("error_description").is_some();
        return Some(if is_flag || is_described { body } else { error });
    }
    at("/response/error")
        .or_else(|| at("/choices/0/error"))
        .or_else(|| {
            at("/base_resp").filter(|resp| resp["status_code"].as_i64().is_some_and(|code| code != 0))
        })
        .or_else(|| at("/fault"))
        .or_else(|| at("/errors").filter(|_| !is_answer).map(|_| body))
        .or_else(|| is_marked.then_some(body))
        .or_else(|| at("/detail").filter(|_| !is_answer).map(|_| body))
        .or_else(|| (!is_answer && has_text(body) && (status != 200 || has_status)).then_some(body))
}

/// Returns whether an object has a text that may be an error's.
fn has_text(body: &Value) -> bool {
    MESSAGES.iter().any(|name| body.get(name).is_some_and(|text| text.is_string() || text.is_object()))
}

/// Returns a text field of an object.
fn text_of(object: &Value, names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| object.get(name)?.as_str())
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// Returns the text of an error, whatever field has it; its JSON where none does.
fn message_of(error: &Value) -> String {
    let text = readable(error);
    if text.is_empty() { error.to_string() } else { text }
}

/// Returns the text of a value: that of an object's best field, or those of a list. Of FastAPI's details, the place is shown, too.
fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let texts: Vec<_> = items.iter().map(readable).filter(|text| !text.is_empty()).collect();
            texts.join("; ")
        }
        Value::Object(_) => readable_object(value),
        _ => String::new(),
    }
}

/// Returns the text of an object.
fn readable_object(object: &Value) -> String {
    if let Some(errors) = object.get("errors").filter(|errors| is_error(errors)) {
        return readable(errors);
    }
    let texts = MESSAGES.iter().map(|name| object.get(name).map(readable).unwrap_or_default());
    let text = texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let text = match object["title"].as_str() {
        Some(title) if object.get("detail").is_some() && !text.contains(title) => format!("{title}: {text}"),
        _ => text,
    };
    let Some(place) = object.get("loc").and_then(Value::as_array) else { return text };
    let place: Vec<_> =
        place.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned)).collect();
    format!("{}: {text}", place.join("."))
}

/// Reads the limits in an error inside a stream, which has the headers that an error response would have had.
fn limits_of(headers: &Value) -> Option<LimitHints> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let headers = headers.as_object()?.iter();
    let plain: Vec<_> = headers.map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect();
    let plain = plain.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Some(LimitHints::read(plain, SystemTime::now()))
}
