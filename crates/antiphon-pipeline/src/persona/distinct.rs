use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A sketch of a text, by which the likeness of two texts is estimated without comparing them.
///
/// The likeness is Jaccard's: the words and pairs of words that two texts share, of all that are in either. Each of 128
/// hash functions keeps its least value over them, and the part of the values that two sketches share estimates it, with a
/// standard error below 0.045: Broder, "On the resemblance and containment of documents", 1997.
///
/// ```
/// use antiphon_pipeline::MinHash;
/// let (one, other) = (MinHash::of("bakes bread at night"), MinHash::of("At night, bakes bread!"));
/// assert!(one.similarity(&other) > 0.5);
/// assert_eq!(one.similarity(&MinHash::of("sells apples")), 0.0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinHash([u32; MinHash::SIZE]);

/// A persona that was too much like another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refused {
    /// Its name.
    pub name: String,
    /// What it was about.
    pub title: String,
    /// The name of the one it is like.
    pub like: String,
    /// How much, from 0 to 1.
    pub similarity: f64,
}

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

/// Of drafts those that are unlike all before them, and why the others are not.
pub(crate) fn sort_out(drafts: &[Value], max_similarity: f64) -> (Vec<Value>, Vec<Refused>) {
    let mut kept: Vec<(MinHash, &Value)> = Vec::new();
    let mut refused = Vec::new();
    for draft in drafts {
        let sketch = MinHash::of(&substance(draft));
        let likest = kept
            .iter()
            .map(|(other, value)| (sketch.similarity(other), value))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(similarity, _)| *similarity > max_similarity);
        match likest {
            Some((similarity, other)) => refused.push(Refused {
                name: text(draft, "name"),
                title: text(draft, "title"),
                like: text(other, "name"),
                similarity,
            }),
            None => kept.push((sketch, draft)),
        }
    }
    (kept.into_iter().map(|(_, draft)| draft.clone()).collect(), refused)
}

fn text(draft: &Value, key: &str) -> String {
    draft[key].as_str().unwrap_or_default().to_owned()
}

/// What is said of a persona, without what it is called: another name makes no other persona.
fn substance(draft: &Value) -> String {
    let lists = ["goals", "pain_points", "behaviours", "motivations"];
    let claims = lists.iter().flat_map(|list| draft[list].as_array().into_iter().flatten());
    let claims = claims.filter_map(|claim| claim.as_str().or_else(|| claim["claim"].as_str()));
    std::iter::once(draft["title"].as_str().unwrap_or_default()).chain(claims).collect::<Vec<_>>().join(" . ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MinHash, sort_out};

    fn draft(name: &str, goals: &[&str]) -> Value {
        let goals: Vec<_> = goals.iter().map(|goal| json!({ "claim": goal })).collect();
        json!({ "name": name, "title": "Bakes", "goals": goals, "pain_points": [], "behaviours": [], "motivations": [] })
    }

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

    #[test]
    fn another_name_makes_no_other_persona() {
        let first =
            draft("Ada", &["wants to sleep longer in the morning", "wants her orders to come by themselves"]);
        let renamed = draft(
            "Bea",
            &["Wants to sleep longer, in the morning", "Wants her orders to come by themselves!"],
        );
        let other = draft("Cy", &["sells apples at the market", "keeps his prices in a notebook"]);
        let (kept, refused) = sort_out(&[first.clone(), renamed, other.clone()], 0.6);
        assert_eq!(kept, [first.clone(), other]);
        assert_eq!((refused.len(), refused[0].name.as_str(), refused[0].like.as_str()), (1, "Bea", "Ada"));
        assert_eq!(sort_out(&[first.clone(), first], 1.0).0.len(), 2, "1 keeps all");
        let empty = draft("", &[]);
        let (_, refused) = sort_out(&[json!({}), json!({}), empty], 0.6);
        assert_eq!(refused.len(), 0, "of nothing there is nothing to compare");
    }
}
