//! Messages, codes and ids, whatever the shape is; and bodies without an error.

use antiphon_llm::ErrorKind;
use serde_json::json;

use super::{read, read_fault};
use crate::exchange::error_body::shape::is_error;
use crate::exchange::error_body::{ForeignBody, error_in_text};

#[test]
fn answers_have_no_error() {
    for body in [
        json!({ "choices": [], "error": null }),
        json!({ "choices": [{ "message": { "content": "a" } }], "detail": "x", "errors": [] }),
        json!({ "object": "list", "data": [{ "id": "m" }] }),
        json!({ "object": "response", "status": "completed", "error": null, "output": [] }),
        json!({ "candidates": [{ "content": {} }], "modelVersion": "m" }),
        json!({ "type": "message", "content": [{ "type": "text", "text": "message" }] }),
        json!({ "message": { "role": "assistant", "content": "a" }, "done": true }),
        json!({ "status": "ok" }),
        json!({ "status": "success", "total": 7 }),
        json!({ "choices": [{ "message": { "content": "a" } }], "success": false }),
        json!({ "success": false, "candidates": [{ "content": {} }] }),
        json!([]),
        json!([{ "id": 0, "n_ctx": 4_096, "error": "" }]),
        json!("text"),
        json!(null),
        json!(7),
    ] {
        assert_eq!(read_fault(200, &body, None), None, "{body}");
    }
}

#[test]
fn an_error_without_a_value_is_none() {
    let empty = [
        json!({ "code": 0, "message": "" }),
        json!({ "code": null, "message": null }),
        json!({ "code": 200, "message": "OK" }),
        json!({ "code": "", "details": [{}], "inner": { "message": "none" } }),
        json!("none"),
        json!("None"),
        json!("ok"),
        json!("success"),
        json!("No error."),
        json!(" "),
        json!(false),
        json!(0),
        json!(0.0),
        json!([]),
        json!([null, ""]),
        json!({}),
    ];
    for error in empty {
        assert!(!is_error(&error), "{error}");
        let body = json!({ "choices": [{ "message": { "content": "a" } }], "error": error });
        assert_eq!(read_fault(200, &body, None), None, "{body}");
    }
    for error in [json!({ "code": 7, "message": "" }), json!({ "message": "no" }), json!("oops"), json!(1)] {
        assert!(is_error(&error), "{error}");
        let body = json!({ "choices": [{ "message": { "content": "a" } }], "error": error });
        assert!(read_fault(200, &body, None).is_some(), "{body}");
    }
    assert!(read_fault(200, &json!({ "success": false, "message": "no" }), None).is_some());
}

#[track_caller]
fn check(status: u16, body: &str, message: &str, code: Option<&str>) {
    let fault = read(status, body);
    assert_eq!((fault.message.as_str(), fault.code.as_deref()), (message, code), "{body}");
}

#[test]
fn the_message_and_the_code_are_the_vendors() {
    check(
        429,
        r#"{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        "pay",
        Some("insufficient_quota"),
    );
    check(
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        "Overloaded",
        Some("overloaded_error"),
    );
    check(
        400,
        r#"{"error":{"code":400,"message":"no","type":"invalid_request_error"}}"#,
        "no",
        Some("invalid_request_error"),
    );
    check(
        403,
        r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#,
        "no",
        Some("PERMISSION_DENIED"),
    );
    check(401, r#"{"error":{"code":"401","message":"no"}}"#, "no", Some("401"));
    check(400, r#"{"error":{"code":null,"message":"no","type":null}}"#, "no", None);
    check(500, r#"{"error":"oops"}"#, "oops", None);
    check(500, r#"{"error":["a","b"]}"#, "a; b", None);
    check(500, r#"{"detail":{"error":"oops"}}"#, "oops", None);
    check(400, r#"{"errors":[{"code":"bad_thing","message":"a"}],"success":false}"#, "a", Some("bad_thing"));
    check(500, r#"{"error":{"error":{"message":"deep","code":"x_1"}}}"#, "deep", Some("x_1"));
    check(
        403,
        r#"{"title":"No.","detail":"Not you.","status":403,"type":"about:blank"}"#,
        "No.: Not you.",
        None,
    );
    check(
        422,
        r#"{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"},{"type":"missing","loc":["body",0],"msg":"Field required"}]}"#,
        "body.seed: Extra inputs are not permitted; body.0: Field required",
        Some("extra_forbidden"),
    );
    check(
        400,
        r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"bad\",\"code\":\"x_2\"}}","provider_name":"Azure"}}}"#,
        "Provider returned error (Azure): bad",
        Some("x_2"),
    );
    check(400, r#"{"error":{"message":"no such value","param":"seed"}}"#, "seed: no such value", None);
    check(
        500,
        r#"{"error":{"message":"AnthropicException - {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"deep\"}}"}}"#,
        "AnthropicException: deep",
        Some("api_error"),
    );
    check(500, r#"{"error":{"foo":1}}"#, r#"{"foo":1}"#, None);
}

#[test]
fn the_id_of_the_request_is_in_some_bodies() {
    let body = r#"{"type":"error","error":{"type":"api_error","message":"no"},"request_id":"req_1"}"#;
    assert_eq!(read(500, body).request_id.as_deref(), Some("req_1"));
}

#[test]
fn an_error_inside_a_stream_has_its_own_status() {
    let fault = read(200, r#"{"error":{"code":429,"message":"slow"}}"#);
    assert_eq!((fault.status, fault.kind), (Some(429), ErrorKind::RateLimited { retry_after: None }));
    assert_eq!(read(200, r#"{"error":{"code":"503","message":"no"}}"#).status, Some(503));
    assert_eq!(read(500, r#"{"error":{"code":429,"message":"no"}}"#).status, None);
}

#[test]
fn a_body_of_another_format_is_described() {
    let shown = |content_type, body| ForeignBody { content_type, body }.to_string();
    let page = "<!DOCTYPE html>\n<HTML><head><title>\n 502 Bad  Gateway</title></head><body>x</body></html>";
    assert_eq!(shown("text/html", page), "an HTML page titled \"502 Bad Gateway\" (text/html)");
    assert_eq!(shown("", "<html><h1 class=a>Welcome</h1>"), "an HTML page titled \"Welcome\"");
    assert_eq!(shown("text/html; charset=utf-8", "<p>x</p>"), "an HTML page without a title (text/html)");
    assert_eq!(shown("application/json", " \n"), "an empty body");
    assert_eq!(shown("text/plain; charset=utf-8", "ok\n"), "a text of the type text/plain (ok)");
    assert_eq!(shown("", "ok"), "a text of an unnamed type (ok)");
    assert_eq!(error_in_text("data: {\"error\":{}}\n\n"), Some(json!({ "error": {} })));
    assert_eq!(error_in_text("event: error\ndata: {\"error\":1}\n"), Some(json!({ "error": 1 })));
    assert_eq!(error_in_text("Bad Request"), None);
}
