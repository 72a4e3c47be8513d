use proptest::prelude::*;
use serde_json::json;

use super::{JsonErrorKind, Repair, Strictness, Value, extract, extract_with};

#[track_caller]
fn check(answer: &str, expected: Value, repairs: &[Repair]) {
    let found = extract(answer).unwrap();
    assert_eq!((found.value, &found.repairs[..]), (expected, repairs), "{answer}");
}

#[test]
fn an_answer_that_is_json_as_a_whole_may_contain_any_text() {
    check("{\"note\": \"ends with </think> ok\"}", json!({ "note": "ends with </think> ok" }), &[]);
}

#[test]
fn a_truncation_after_a_syntax_error_is_truncated() {
    check_error("{\"p\": [1,], \"q\": \"ab", JsonErrorKind::Truncated);
}

#[track_caller]
fn check_error(answer: &str, expected: JsonErrorKind) {
    assert_eq!(extract(answer).unwrap_err().kind(), expected, "{answer}");
}

#[test]
fn json_is_found_within_other_text() {
    check(" {\"a\": 1}\n", json!({"a": 1}), &[]);
    check("```json\n{\"a\": 1}\n```", json!({"a": 1}), &[Repair::Surroundings]);
    check("Sure: [{\"name\":\"A\"}] ok", json!([{"name": "A"}]), &[Repair::Surroundings]);
    check("As [1] and [2-4] say, {name}: {\"a\": [1]}", json!({"a": [1]}), &[Repair::Surroundings]);
    check("<think>{\"no\": 1}</think>{\"a\": 1}", json!({"a": 1}), &[Repair::Thoughts]);
    check("so it is</think> {\"a\": 1}", json!({"a": 1}), &[Repair::Thoughts]);
    check("{\"a\": [1, 2,],\n}", json!({"a": [1, 2]}), &[Repair::TrailingCommas]);
    check("{\"a\": \"b\nc\td\"}", json!({"a": "b\nc\td"}), &[Repair::ControlCharacters]);
    check("x {\"a\": True, \"b\": [None,]}", json!({"a": true, "b": [null]}), {
        &[Repair::PythonLiterals, Repair::TrailingCommas, Repair::Surroundings]
    });
    check("{\"a\": 1,} see http://x", json!({"a": 1}), &[Repair::TrailingCommas, Repair::Surroundings]);
    check_error("{\"a\": 1,} see http://x {\"a\": 2}", JsonErrorKind::Ambiguous);
    check_error("{\"a\": \"b\\\nc\"}", JsonErrorKind::Malformed);
    check("{// why\n\"a\": \"// no\" /* b */}", json!({"a": "// no"}), &[Repair::Comments]);
    check("{\"a\": \"x,}\\\",]\"}", json!({"a": "x,}\",]"}), &[]);
    check("{\"a\":1} or again {\"a\":1}", json!({"a": 1}), &[Repair::Surroundings]);
}

#[test]
fn an_unusable_answer_has_its_error_kind() {
    check_error("I cannot do that.", JsonErrorKind::Missing);
    check_error("", JsonErrorKind::Missing);
    check_error("{\"personas\": [{\"name\": \"A\"}, {\"na", JsonErrorKind::Truncated);
    check_error("Here: {", JsonErrorKind::Truncated);
    check_error("<think>let me see", JsonErrorKind::Truncated);
    check_error("{\"a\": 1} {\"a\": 2}", JsonErrorKind::Ambiguous);
    check_error("{\"a\": {\"b\": 1}, c = 2}", JsonErrorKind::Malformed);
    check_error(&"[".repeat(100_000), JsonErrorKind::Malformed);
}

#[test]
fn strict_accepts_only_plain_json() {
    let kind = |answer| extract_with(answer, Strictness::Strict).map_err(|err| err.kind());
    assert_eq!(kind(" {\"a\": 1} ").unwrap().value, json!({"a": 1}));
    assert_eq!(kind("Sure: {}").unwrap_err(), JsonErrorKind::Missing);
    assert_eq!(kind("{\"a\": 1,}").unwrap_err(), JsonErrorKind::Malformed);
    assert_eq!(kind("{\"a\": ").unwrap_err(), JsonErrorKind::Truncated);
}

#[test]
fn lossless_errors_of_form_are_repaired() {
    use Repair::{
        BareKeys, Comments, ControlCharacters, DoubleEncoding, Escapes, InvisibleCharacters, MissingCommas,
        PythonLiterals, Quotes, Surroundings, TrailingCommas,
    };
    check("{'a': 'b \"c\" d', 'e': 'it\\'s'}", json!({"a": "b \"c\" d", "e": "it's"}), &[Quotes, Escapes]);
    check("{“a”: “it’s \"b\"”, „c“: ‘d’}", json!({"a": "it’s \"b\"", "c": "d"}), &[Quotes]);
    check("{a: 1, b_2: [true], $c-d: null}", json!({"a": 1, "b_2": [true], "$c-d": null}), &[BareKeys]);
    check("Here: {a: 1}", json!({"a": 1}), &[BareKeys, Surroundings]);
    check("{\"a\": 1 # one\n, // two\n\"b\": 2 /* } */}", json!({"a": 1, "b": 2}), &[Comments]);
    check("[{\"a\": 1} {\"a\": 2}]", json!([{"a": 1}, {"a": 2}]), &[MissingCommas]);
    check(
        "{\"a\": 1\n \"b\": \"x\" \"c\": [1\n2]}",
        json!({"a": 1, "b": "x", "c": [1, 2]}),
        &[MissingCommas],
    );
    check(
        "{'a': True, 'b': None,}",
        json!({"a": true, "b": null}),
        &[Quotes, PythonLiterals, TrailingCommas],
    );
    check("{\"a\": \"\\d+ \\\\ \\'\"}", json!({"a": "\\d+ \\ '"}), &[Escapes]);
    check("{\"a\": \"b\r\nc\u{1}\"}", json!({"a": "b\r\nc\u{1}"}), &[ControlCharacters]);
    check(
        "\u{feff}{\"a\":\u{a0}1\u{200b}}\u{200b}",
        json!({"a": 1}),
        &[InvisibleCharacters, InvisibleCharacters],
    );
    check("\"{\\\"a\\\": [\\\"b\\\\n\\\"]}\"", json!({"a": ["b\n"]}), &[DoubleEncoding]);
    check("{\\\"a\\\": 1}", json!({"a": 1}), &[DoubleEncoding]);
    check("[true, false]", json!([true, false]), &[]);
    check("Sure: ['a', 'b'].", json!(["a", "b"]), &[Quotes, Surroundings]);
    check("{x: x > 0} is a set, {\"a\": 1} is not", json!({"a": 1}), &[Surroundings]);
}

#[test]
fn what_is_ambiguous_stays_an_error() {
    for broken in [
        "{\"a\": NaN}",
        "{\"a\": Infinity}",
        "{\"a\": -Infinity}",
        "{\"a\": [1,,2]}",
        "{\"a\": [,1]}",
        "{\"a\": \"he said \"hi\" to me\"}",
        "{'a': 'it's'}",
        "{\"a\": 01}",
        "{\"a\": .5}",
        "{\"a\": +1}",
        "{\"a\": 0x1}",
        "[\"a\"\"b\"]",
        "{\"a\": [1 2]}",
        "{\"a\": \"C:\\Users\\new\"}",
        "{\"a\": \"\\x41\"}",
        "{\"a\": \"\\ud800\"}",
        "{\"a\": \"\\u12\"}",
        "{\"a\": b}",
        "{\"a\" 1}",
        "{\"a\": undefined}",
        "{true: 1}",
        "{\"a\": 1]",
        "[1, 2}",
        "{\"a\": 1_000}",
        "{a: {\"b\": 1}, c = 2}",
        "{“a”: “say “hi” now”}",
        "{\"a\": \"\\0\"}",
    ] {
        check_error(broken, JsonErrorKind::Malformed);
    }
    for twice in [
        "{\"a\": 1, \"a\": 2}",
        "{\"a\": 1, \"a\": 1}",
        "{\"x\": [{\"a\": 1, \"\\u0061\": 2}]}",
        "{a: 1, 'a': 1}",
        "Sure: {\"a\": 1, \"a\": 2} ok",
    ] {
        check_error(twice, JsonErrorKind::Ambiguous);
        assert!(extract(twice).unwrap_err().to_string().contains("the key \"a\" twice"), "{twice}");
    }
    for cut in [
        "{'a': 'b",
        "{a",
        "{a: ",
        "{\"a\": 1 /* b",
        "[{\"a\": 1} {\"a\"",
        "{\"a\": tru",
        "{\"a\": 1.",
        "{\"a\": 12",
        "{“a”: “b",
    ] {
        check_error(cut, JsonErrorKind::Truncated);
    }
}

#[test]
fn a_value_within_brackets_that_are_no_json_is_no_answer() {
    for broken in [
        "{error: something, example: {\"n\": 1}}",
        "{old: foo, new: {\"n\": 1}",
        "{error: something, list: [{\"n\": 1}, {\"n\": 1}]}",
        "{draft: x, [{\"n\": 1}]} {\"n\": 1}",
        "{x: x > 0, and then {\"n\": 1}",
        "{x: see [1, 2]} {\"n\": 1}",
    ] {
        check_error(broken, JsonErrorKind::Malformed);
    }
    check("{x: x > {y}} is a set, {\"a\": 1} is not", json!({"a": 1}), &[Repair::Surroundings]);
}

#[test]
fn a_comment_that_may_have_values_is_an_error() {
    for broken in [
        "{\"n\": 1 # one, \"n\": 2\n}",
        "{\"n\": 1 // one, \"m\" : 2\n}",
        "{\"n\": 1 // one, 'm': 2\n}",
        "{\"l\": [1 # one, 2\n]}",
        "{\"l\": [\"a\", // one, \"b\",\n\"c\"]}",
        "{\"n\": 1, # one, \"o\": {\"m\": 2},\n\"p\": 2}",
        "{\"n\": {\"m\": 1 // one}\n}",
        "{\"l\": [[1 # one], \n[2]]}",
    ] {
        check_error(broken, JsonErrorKind::Malformed);
    }
    check_error("{\"n\": 1} # {\"n\": 2}", JsonErrorKind::Ambiguous);
    check("{\"n\": 1, // at \"home\", e.g.: x\n\"m\": 2}", json!({"n": 1, "m": 2}), &[Repair::Comments]);
}

#[test]
fn a_duplicate_key_of_encoded_json_is_named() {
    for twice in ["\"{\\\"a\\\": 1, \\\"a\\\": 2}\"", "{\\\"a\\\": 1, \\\"a\\\": 2}"] {
        let err = extract(twice).unwrap_err();
        assert_eq!(err.kind(), JsonErrorKind::Ambiguous, "{twice}");
        assert!(err.to_string().contains("the key \"a\" twice"), "{twice}: {err}");
    }
}

#[test]
fn long_integers_are_kept_or_refused() {
    let answer = "{\"n\":12345678901234567890123456789}";
    let found = extract(answer).map(|found| found.value.to_string()).map_err(|err| err.to_string());
    if cfg!(feature = "arbitrary_precision") {
        assert_eq!(found.as_deref(), Ok(answer));
    } else {
        assert!(found.unwrap_err().contains("more than 64 bits"));
    }
}

#[cfg(feature = "arbitrary_precision")]
#[test]
fn numbers_keep_their_digits() {
    let digits = [
        "12345678901234567890123456789",
        "-170141183460469231731687303715884105729",
        "0.1234567890123456789",
        "1.50",
        "1e+400",
        "2.5e-8",
        "-0",
        "-0.0",
        "100000000000000000000.0",
    ];
    for digits in digits {
        let answer = format!("{{\"n\": {digits}, \"list\": [{digits}]}}");
        assert_eq!(extract(&answer).unwrap().value.to_string(), answer.replace(": ", ":").replace(", ", ","));
    }
}

#[cfg(feature = "schema")]
mod by_schema {
    use super::super::extract_for;
    use super::*;
    use crate::Schema;

    #[track_caller]
    fn found(answer: &str, schema: &Value) -> Result<(Value, Vec<Repair>), JsonErrorKind> {
        let schema = Schema::new("s", schema.clone()).unwrap();
        let found = extract_for(answer, Strictness::Lenient, |value| schema.is_valid(value));
        found.map(|found| (found.value, found.repairs)).map_err(|err| err.kind())
    }

    #[test]
    fn scalars_are_values_where_the_schema_has_them() {
        let long = "18446744073709551615";
        assert_eq!(found(long, &json!({"type": "integer"})).unwrap().0.to_string(), long);
        assert_eq!(found(" \"Paris\"\n", &json!({"type": "string"})), Ok((json!("Paris"), vec![])));
        assert_eq!(found("true", &json!({"type": "boolean"})), Ok((json!(true), vec![])));
        assert_eq!(found("null", &json!({"type": "null"})), Ok((Value::Null, vec![])));
        assert_eq!(
            found("null", &json!({"anyOf": [{"type": "object"}, {"type": "null"}]})),
            Ok((Value::Null, vec![]))
        );
        assert_eq!(found("\"b\"", &json!({"enum": ["a", "b"]})), Ok((json!("b"), vec![])));
        assert_eq!(found("b", &json!({"enum": ["a", "b"]})), Ok((json!("b"), vec![Repair::Quotes])));
        assert_eq!(found("7", &json!({"const": 7})), Ok((json!(7), vec![])));
        assert_eq!(found("[1, 2]", &json!({"type": "array"})), Ok((json!([1, 2]), vec![])));
        assert_eq!(
            found("<think>3?</think>\n4", &json!({"type": "integer"})),
            Ok((json!(4), vec![Repair::Thoughts]))
        );
        assert_eq!(
            found("```json\n4\n```", &json!({"type": "integer"})),
            Ok((json!(4), vec![Repair::Surroundings]))
        );
        assert_eq!(found("4 or 5", &json!({"type": "integer"})), Err(JsonErrorKind::Missing));
        assert_eq!(found("4", &json!({"type": "object"})), Err(JsonErrorKind::Missing));
        assert_eq!(found("\"Par", &json!({"type": "string"})), Err(JsonErrorKind::Truncated));
        assert_eq!(extract_with("4", Strictness::Lenient).unwrap_err().kind(), JsonErrorKind::Missing);
    }

    #[test]
    fn the_only_value_that_fits_is_taken() {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        let (value, repairs) = found("{\"m\": 1}{\"n\": 2}", &schema).unwrap();
        assert_eq!((value, repairs), (json!({"n": 2}), vec![Repair::OtherValues, Repair::Surroundings]));
        assert_eq!(found("{\"n\": 1}{\"n\": 2}", &schema), Err(JsonErrorKind::Ambiguous));
        assert_eq!(found("{\"n\": 1}\n{\"n\": 1}", &schema).unwrap().0, json!({"n": 1}));
        assert_eq!(found("{\"m\": 1}{\"o\": 2}", &schema), Err(JsonErrorKind::Ambiguous));
        assert_eq!(found("{\"n\": 2} and {\"m", &schema), Err(JsonErrorKind::Truncated));
        let object = found("{\"m\": 1}", &schema).unwrap().0;
        assert_eq!(object, json!({"m": 1}), "the caller says what is wrong with it");
    }

    #[test]
    fn a_wrapper_is_removed_only_where_the_schema_has_none() {
        let integer = json!({"type": "integer"});
        assert_eq!(found("{\"value\": 3}", &integer), Ok((json!(3), vec![Repair::Wrapper])));
        assert_eq!(found("{\"answer\": 3}", &integer), Ok((json!(3), vec![Repair::Wrapper])));
        assert_eq!(found("{\"value\": \"3\"}", &integer), Ok((json!({"value": "3"}), vec![])));
        assert_eq!(found("{\"value\": 3, \"n\": 1}", &integer).unwrap().0, json!({"value": 3, "n": 1}));
        assert_eq!(
            found("{\"error\": \"no\"}", &json!({"type": "string"})).unwrap().0,
            json!({"error": "no"})
        );
        assert_eq!(found("{\"value\": 3}", &json!({"type": "object"})), Ok((json!({"value": 3}), vec![])));
    }
}

proptest! {
    #[test]
    fn every_truncation_of_an_answer_is_an_error(cut in 1_usize..58) {
        let whole = "{\"personas\":[{\"name\":\"Ada, [x]\",\"goals\":[\"a\",\"}\"]}],\"n\":1}";
        prop_assert!(extract(whole).is_ok());
        prop_assert!(extract(&whole[..cut]).is_err());
    }
}

#[test]
fn a_megabyte_of_garbage_is_read_a_limited_number_of_times() {
    // Without a limit, each of these would be read once for each of its brackets: 10^11 steps.
    let size = 1 << 20;
    let many = |piece: &str, end: &str| format!("{}{end}", piece.repeat(size / piece.len()));
    for (piece, end) in [
        ("{a: /*} ", "*/"),
        ("[1 /*] ", "*/ x"),
        ("{x: x > 0} ", ""),
        ("[", ""),
        ("{\"a\":", ""),
        ("[{", "]"),
        ("[1-3] ", ""),
        ("{ ", ""),
        ("[\"", ""),
        ("{'", ""),
        ("{“a”: ‘", ""),
        ("</think>", ""),
        ("<think>", ""),
        ("```json\n{", ""),
        (" ", "{"),
        ("\u{feff}", "{"),
        ("\\\"", "{"),
        ("# [1] ", "\n"),
    ] {
        let garbage = many(piece, end);
        let err = extract(&garbage).err().map(|err| err.to_string()).unwrap_or_default();
        assert!(err.len() < 500, "{piece}: {err}");
        let found = super::super::salvage(&garbage, "/items");
        assert!(found.is_none_or(|found| found.elements.len() <= size), "{piece}");
    }
}

#[test]
fn deep_json_is_refused_with_its_depth() {
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        let err = extract(&open.repeat(100_000)).unwrap_err();
        assert_eq!(err.kind(), JsonErrorKind::Malformed);
        assert!(err.to_string().contains("more than 127 brackets around a value, at its byte "), "{err}");
    }
}

#[test]
fn a_number_of_a_million_digits_is_not_repeated_in_the_error() {
    let message = match extract(&format!("{{\"n\": {}}}", "1".repeat(1 << 20))) {
        Ok(found) => return assert!(cfg!(feature = "arbitrary_precision") && found.repairs.is_empty()),
        Err(err) => err.to_string(),
    };
    assert!(message.len() < 300, "{} bytes", message.len());
}
