//! What models cost and how much they take, from a table that is shipped with this crate.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use antiphon_llm::Price;
use serde::Deserialize;

const TABLE: &str = include_str!("prices.toml");

static PRICES: LazyLock<Prices> = LazyLock::new(|| toml::from_str(TABLE).unwrap_or_default());

#[derive(Default, Deserialize)]
struct Prices {
    as_of: String,
    #[serde(flatten)]
    vendors: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Clone, Copy, Deserialize)]
struct Entry {
    input: f64,
    cached: f64,
    output: f64,
    context: u64,
    long_from: Option<u64>,
}

/// The price of a vendor's model for a prompt of about so many tokens; `None` if it is not in the table.
///
/// A dated name such as `gpt-4o-2024-08-06` has the price of the name before the date.
///
/// ```
/// let price = antiphon_providers::prices::price("openai", "gpt-4o-mini", 1_000).ok_or("no price")?;
/// assert_eq!(price.input, 150_000);
/// assert!(antiphon_providers::prices::price("openai", "no-such-model", 0).is_none());
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn price(vendor: &str, model: &str, prompt_tokens: u64) -> Option<Price> {
    let entry = entry(vendor, model)?;
    let is_long = entry.long_from.is_some_and(|from| prompt_tokens > from);
    let (input, output) = if is_long { (2.0, 1.5) } else { (1.0, 1.0) };
    Some(Price::new(micros(entry.input * input), micros(entry.cached * input), micros(entry.output * output)))
}

/// The tokens that prompt and answer of a vendor's model may have together; `None` if it is not in the table.
#[must_use]
pub fn context_window(vendor: &str, model: &str) -> Option<u64> {
    entry(vendor, model).map(|entry| entry.context)
}

/// The day on which the table was true.
#[must_use]
pub fn as_of() -> &'static str {
    &PRICES.as_of
}

fn entry(vendor: &str, model: &str) -> Option<Entry> {
    let models = PRICES.vendors.get(vendor)?;
    models.get(model).or_else(|| models.get(undated(model)?)).copied()
}

/// `gpt-4o-2024-08-06` without its date.
fn undated(model: &str) -> Option<&str> {
    let (name, date) = model.split_at_checked(model.len().checked_sub("-2024-08-06".len())?)?;
    let is_date = date.bytes().zip(*b"-0000-00-00").all(|(byte, shape)| match shape {
        b'-' => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_date.then_some(name)
}

/// Dollars in the table have few digits, so rounding gives back what was written.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "prices are small and not negative"
)]
fn micros(dollars: f64) -> u64 {
    (dollars * 1_000_000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::{as_of, context_window, price};

    #[test]
    fn the_table_is_whole_and_dated_names_are_known() {
        assert_eq!(as_of().len(), "2026-11-21".len());
        let price_of =
            |model, tokens| price("openai", model, tokens).map(|price| (price.input, price.output));
        assert_eq!(price_of("gpt-6-luna", 272_000), Some((100_000, 500_000)));
        assert_eq!(price_of("gpt-6-luna", 272_001), Some((200_000, 750_000)));
        assert_eq!(price_of("gpt-4o-2024-08-06", 0), Some((2_500_000, 10_000_000)));
        assert_eq!(price_of("gpt-4o-audio-preview", 0), None);
        assert_eq!(context_window("openai", "gpt-4o"), Some(128_000));
    }
}
