//! Prices and limits of models, from a table that is shipped with this crate and from custom tables.
//!
//! A table is TOML, with a section for each model. Prices are in US dollars for a million tokens:
//!
//! ```toml
//! as_of = "2026-11-21"
//!
//! [lab."big-model"]
//! input = 1.0            # tokens of the prompt
//! cached = 0.1           # of the prompt, read from the prompt cache; default: input
//! cache_write = 1.25     # of the prompt, written to the prompt cache; default: input
//! output = 5.0           # tokens of the answer
//! batch = 50             # the price of batch calls, in percent; default: 100
//! context = 1_000_000    # the context window, in tokens
//! max_output = 64_000    # the longest answer, in tokens
//! long_from = 200_000    # prompts of more tokens cost more,
//! long_input = 2.0       # by this factor for the prompt
//! long_output = 1.5      # and this one for the answer
//!
//! [lab."big-*"]          # all other models whose names begin so
//! input = 2.0
//! output = 10.0
//! ```

use std::collections::BTreeMap;
use std::sync::LazyLock;

use antiphon_llm::{Capabilities, Error, ErrorKind, Price, redact};
use serde::Deserialize;

/// The table that is shipped, as text.
const TABLE: &str = include_str!("prices.toml");

/// The shipped table, parsed once. A test makes sure that it can be parsed.
static SHIPPED: LazyLock<Prices> = LazyLock::new(|| Prices::parse("prices.toml", TABLE).unwrap_or_default());

/// A table of models with their prices and limits, for each vendor.
///
/// Prices are in US dollars for a million tokens in the table, and in millionths of a dollar for a million tokens in a
/// [`Price`].
///
/// Models are looked up by the vendor's short name, as in the registry, and by the model's name. A price that is unknown makes
/// the cost of a run unknown, not zero.
///
/// ```
/// use antiphon_providers::prices::Prices;
/// let mine = Prices::parse("mine.toml", r#"
///     as_of = "2026-11-21"
///     [openai."gpt-4o-mini"]
///     input = 0.10
///     output = 0.40
/// "#)?;
/// let prices = Prices::shipped().with(mine);
/// assert_eq!(prices.price("openai", "gpt-4o-mini", 1_000).map(|price| price.input), Some(100_000));
/// assert_eq!(prices.capabilities("openai", "gpt-4o-mini").context_window, Some(128_000));
/// # Ok::<(), antiphon_llm::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Prices {
    /// The date of the table, as `YYYY-MM-DD`.
    pub as_of: String,
    vendors: BTreeMap<String, BTreeMap<String, Entry>>,
}

/// The entry of a model, with the fields of the table; `None` for a field that the table leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with input and output")]
struct Entry {
    input: Option<f64>,
    cached: Option<f64>,
    cache_write: Option<f64>,
    output: Option<f64>,
    batch: Option<u64>,
    context: Option<u64>,
    max_output: Option<u64>,
    long_from: Option<u64>,
    long_input: Option<f64>,
    long_output: Option<f64>,
    /// Whether the entry was merged over a table, as that of a user.
    #[serde(skip)]
    is_set: bool,
}

/// Creates the error of an invalid table.
fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidRequest, message)
}

/// Creates the error of a value that is not a table of models.
fn not_models(path: &str, vendor: &str) -> Error {
    invalid(format!("{path}: {vendor}: not a table of models; write prices below [{vendor}.\"MODEL\"]"))
}

/// Parses the entries of a vendor's models; `path` and `text` are used in errors only.
fn entries(
    path: &str,
    text: &str,
    vendor: &str,
    models: toml::Table,
) -> Result<BTreeMap<String, Entry>, Error> {
    let parsed = models.into_iter().map(|(model, entry)| match entry.try_into::<Entry>() {
        Ok(entry) => Ok((model, entry)),
        Err(err) => {
            let line = line_of(text, vendor, &model);
            Err(invalid(format!("{path}:{line}: {}", advised(&redact(err.message(), &[])))))
        }
    });
    parsed.collect()
}

/// Returns the number of the line with the header of a model, or 1 if none is found.
fn line_of(text: &str, vendor: &str, model: &str) -> usize {
    let is_header =
        |line: &str| line.trim_start().starts_with('[') && line.contains(vendor) && line.contains(model);
    text.lines().position(is_header).map_or(1, |at| at + 1)
}

/// Adds the remedy for the usual mistake: a dot in an unquoted name begins a nested table.
fn advised(message: &str) -> String {
    if message.starts_with("unknown field") {
        format!("{message}; put a model's name with a dot in quotes, as in \"gpt-4.1\"")
    } else {
        message.to_owned()
    }
}

impl Prices {
    /// Returns the table that is shipped with this crate.
    #[must_use]
    pub fn shipped() -> Self {
        SHIPPED.clone()
    }

    /// Parses a table in the format of the shipped one. `path` is used in errors only. A field that the table leaves out for a
    /// model keeps its value when the table is [merged](Self::with) over another one.
    ///
    /// # Errors
    /// `InvalidRequest` with path and line for a text that is not such a table, or for an invalid price.
    pub fn parse(path: &str, text: &str) -> Result<Self, Error> {
        let table: BTreeMap<String, toml::Value> = toml::from_str(text).map_err(|err| {
            let line = err.span().map_or(0, |span| text[..span.start].matches('\n').count()) + 1;
            invalid(format!("{path}:{line}: {}", redact(err.message(), &[])))
        })?;
        let mut prices = Self::default();
        for (vendor, models) in table {
            match models {
                toml::Value::String(day) if vendor == "as_of" => prices.as_of = day,
                toml::Value::Table(models) => {
                    let entries = entries(path, text, &vendor, models)?;
                    prices.vendors.insert(vendor, entries);
                }
                _ => return Err(not_models(path, &vendor)),
            }
        }
        prices.checked(path)
    }

    /// Returns the table if its prices are in range.
    fn checked(self, path: &str) -> Result<Self, Error> {
        for (vendor, models) in &self.vendors {
            if let Some((model, _)) = models.iter().find(|(_, entry)| !entry.is_in_range()) {
                let why = "a price must be a number of at least 0 and below 1,000,000";
                return Err(invalid(format!("{path}: {vendor}.{model}: {why}")));
            }
        }
        Ok(self)
    }

    /// Merges `over` over this table: for a model that both have, the fields that `over` sets replace those of this table.
    #[must_use]
    pub fn with(mut self, over: Self) -> Self {
        for (vendor, models) in over.vendors {
            let known = self.vendors.entry(vendor).or_default();
            for (model, entry) in models {
                let below = known.get(&model).copied().unwrap_or_default();
                // Limits alone leave the price as it is.
                let is_set = entry.input.is_some() || entry.output.is_some() || below.is_set;
                known.insert(model, Entry { is_set, ..entry.over(below) });
            }
        }
        self
    }

    /// Returns the vendor and the name of a model that has a price for prompts or for answers, but not for both; `None` if there
    /// is none. Such a price has no effect.
    #[must_use]
    pub fn half_priced(&self) -> Option<(&str, &str)> {
        let models =
            self.vendors.iter().flat_map(|(vendor, models)| models.iter().map(move |model| (vendor, model)));
        let mut halves = models.filter(|(_, (_, entry))| entry.input.is_some() != entry.output.is_some());
        halves.next().map(|(vendor, (model, _))| (vendor.as_str(), model.as_str()))
    }

    /// Returns the price of a vendor's model for a prompt of about `prompt_tokens` tokens, in millionths of a US dollar for a
    /// million tokens; `None` if the model is not in the table.
    ///
    /// A model is found by its name, with or without the tag `latest`; a dated name that is not in the table, such as
    /// `gpt-4o-2024-08-06`, has the price of the name without the date. A name in the table that ends in `*` is that of all models
    /// that begin so; the longest such name applies, and an entry that was [merged](Self::with) over the table applies before
    /// those of the table.
    #[must_use]
    pub fn price(&self, vendor: &str, model: &str, prompt_tokens: u64) -> Option<Price> {
        self.entry(vendor, model)?.price(prompt_tokens)
    }

    /// Returns the price as [`price`](Self::price) does, if it was merged over another table: a price that a user has set.
    ///
    /// ```
    /// use antiphon_providers::prices::Prices;
    /// let mine = Prices::parse("mine.toml", "[ollama.\"*\"]\ninput = 0.1\noutput = 0.2")?;
    /// let prices = Prices::shipped().with(mine);
    /// assert!(prices.set_price("ollama", "llama3.2:latest", 0).is_some());
    /// assert!(prices.set_price("openai", "gpt-4o", 0).is_none(), "that of the shipped table");
    /// # Ok::<(), antiphon_llm::Error>(())
    /// ```
    #[must_use]
    pub fn set_price(&self, vendor: &str, model: &str, prompt_tokens: u64) -> Option<Price> {
        self.entry_of(vendor, model, |entry| entry.is_set)?.price(prompt_tokens)
    }

    /// Returns the limits of a vendor's model, in tokens; empty if it is not in the table.
    #[must_use]
    pub fn capabilities(&self, vendor: &str, model: &str) -> Capabilities {
        let entry = self.entry(vendor, model).unwrap_or_default();
        Capabilities::default().context_window(entry.context).max_output(entry.max_output)
    }

    /// Returns the names of a vendor's models.
    pub fn models(&self, vendor: &str) -> impl Iterator<Item = &str> {
        self.vendors.get(vendor).into_iter().flat_map(|models| models.keys().map(String::as_str))
    }

    /// Finds the entry of a model: one that was merged over the table before those of the table.
    fn entry(&self, vendor: &str, model: &str) -> Option<Entry> {
        self.entry_of(vendor, model, |entry| entry.is_set).or_else(|| self.entry_of(vendor, model, |_| true))
    }

    /// Finds a model among some entries: by its name, else without its tag `latest` or its date, else by the longest pattern.
    fn entry_of(&self, vendor: &str, model: &str, is_meant: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let models = self.vendors.get(vendor)?;
        let named = |name: &str| models.get(name).copied().filter(&is_meant);
        let tagged = || match model.strip_suffix(":latest") {
            Some(model) => named(model),
            None => named(&format!("{model}:latest")),
        };
        let by_pattern = || {
            let patterns = models.iter().filter_map(|(name, entry)| Some((name.strip_suffix('*')?, entry)));
            let fitting = patterns.filter(|(start, entry)| model.starts_with(start) && is_meant(entry));
            fitting.max_by_key(|(start, _)| start.len()).map(|(_, entry)| *entry)
        };
        named(model).or_else(tagged).or_else(|| named(undated(model)?)).or_else(by_pattern)
    }
}

impl Entry {
    /// Returns the price for a prompt of so many tokens; `None` without a price of prompts or of answers.
    fn price(&self, prompt_tokens: u64) -> Option<Price> {
        let (by_input, by_output) = self.factors(prompt_tokens);
        let input = self.input?;
        let price = Price::new(
            micros(input * by_input),
            micros(self.cached.unwrap_or(input) * by_input),
            micros(self.output? * by_output),
        );
        let written = micros(self.cache_write.unwrap_or(input) * by_input);
        Some(price.cache_write(written).batch_percent(self.batch.unwrap_or(100)))
    }

    /// Returns whether the prices and factors are numbers of at least 0 and below a million.
    fn is_in_range(&self) -> bool {
        let Self { input, cached, cache_write, output, long_input, long_output, .. } = *self;
        let numbers = [input, cached, cache_write, output, long_input, long_output];
        numbers.into_iter().flatten().all(|number| (0.0..1e6).contains(&number))
    }

    /// Returns the factors on the prices of prompt and answer: 1, except for a long prompt.
    fn factors(&self, prompt_tokens: u64) -> (f64, f64) {
        if self.long_from.is_some_and(|from| prompt_tokens > from) {
            (self.long_input.unwrap_or(1.0), self.long_output.unwrap_or(1.0))
        } else {
            (1.0, 1.0)
        }
    }

    /// Returns this entry, with the fields that it leaves out taken from `below`. A new input price also
    /// replaces the prices of cached tokens, since vendors state them relative to it, and a new input or
    /// output price replaces those for long prompts.
    fn over(self, below: Self) -> Self {
        // A new price replaces those for long prompts, too.
        let long = if self.input.is_some() || self.output.is_some() { self } else { below };
        Self {
            input: self.input.or(below.input),
            cached: self.cached.or(if self.input.is_some() { None } else { below.cached }),
            cache_write: self.cache_write.or(if self.input.is_some() { None } else { below.cache_write }),
            output: self.output.or(below.output),
            batch: self.batch.or(below.batch),
            context: self.context.or(below.context),
            max_output: self.max_output.or(below.max_output),
            long_from: self.long_from.or(long.long_from),
            long_input: self.long_input.or(long.long_input),
            long_output: self.long_output.or(long.long_output),
            is_set: self.is_set,
        }
    }
}

/// Returns the price of a vendor's model in the shipped table, as [`Prices::price`] does.
///
/// ```
/// let price = antiphon_providers::prices::price("openai", "gpt-4o-mini", 1_000).ok_or("no price")?;
/// assert_eq!(price.input, 150_000);
/// assert!(antiphon_providers::prices::price("openai", "no-such-model", 0).is_none());
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn price(vendor: &str, model: &str, prompt_tokens: u64) -> Option<Price> {
    SHIPPED.price(vendor, model, prompt_tokens)
}

/// Returns the limits of a vendor's model in the shipped table, as [`Prices::capabilities`] does.
#[must_use]
pub fn capabilities(vendor: &str, model: &str) -> Capabilities {
    SHIPPED.capabilities(vendor, model)
}

/// Returns a name without its date: `gpt-4o-2024-08-06`, `claude-haiku-4-5-20251001`; `None` if it has none.
fn undated(model: &str) -> Option<&str> {
    let has_shape = |tail: &str, shape: &str| {
        tail.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'-' => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    };
    ["-0000-00-00", "-00000000"].iter().find_map(|shape| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(shape.len())?)?;
        has_shape(date, shape).then_some(name)
    })
}

/// Converts dollars to millionths. Prices in the table have few digits, so that rounding is exact.
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
    use super::{Prices, capabilities, price};

    #[test]
    fn the_table_is_complete_and_dated_names_are_found() {
        assert_eq!(Prices::shipped().as_of.len(), "2026-11-21".len());
        let price_of =
            |vendor, model, tokens| price(vendor, model, tokens).map(|price| (price.input, price.output));
        assert_eq!(price_of("openai", "gpt-6-luna", 272_000), Some((100_000, 500_000)));
        assert_eq!(price_of("openai", "gpt-6-luna", 272_001), Some((200_000, 750_000)));
        assert_eq!(price_of("openai", "gpt-4o-2024-08-06", 0), Some((2_500_000, 10_000_000)));
        assert_eq!(price_of("openai", "gpt-4o-audio-preview", 0), None);
        assert_eq!(price_of("anthropic", "claude-haiku-4-5-20251001", 0), Some((1_000_000, 5_000_000)));
        assert_eq!(price("openai", "gpt-6-luna", 0).unwrap().batch().cache_write, 62_500);
        assert_eq!(capabilities("openai", "gpt-4o").context_window, Some(128_000));
        for vendor in ["openai", "anthropic", "gemini"] {
            let shipped = Prices::shipped();
            assert!(shipped.models(vendor).count() > 5);
            assert!(shipped.models(vendor).all(|model| price(vendor, model, 0).is_some()), "{vendor}");
        }
    }

    #[test]
    fn a_custom_table_overrides_the_shipped_one() {
        let mine =
            Prices::parse("m.toml", "[lab.big]\ninput = 1.0\noutput = 2.0\n[openai.gpt-4o]\ninput = 2.0\n");
        let prices = Prices::shipped().with(mine.unwrap());
        let gpt = prices.price("openai", "gpt-4o", 0).unwrap();
        assert_eq!((gpt.input, gpt.cached, gpt.output), (2_000_000, 2_000_000, 10_000_000));
        assert_eq!(prices.price("lab", "big", 0).unwrap().cached, 1_000_000);
        for bad in ["[a.b]\ninput = -1.0\n", "[a.b]\nprice = 1.0\n", "[a.b]\ninput = inf\n"] {
            assert!(Prices::parse("m.toml", bad).unwrap_err().to_string().starts_with("m.toml"), "{bad}");
        }
    }
}
