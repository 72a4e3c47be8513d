//! Random values that fit a JSON schema: the simulator's structured output.
//!
//! A schema is followed from its root. Each step either simplifies the schema, by resolving a reference or by merging
//! the parts of an `allOf` or one branch of an `anyOf` into it (`merge`), or makes a value of one type (`object`,
//! `array`, `text`, `numbers`).
//!
//! A schema comes from a client and may be hostile, or merely recursive. Depth, nesting, and the numbers of values,
//! items and characters are therefore all bounded: a value can be invalid for a schema that asks for too much, but is
//! never too large.
//!
//! | keywords | supported |
//! |---|---|
//! | `type`, `const`, `enum`, `$ref` (within the schema), `allOf`, `anyOf`, `oneOf` | yes |
//! | `properties`, `required`, `additionalProperties`, `dependentRequired`, bounds on their number | yes |
//! | `propertyNames`, for names beyond those of `properties` | yes |
//! | `items`, `prefixItems`, `contains`, `uniqueItems`, bounds on their number | yes |
//! | `pattern`, `format`, bounds on the length | yes |
//! | `minimum`, `maximum`, exclusive ones, `multipleOf` | yes |
//! | `not`, `if`, `patternProperties`, `dependentSchemas`, `unevaluated*` | no: ignored |
//! | `$ref` to an anchor or to another document | no: the value is null |

mod array;
mod keywords;
mod maker;
mod merge;
mod numbers;
mod object;
mod text;

pub(crate) use self::maker::fitting;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;
    use serde_json::{Value, json};

    use super::fitting;

    #[track_caller]
    fn check(schema: Value) {
        let validator = jsonschema::validator_for(&schema).unwrap();
        for seed in 0..50 {
            let value = fitting(&schema, &mut SmallRng::seed_from_u64(seed));
            let errors: Vec<_> = validator.iter_errors(&value).map(|err| err.to_string()).collect();
            assert!(errors.is_empty(), "{value}: {errors:?}");
        }
    }

    #[test]
    fn values_fit_their_schema() {
        check(json!({ "type": "object", "properties": {
            "name": { "type": "string", "minLength": 3, "maxLength": 9 },
            "age": { "type": "integer", "minimum": 18, "maximum": 99 },
            "score": { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
            "step": { "type": "integer", "multipleOf": 5, "minimum": 7 },
            "tags": { "type": "array", "items": { "enum": ["a", "b", "c"] }, "minItems": 2, "maxItems": 3, "uniqueItems": true },
            "born": { "type": "string", "format": "date" },
            "maybe": { "type": ["string", "null"] },
            "fixed": { "const": 7 },
        }, "required": ["name", "age", "tags", "fixed"], "additionalProperties": false }));
        check(json!({ "type": "array", "items": { "$ref": "#/$defs/node" }, "minItems": 1, "$defs": {
            "node": { "type": "object", "required": ["id", "next"], "properties": {
                "id": { "type": "string", "pattern": "^[a-z]{3}-\\d{2,4}$" },
                "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] },
            } },
        } }));
        check(json!({ "allOf": [
            { "type": "object", "properties": { "a": { "type": "boolean" } }, "required": ["a"] },
            { "properties": { "b": { "oneOf": [{ "type": "integer", "maximum": -5 }, { "type": "string", "pattern": "x+|y" }] } }, "required": ["b"] },
        ] }));
        check(json!({ "type": "object", "additionalProperties": { "type": "integer" }, "minProperties": 2 }));
        check(
            json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": "number", "multipleOf": 0.5 }], "items": false, "minItems": 2 }),
        );
        check(json!({ "type": "string", "minLength": 200 }));
        check(json!({}));
    }

    #[test]
    fn merged_schemas_keep_all_their_constraints() {
        let list = json!({ "type": "array", "items": { "type": "string" } });
        check(json!({ "$ref": "#/$defs/list", "minItems": 5, "$defs": { "list": list } }));
        let property = |schema: Value| json!({ "properties": { "a": schema }, "required": ["a"] });
        check(
            json!({ "type": "object", "allOf": [property(json!({ "type": "integer" })), property(json!({ "minimum": 5 }))] }),
        );
        check(json!({ "type": "integer", "allOf": [{ "minimum": 50 }, { "minimum": 1 }] }));
        check(
            json!({ "type": ["string", "integer"], "allOf": [{ "type": "integer" }, { "enum": [1, 2, "x"] }] }),
        );
        check(json!({ "type": "integer", "minimum": 18, "description": "Not under minimum: 16 elsewhere." }));
    }

    #[test]
    fn texts_and_numbers_keep_all_their_bounds() {
        for (pattern, key, length) in [
            ("^[a-z]+$", "minLength", 5),
            ("^[a-z]*$", "maxLength", 2),
            ("^[a-z]{1500}$", "minLength", 1_500),
        ] {
            check(json!({ "type": "string", "pattern": pattern, key: length }));
        }
        check(json!({ "type": "string", "format": "uri", "maxLength": 10 }));
        check(
            json!({ "type": "array", "uniqueItems": true, "minItems": 2, "items": { "type": "string", "pattern": "^[a-z]+$" } }),
        );
        check(
            json!({ "type": "array", "uniqueItems": true, "minItems": 2, "items": { "type": "number", "multipleOf": 0.5 } }),
        );
        check(json!({ "type": "number", "multipleOf": 0.01, "minimum": 0.57 }));
        check(json!({ "type": "integer", "minimum": 0, "exclusiveMinimum": 5 }));
        check(json!({ "type": "integer", "multipleOf": 1.5 }));
        check(
            json!({ "type": "integer", "minimum": 9_007_199_254_740_993_u64, "maximum": 9_007_199_254_740_995_u64 }),
        );
    }

    #[test]
    fn objects_and_lists_keep_all_their_bounds() {
        let two = json!({ "a": { "type": "integer" }, "b": { "type": "integer" } });
        check(
            json!({ "type": "object", "properties": two, "minProperties": 2, "additionalProperties": false }),
        );
        check(json!({ "type": "object", "properties": two, "maxProperties": 1 }));
        check(json!({ "type": "object", "properties": two, "dependentRequired": { "a": ["b"] } }));
        check(json!({ "type": "object", "propertyNames": { "pattern": "^[a-z]{4}$" }, "minProperties": 3 }));
        check(
            json!({ "type": "array", "items": { "type": "integer" }, "contains": { "minimum": 7 }, "maxItems": 3 }),
        );
    }

    #[test]
    fn the_size_of_a_value_is_bounded() {
        let all: serde_json::Map<String, Value> =
            (0..20).map(|at| (format!("p{at}"), json!({ "$ref": "#" }))).collect();
        check(json!({ "type": "object", "properties": all }));
        for endless in [
            json!({ "type": "object", "minProperties": 4_000_000_000_u64 }),
            json!({ "type": "object", "required": ["a", "b"], "properties": { "a": { "$ref": "#" }, "b": { "$ref": "#" } } }),
            json!({ "type": "string", "pattern": "^(((a{1000}){1000}){100})$" }),
            json!({ "type": "string", "pattern": "^(((()){1000}){1000}){1000}$" }),
            json!({ "type": "array", "minItems": 10_000, "items": { "type": "string", "minLength": 100_000 } }),
            json!({ "type": "array", "minItems": 10_000, "items": { "pattern": "^(((()){1000}){1000}){1000}$" } }),
            json!({ "type": "number", "minimum": 1.7e308, "multipleOf": 0.01 }),
        ] {
            let length = fitting(&endless, &mut SmallRng::seed_from_u64(1)).to_string().len();
            assert!(length < 1_000_000, "{length}");
        }
    }

    #[test]
    fn recursive_schemas_end() {
        let expression = json!({ "anyOf": [{ "$ref": "#/$defs/number" }, { "$ref": "#/$defs/sum" }], "$defs": {
            "number": { "type": "object", "required": ["number"], "properties": { "number": { "type": "integer" } } },
            "sum": { "type": "object", "required": ["left", "right"], "properties": {
                "left": { "anyOf": [{ "$ref": "#/$defs/sum" }, { "$ref": "#/$defs/number" }] },
                "right": { "anyOf": [{ "$ref": "#/$defs/number" }, { "$ref": "#/$defs/sum" }] },
            } },
        } });
        check(expression);
        for endless in [
            json!({ "$ref": "#" }),
            json!({ "type": "object", "required": ["a"], "properties": { "a": { "$ref": "#" } } }),
        ] {
            fitting(&endless, &mut SmallRng::seed_from_u64(1));
        }
        let huge = json!({ "type": "array", "minItems": u64::MAX, "items": { "type": "number", "minimum": -1.7e308, "maximum": 1.7e308 } });
        assert_eq!(fitting(&huge, &mut SmallRng::seed_from_u64(1)).as_array().unwrap().len(), 10_000);
    }

    #[test]
    fn bounds_that_only_the_description_has_are_kept() {
        let text = json!({ "type": "array", "description": "Goals. (minItems: 2, maxItems: 2)",
            "items": { "type": "string", "description": "pattern: \"^d[0-9]{1,6}$\"" } });
        for seed in 0..50 {
            let value = fitting(&text, &mut SmallRng::seed_from_u64(seed));
            let items = value.as_array().unwrap();
            let is_id = |item: &Value| {
                item.as_str().unwrap().strip_prefix('d').is_some_and(|id| id.parse::<u32>().is_ok())
            };
            assert!(items.len() == 2 && items.iter().all(is_id), "{value}");
        }
    }

    #[test]
    fn a_value_is_reproducible_by_seed() {
        let schema = json!({ "type": "array", "items": { "type": "string" }, "minItems": 3 });
        let of = |seed| fitting(&schema, &mut SmallRng::seed_from_u64(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
