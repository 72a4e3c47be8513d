/// A sketch of a text, by which the likeness of two texts is estimated without comparing them.
///
/// The likeness is Jaccard's: the words and pairs of words that two texts share, of all that are in either. Each of 128
/// hash functions keeps its least value over them, and the part of the values that two sketches share estimates it, with a
/// standard error below 0.045: Broder, "On the resemblance and containment of documents", 1997.
///
/// ```
/// use antiphon_text::MinHash;
/// let (one, other) = (MinHash::of("bakes bread at night"), MinHash::of("At night, bakes bread!"));
/// assert!(one.similarity(&other) > 0.5);
/// assert_eq!(one.similarity(&MinHash::of("sells apples")), 0.0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinHash([u32; MinHash::SIZE]);

impl MinHash {
    const SIZE: usize = 128;

    /// The sketch of a text: of its words and pairs of words, whatever their case and punctuation.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let pairs = words.windows(2).map(|pair| pair.join(" "));
        let mut least = [u32::MAX; Self::SIZE];
        for piece in words.iter().cloned().chain(pairs) {
            let mut seed = [0; 8];
            seed.copy_from_slice(&blake3::hash(piece.as_bytes()).as_bytes()[..8]);
            let mut state = u64::from_le_bytes(seed);
            for value in &mut least {
                *value = (*value).min(next(&mut state));
            }
        }
        Self(least)
    }

    /// How alike two texts are, from 0 to 1. Nothing is like nothing else.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> f64 {
        let shared =
            self.0.iter().zip(&other.0).filter(|(one, other)| one == other && **one != u32::MAX).count();
        shared as f64 / Self::SIZE as f64
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): a hash function for each step.
fn next(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::MinHash;

    #[test]
    fn the_estimate_is_near_the_truth() {
        let words: Vec<String> = (0..400).map(|number| format!("w{}x", number * 7919)).collect();
        for shared in [0, 100, 200, 300, 400] {
            // Pairs of words are shared, too, so that the texts' own likeness is that of their words, nearly.
            let one = words[..400].join(" ");
            let other: Vec<String> = words[..shared]
                .iter()
                .cloned()
                .chain((shared..400).map(|number| format!("o{number}")))
                .collect();
            let truth = shared as f64 / (800 - shared) as f64;
            let found = MinHash::of(&one).similarity(&MinHash::of(&other.join(" ")));
            assert!((found - truth).abs() < 0.14, "{shared}: {found} for {truth}");
        }
    }
}
