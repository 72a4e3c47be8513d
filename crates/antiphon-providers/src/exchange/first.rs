//! The first elements of a list in an answer: a server may send millions of empty ones, each of which would take a hundred times its
//! bytes in memory.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

/// The maximum number of alternatives that are read of one piece: one is requested.
#[cfg(any(feature = "_chat", feature = "gemini"))]
pub(crate) const MAX_CHOICES: usize = 64;

/// The maximum number of parts that are read of one piece; an answer has a few.
pub(crate) const MAX_PARTS: usize = 4_096;

/// Reads the first `MAX` elements of a list, and skips the others; `None` for null.
///
/// # Errors
/// The error of an element that is kept and has another shape, and of a value that is no list.
pub(crate) fn first<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Option<Vec<Option<T>>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_option(First::<T, MAX>(PhantomData))
}

/// The visitor of a list of which the first `MAX` elements are kept.
struct First<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for First<T, MAX> {
    type Value = Option<Vec<Option<T>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MAX {
            match elements.next_element()? {
                Some(element) => kept.push(element),
                None => return Ok(Some(kept)),
            }
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(kept))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::first;

    #[derive(Deserialize)]
    struct Chunk {
        #[serde(default, deserialize_with = "first::<_, _, 3>")]
        choices: Option<Vec<Option<u8>>>,
    }

    #[track_caller]
    fn check(json: &str, expected: Option<&[Option<u8>]>) {
        let chunk: Chunk = serde_json::from_str(json).unwrap();
        assert_eq!(chunk.choices.as_deref(), expected, "{json}");
    }

    #[test]
    fn the_first_elements_are_kept_and_the_others_are_skipped() {
        check("{}", None);
        check("{\"choices\":null}", None);
        check("{\"choices\":[]}", Some(&[]));
        check("{\"choices\":[1,null]}", Some(&[Some(1), None]));
        check("{\"choices\":[1,2,3,{\"x\":[4]},\"5\"]}", Some(&[Some(1), Some(2), Some(3)]));
        for broken in ["{\"choices\":[\"1\"]}", "{\"choices\":{}}", "{\"choices\":[1,2,3,4"] {
            assert!(serde_json::from_str::<Chunk>(broken).is_err(), "{broken}");
        }
    }
}
