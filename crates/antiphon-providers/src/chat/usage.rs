//! The token counts of OpenAI's two APIs, and of the many servers that have other names for some of them.

use antiphon_llm::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::count_in;

/// The fields of a report, of which a server sends a few. What is odd in one of them must not lose the others, so that each is
/// read by itself.
#[derive(Deserialize)]
struct Report<'a> {
    #[serde(borrow, default)]
    prompt_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    total_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_tokens_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input_tokens_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    completion_tokens_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens_details: Option<&'a RawValue>,
    /// The name of DeepSeek.
    #[serde(borrow, default)]
    prompt_cache_hit_tokens: Option<&'a RawValue>,
    /// The name of Moonshot.
    #[serde(borrow, default)]
    cached_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_creation_input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_tokens: Option<&'a RawValue>,
}

/// The parts of a count.
#[derive(Deserialize, Default)]
struct Details<'a> {
    #[serde(borrow, default)]
    cached_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_write_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_tokens: Option<&'a RawValue>,
}

impl<'a> Details<'a> {
    /// Reads those of the first name that the report has.
    fn of(names: [Option<&'a RawValue>; 2]) -> Self {
        names.into_iter().flatten().find_map(|details| object_in(details.get())).unwrap_or_default()
    }
}

/// Reads an object; `None` for any other JSON, also for a list, which would be read as the fields in their order.
fn object_in<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    json.starts_with('{').then(|| serde_json::from_str(json).ok()).flatten()
}

/// Reads token counts: `prompt_tokens` includes cached ones, and `completion_tokens` includes reasoning. `None` for an object
/// without counts.
///
/// xAI counts reasoning apart, which shows in its total (<https://docs.x.ai/docs/guides/reasoning>).
pub(crate) fn usage_of(report: &str) -> Option<Usage> {
    let report: Report<'_> = object_in(report)?;
    let (input, output) =
        (report.prompt_tokens.or(report.input_tokens), report.completion_tokens.or(report.output_tokens));
    input.or(output)?;
    let of_input = Details::of([report.prompt_tokens_details, report.input_tokens_details]);
    let of_output = Details::of([report.completion_tokens_details, report.output_tokens_details]);
    let cached = of_input.cached_tokens.or(report.prompt_cache_hit_tokens).or(report.cached_tokens);
    let written = of_input.cache_write_tokens.or(report.cache_creation_input_tokens);
    let reasoning = of_output.reasoning_tokens.or(report.reasoning_tokens).and_then(count_in);
    let (input, output) = (input.and_then(count_in), output.and_then(count_in));
    let apart = input.zip(output).zip(reasoning).and_then(|((input, output), reasoning)| {
        let whole = output.checked_add(reasoning)?;
        let total = count_in(report.total_tokens?)?;
        (reasoning > 0 && input.checked_add(whole)? == total).then_some(whole)
    });
    let usage = Usage::new(input, apart.or(output)).reasoning(reasoning);
    Some(usage.cached(cached.and_then(count_in)).cache_write(written.and_then(count_in)))
}

#[cfg(test)]
mod tests {
    use antiphon_llm::Usage;

    use super::usage_of;

    #[test]
    fn an_odd_field_loses_no_other_count() {
        let some = |input, output| Some(Usage::new(input, output));
        assert_eq!(usage_of(r#"{"prompt_tokens":9,"completion_tokens":2}"#), some(Some(9), Some(2)));
        assert_eq!(usage_of(r#"{"input_tokens":9.0,"output_tokens":"2"}"#), some(Some(9), None));
        assert_eq!(usage_of(r#"{"prompt_tokens":null,"input_tokens":3}"#), some(Some(3), None));
        assert_eq!(usage_of(r#"{"prompt_tokens":-1,"input_tokens":3}"#), some(None, None));
        assert_eq!(
            usage_of(r#"{"prompt_tokens":9,"prompt_tokens_details":[7],"completion_tokens_details":null}"#),
            some(Some(9), None)
        );
        for none in ["{}", "[]", "null", "7", r#"{"total_tokens":5}"#, r#"{"prompt_tokens":null}"#] {
            assert_eq!(usage_of(none), None, "{none}");
        }
    }

    #[test]
    fn parts_have_several_names() {
        let whole = r#"{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},
            "completion_tokens_details":{"reasoning_tokens":3}}"#;
        let expected = Usage::new(Some(9), Some(5)).cached(Some(4)).reasoning(Some(3));
        assert_eq!(usage_of(whole), Some(expected));
        let apart = r#"{"prompt_tokens":9,"completion_tokens":2,"total_tokens":14,"reasoning_tokens":3,"cached_tokens":4}"#;
        assert_eq!(usage_of(apart), Some(expected));
    }
}
