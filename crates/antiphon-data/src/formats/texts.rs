//! The texts of a reader that are no part of the file, such as strings with escapes.
//!
//! Everything else is borrowed from the file's text. With both in one lifetime, the values of a large file take no more
//! than a pointer and a length each.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

/// The number of texts in the first block, as a power of two; each further block has twice as many as the one before it.
const FIRST: u32 = 6;
/// The number of blocks: more texts than an address space holds.
const BLOCKS: usize = 48;

/// A block of texts, which never moves.
type Block = Box<[OnceCell<Box<str>>]>;

/// An append-only list of texts (arena), which can be added to while the texts in it are borrowed.
#[derive(Debug)]
pub(super) struct Texts {
    blocks: [OnceCell<Block>; BLOCKS],
    count: Cell<usize>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { blocks: std::array::from_fn(|_| OnceCell::new()), count: Cell::new(0) }
    }
}

impl Texts {
    /// Returns a text for as long as the list lives: a borrowed one as it is, any other after adding it.
    pub(super) fn keep<'a>(&'a self, text: Cow<'a, str>) -> &'a str {
        let text = match text {
            Cow::Borrowed(text) => return text,
            Cow::Owned(text) => text,
        };
        // With an offset of one first block, the highest bit is the block and the other bits are the place in it.
        let place = self.count.get() + (1 << FIRST);
        self.count.set(self.count.get() + 1);
        let block = place.ilog2();
        let first = 1_usize << block;
        let cells = usize::try_from(block - FIRST).ok().and_then(|block| self.blocks.get(block));
        let cells = cells.map(|block| block.get_or_init(|| (0..first).map(|_| OnceCell::new()).collect()));
        let cell = cells.and_then(|cells| cells.get(place - first));
        cell.map_or("", |cell| cell.get_or_init(|| text.into_boxed_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::Texts;

    #[test]
    fn texts_stay_in_their_places() {
        let texts = Texts::default();
        let numbers: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        let kept: Vec<&str> = numbers.iter().map(|text| texts.keep(Cow::Owned(text.clone()))).collect();
        assert!(kept.iter().zip(&numbers).all(|(kept, text)| kept == text), "{kept:?}");
        let borrowed = texts.keep(Cow::Borrowed(&*numbers[7]));
        assert!(std::ptr::eq(borrowed, &*numbers[7]), "a borrowed text is not copied");
    }
}
