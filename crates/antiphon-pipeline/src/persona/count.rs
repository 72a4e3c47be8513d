use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number of personas to generate: `3`, `3-5`, `~4` or `3+`.
///
/// | text | variant | least | most |
/// |---|---|---|---|
/// | `3` | [`Exactly`](Self::Exactly) | 3 | 3 |
/// | `3-5`, also with an en dash | [`Between`](Self::Between) | 3 | 5 |
/// | `~8` | [`About`](Self::About) | 6 | 10 |
/// | `3+` | [`AtLeast`](Self::AtLeast) | 3 | 50 |
///
/// Serialised as a number if it is exact, otherwise as the text. Parsing and deserialising refuse what cannot be met; a
/// value that is built from a variant is only checked when the run is prepared.
///
/// # Examples
/// ```
/// use antiphon_pipeline::Count;
/// let count: Count = "3-5".parse()?;
/// assert_eq!((count.least(), count.most()), (3, 5));
/// assert_eq!(Count::from(3).to_string(), "3");
/// # Ok::<(), antiphon_pipeline::NoCount>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Count {
    /// Exactly this number.
    Exactly(usize),
    /// At least the first and at most the second number.
    Between(usize, usize),
    /// About this number: up to a quarter, and at least one, more or fewer.
    About(usize),
    /// This number or more, up to [`Count::MOST`].
    AtLeast(usize),
}

/// The error for a text that is not a number of personas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoCount;

impl fmt::Display for NoCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "invalid number of personas: use 1 to {}, such as 3, 3-5 (the smaller number first), ~4 or 3+",
            Count::MOST
        )
    }
}

impl std::error::Error for NoCount {}

impl Count {
    /// The maximum number of personas in one generation: 50.
    pub const MOST: usize = 50;

    /// Returns the smallest acceptable number. An answer with fewer personas is invalid, unless the others were
    /// rejected as near duplicates.
    #[must_use]
    pub fn least(self) -> usize {
        match self {
            Self::Exactly(count) | Self::AtLeast(count) | Self::Between(count, _) => count,
            Self::About(count) => count.saturating_sub((count / 4).max(1)).max(1),
        }
    }

    /// Returns the largest acceptable number: at most [`MOST`](Self::MOST) for the open-ended variants.
    #[must_use]
    pub fn most(self) -> usize {
        match self {
            Self::Exactly(count) | Self::Between(_, count) => count,
            Self::About(count) => count.saturating_add((count / 4).max(1)).min(Self::MOST),
            Self::AtLeast(_) => Self::MOST,
        }
    }

    /// Returns the expected number, for estimates before the answer: the upper bound of a range, so that they are not
    /// too low, and two more than an open minimum.
    pub(crate) fn likely(self) -> usize {
        match self {
            Self::Exactly(count) | Self::About(count) | Self::Between(_, count) => count,
            Self::AtLeast(count) => count.saturating_add(2).min(Self::MOST),
        }
    }

    /// Returns whether the count can be met: between 1 and [`Count::MOST`], bounds in order.
    pub(crate) fn is_possible(self) -> bool {
        let (fewest, most) = match self {
            Self::Exactly(count) | Self::About(count) | Self::AtLeast(count) => (count, count),
            Self::Between(fewest, most) => (fewest, most),
        };
        1 <= fewest && fewest <= most && most <= Self::MOST
    }
}

impl From<usize> for Count {
    fn from(count: usize) -> Self {
        Self::Exactly(count)
    }
}

impl FromStr for Count {
    type Err = NoCount;

    fn from_str(text: &str) -> Result<Self, NoCount> {
        let number = |text: &str| text.trim().parse().map_err(|_| NoCount);
        let text = text.trim();
        let count = if let Some(about) = text.strip_prefix('~') {
            Self::About(number(about)?)
        } else if let Some(least) = text.strip_suffix('+') {
            Self::AtLeast(number(least)?)
        } else if let Some((least, most)) = text.split_once(['-', '–']) {
            Self::Between(number(least)?, number(most)?)
        } else {
            Self::Exactly(number(text)?)
        };
        if count.is_possible() { Ok(count) } else { Err(NoCount) }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count}"),
            Self::Between(least, most) => write!(f, "{least}-{most}"),
            Self::About(count) => write!(f, "~{count}"),
            Self::AtLeast(least) => write!(f, "{least}+"),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exactly(count) => count.serialize(serializer),
            other => serializer.collect_str(other),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(usize),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(count) => count.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, NoCount};

    #[track_caller]
    fn check(text: &str, least: usize, most: usize) {
        let count: Count = text.parse().unwrap();
        assert_eq!((count.least(), count.most(), count.to_string().as_str()), (least, most, text));
        let written = serde_json::to_string(&count).unwrap();
        assert_eq!(serde_json::from_str::<Count>(&written).unwrap(), count, "{written}");
    }

    #[test]
    fn counts_round_trip_through_text() {
        check("3", 3, 3);
        check("3-5", 3, 5);
        check("~4", 3, 5);
        check("~1", 1, 2);
        check("~20", 15, 25);
        check("3+", 3, 50);
        check("50", 50, 50);
        for wrong in ["", "0", "51", "5-3", "0-3", "3-51", "~0", "-3", "3-", "+", "few", "~51"] {
            assert_eq!(wrong.parse::<Count>(), Err(NoCount), "{wrong}");
        }
    }
}
