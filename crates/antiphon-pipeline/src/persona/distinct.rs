//! Near-duplicate rejection: a persona that resembles an earlier one of the same answer is rejected.
//!
//! Similarity is estimated from MinHash sketches of words and pairs of adjacent words, which approximate the Jaccard
//! similarity of two texts: A. Z. Broder, "On the resemblance and containment of documents", 1997. Title and claims are
//! compared, but neither names, demographics nor quotes: see `substance`.

use antiphon_text::MinHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A persona that was rejected as a near duplicate of another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Duplicate {
    /// The name of the rejected persona.
    pub name: String,
    /// The title of the rejected persona.
    pub title: String,
    /// The name of the persona that it resembles.
    pub like: String,
    /// The similarity of the two, from 0 to 1.
    pub similarity: f64,
}

/// Separates the drafts that differ from all before them from near duplicates (MinHash).
///
/// A draft is a near duplicate if its similarity to any draft that was kept is greater than `max_similarity`: a
/// similarity of exactly that is accepted, so that 1 keeps all. The earlier of two similar drafts is kept. Each draft
/// is compared with all that were kept, which is quadratic, but personas are few.
pub(crate) fn deduplicate(drafts: &[Value], max_similarity: f64) -> (Vec<Value>, Vec<Duplicate>) {
    let mut kept: Vec<(MinHash, &Value)> = Vec::new();
    let mut duplicates = Vec::new();
    for draft in drafts {
        let sketch = MinHash::of(&substance(draft));
        match most_similar(&kept, &sketch).filter(|(similarity, _)| *similarity > max_similarity) {
            Some((similarity, other)) => duplicates.push(Duplicate {
                name: text(draft, "name"),
                title: text(draft, "title"),
                like: text(other, "name"),
                similarity,
            }),
            None => kept.push((sketch, draft)),
        }
    }
    (kept.into_iter().map(|(_, draft)| draft.clone()).collect(), duplicates)
}

/// Returns the draft among those that were kept which is most similar to a sketch, with its similarity; of equally
/// similar ones the last.
fn most_similar<'d>(kept: &[(MinHash, &'d Value)], sketch: &MinHash) -> Option<(f64, &'d Value)> {
    let compared = kept.iter().map(|(other, draft)| (sketch.similarity(other), *draft));
    compared.max_by(|a, b| a.0.total_cmp(&b.0))
}

/// Returns a text of a draft; empty if there is none.
fn text(draft: &Value, key: &str) -> String {
    draft[key].as_str().unwrap_or_default().to_owned()
}

/// Returns the text of a persona without its name: a persona with another name alone is still a duplicate.
fn substance(draft: &Value) -> String {
    let lists = ["goals", "pain_points", "behaviours", "motivations"];
    let claims = lists.iter().flat_map(|list| draft[list].as_array().into_iter().flatten());
    let claims = claims.filter_map(|claim| claim.as_str().or_else(|| claim["claim"].as_str()));
    std::iter::once(draft["title"].as_str().unwrap_or_default()).chain(claims).collect::<Vec<_>>().join(" . ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::deduplicate;

    fn draft(name: &str, goals: &[&str]) -> Value {
        let goals: Vec<_> = goals.iter().map(|goal| json!({ "claim": goal })).collect();
        json!({ "name": name, "title": "Bakes", "goals": goals, "pain_points": [], "behaviours": [], "motivations": [] })
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
        let (kept, duplicates) = deduplicate(&[first.clone(), renamed, other.clone()], 0.6);
        assert_eq!(kept, [first.clone(), other]);
        assert_eq!(
            (duplicates.len(), duplicates[0].name.as_str(), duplicates[0].like.as_str()),
            (1, "Bea", "Ada")
        );
        assert_eq!(deduplicate(&[first.clone(), first], 1.0).0.len(), 2, "1 keeps all");
        let empty = draft("", &[]);
        let (_, duplicates) = deduplicate(&[json!({}), json!({}), empty], 0.6);
        assert_eq!(duplicates.len(), 0, "empty drafts are not compared");
    }
}
