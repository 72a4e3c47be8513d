//! Numbers that fit a schema.
//!
//! An integer is computed in 128 bits, so that the bounds of `i64` and `u64` are exact. A number is computed as `f64`,
//! but its `multipleOf` is a fraction of integers: 57 / 100 is the `f64` that a validator expects, and 57 · 0.01 is
//! not.

use rand::RngExt;
use rand::rngs::SmallRng;
use serde_json::{Map, Number, Value};

/// A `multipleOf` as a fraction: 0.25 is 25 / 100.
struct Step {
    step: u64,
    /// A power of ten.
    scale: u64,
}

impl Step {
    /// Returns the smallest integer that is a multiple of the step: an integer that is a multiple of 1.5 is a multiple
    /// of 3.
    fn whole(&self) -> i128 {
        i128::from(self.step / gcd(self.step, self.scale))
    }

    /// Returns a multiple between two bounds, one of the first 101; the lower bound if the quotient is not finite.
    fn multiple(&self, least: f64, most: f64, rng: &mut SmallRng) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "steps are small")]
        let (step, scale) = (self.step as f64, self.scale as f64);
        let (first, last) = ((least * scale / step - 1e-9).ceil(), (most * scale / step + 1e-9).floor());
        if first.is_finite() {
            // Computed as 57 / 100 and not as 57 * 0.01, so that the decimal is exact.
            rng.random_range(first..=last.clamp(first, first + 100.0)).round() * step / scale
        } else {
            least
        }
    }
}

/// Returns an integer between the bounds of a schema. Bounds are exact, also beyond the precision of `f64`.
///
/// Without a minimum, the range begins at 0, or 100 below a maximum under 100. No more than the first 101 multiples of
/// the step are used.
pub(super) fn integer(object: &Map<String, Value>, rng: &mut SmallRng) -> Value {
    let of = |key: &str, is_up: bool| object.get(key).and_then(|value| whole(value, is_up));
    let least =
        of("minimum", true).into_iter().chain(of("exclusiveMinimum", false).map(|least| least + 1)).max();
    let most =
        of("maximum", false).into_iter().chain(of("exclusiveMaximum", true).map(|most| most - 1)).min();
    let step = step(object).map_or(1, |step| step.whole());
    let least = least.unwrap_or_else(|| most.map_or(0, |most| (most - 100).min(0)));
    let first = least.div_euclid(step) + i128::from(least.rem_euclid(step) > 0);
    let last = most.map_or(first + 100, |most| most.div_euclid(step)).clamp(first, first + 100);
    let drawn = step * rng.random_range(first..=last);
    let number = i64::try_from(drawn).map(Number::from).or_else(|_| u64::try_from(drawn).map(Number::from));
    number.map_or(Value::Null, Value::Number)
}

/// Returns a number between the bounds of a schema. An exclusive bound is moved by a millionth.
///
/// Without a minimum, the range begins at 0, or 1 below a maximum under 1; without a maximum, it has a width of 1.
pub(super) fn number(object: &Map<String, Value>, rng: &mut SmallRng) -> Value {
    let of = |key: &str| object.get(key).and_then(Value::as_f64);
    let least =
        of("minimum").into_iter().chain(of("exclusiveMinimum").map(|least| least + 1e-6)).reduce(f64::max);
    let most =
        of("maximum").into_iter().chain(of("exclusiveMaximum").map(|most| most - 1e-6)).reduce(f64::min);
    let least = least.unwrap_or_else(|| most.map_or(0.0, |most| (most - 1.0).min(0.0)));
    // The range is capped: a wider one is not needed.
    let most = most.unwrap_or(least + 1.0).clamp(least, least + 1e9);
    let drawn = match step(object) {
        Some(step) => step.multiple(least, most, rng),
        None => rng.random_range(least..=most),
    };
    Number::from_f64(drawn).map_or(Value::Null, Value::Number)
}

/// Returns an integer bound, rounded up or down if it is a fraction.
fn whole(value: &Value, is_up: bool) -> Option<i128> {
    let exact = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from));
    exact.or_else(|| {
        let rounded = if is_up { value.as_f64()?.ceil() } else { value.as_f64()?.floor() };
        #[expect(clippy::cast_possible_truncation, reason = "clamped to 1e18")]
        let whole = rounded.clamp(-1e18, 1e18) as i128;
        Some(whole)
    })
}

/// Returns `multipleOf` as a fraction, from its decimal digits; `None` if it is missing, not positive, or has too many digits.
fn step(object: &Map<String, Value>) -> Option<Step> {
    let text = object.get("multipleOf")?.to_string();
    let (before, after) = text.split_once('.').unwrap_or((&text, ""));
    let scale = 10_u64.checked_pow(u32::try_from(after.len()).ok()?)?;
    let step: u64 = format!("{before}{after}").parse().ok().filter(|step| *step > 0)?;
    Some(Step { step, scale })
}

/// Returns the greatest common divisor, by Euclid's algorithm.
fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
