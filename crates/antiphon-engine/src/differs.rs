//! The names of what differs between a run and the mapping that is to resume it.
//!
//! A fingerprint is a digest: it shows that something changed, and not what. So the parts of the identity are stored as
//! a note beside the run, and compared here for the error message. The input is compared last, row by row, since that
//! reads both.
//!
//! | part | message |
//! |---|---|
//! | recipe file | `recipe line 2 changed`, or `prompt of the recipe changed` |
//! | sampling parameters, of the recipe or the configuration | `top_p was 0.5 and is 0.9` |
//! | settings of the provider | `settings of the provider changed`: only their digest is stored |
//! | model, provider, base URL, format, `--max-rows` | `model was small and is large` |
//! | input | `input row 17 changed`, `input has 3 rows more`, `input ends behind row 1000` |

use antiphon_data::Row;
use antiphon_llm::SamplingParams;
use antiphon_store::Run;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::failed_rows::note_of;
use crate::feed::RowSource;
use crate::input::InputIdentity;

/// The stored identity of an earlier run, from which differences are named.
pub(super) struct Before {
    /// The parts of the run's identity. Earlier versions stored only the request and the input's digest.
    parts: Map<String, Value>,
    /// The text of the recipe file.
    recipe: Option<String>,
}

/// The parts of an identity, with their names in messages. The order is that in which differences are reported.
const NAMES: [(&str, &str); 7] = [
    ("recipe", "recipe"),
    ("model", "model"),
    ("provider", "provider"),
    ("base_url", "base URL"),
    ("variant", "settings of the provider"),
    ("format", "format"),
    ("limit", "--max-rows"),
];

impl Before {
    /// Collects the parts from a run's stored request, and from the notes of its identity and of its input.
    pub(super) fn new(request: &str, identity: Option<&str>, input: Option<&str>) -> Self {
        let request: Value = serde_json::from_str(request).unwrap_or_default();
        let recipe = text_of(&request).map(str::to_owned);
        let noted = identity.and_then(|note| serde_json::from_str(note).ok());
        let parts = noted.unwrap_or_else(|| parts_of(&request, input));
        Self { parts, recipe }
    }

    /// Names the parts that differ, except for the input. `request` is the new one.
    pub(super) fn differences(&self, identity: &Value, request: &str) -> Vec<String> {
        let request: Value = serde_json::from_str(request).unwrap_or_default();
        let differs = |(key, name): (&str, &str)| {
            let (was, is) = (self.parts.get(key)?, &identity[key]);
            if was == is {
                return None;
            }
            Some(match key {
                "recipe" => self.recipe_differences(was, is, text_of(&request)),
                "variant" => vec![format!("{name} changed")],
                _ => vec![format!("{name} was {} and is {}", shown(was), shown(is))],
            })
        };
        NAMES.into_iter().filter_map(differs).flatten().collect()
    }

    /// Names the sampling parameters that differ, and what else differs in the recipe.
    fn recipe_differences(&self, was: &Value, is: &Value, text: Option<&str>) -> Vec<String> {
        let parameters = |recipe: &Value| recipe["parameters"].as_object().cloned().unwrap_or_default();
        let (before, now) = (parameters(was), parameters(is));
        let named = SamplingParams::NAMES.into_iter().filter_map(|name| {
            let (was, is) = (before.get(name).unwrap_or(&Value::Null), now.get(name).unwrap_or(&Value::Null));
            (was != is).then(|| format!("{name} was {} and is {}", shown(was), shown(is)))
        });
        let mut found: Vec<String> = named.collect();
        let rest = |recipe: &Value| {
            let mut recipe = recipe.clone();
            recipe["parameters"] = Value::Null;
            recipe
        };
        if found.is_empty() || rest(was) != rest(is) {
            found.insert(0, self.recipe_difference(was, is, text));
        }
        found
    }

    /// Names the first line of the recipe file that differs, or else the first key: for a recipe that was built in
    /// code, or one whose text is the same and whose defaults changed with the version of this program.
    fn recipe_difference(&self, was: &Value, is: &Value, text: Option<&str>) -> String {
        let texts = self.recipe.as_deref().zip(text).filter(|(before, now)| before != now);
        if let Some((before, now)) = texts {
            let same = before.lines().zip(now.lines()).take_while(|(before, now)| before == now).count();
            return format!("recipe line {} changed", same + 1);
        }
        let keys = was.as_object().into_iter().chain(is.as_object()).flat_map(Map::keys);
        match keys.into_iter().find(|key| was.get(*key) != is.get(*key)) {
            Some(key) => format!("{key} of the recipe changed"),
            None => "recipe changed".to_owned(),
        }
    }

    /// Returns whether the input is known to be the same. If not, it may still be so: its digest may not have been stored.
    pub(super) fn has_input(&self, identity: &Value) -> bool {
        self.parts.get("input").is_some_and(|was| *was == identity["input"])
    }

    /// Names the parts that may differ, where no difference was found.
    pub(super) fn unknown(&self) -> String {
        let unknown = NAMES.into_iter().filter(|(key, _)| !self.parts.contains_key(*key));
        let unknown: Vec<&str> = unknown.map(|(_, name)| name).collect();
        format!(
            "{} changed",
            if unknown.is_empty() { "its identity".to_owned() } else { unknown.join(" or ") }
        )
    }

    /// Compares an input with the stored rows of a run, up to the first difference. If all rows of a sealed run are
    /// the same, the inputs differ only if the digest of the earlier input is known, and another one.
    ///
    /// Both are read in pages, so the memory that this takes does not grow with the input. Of a run whose input was not
    /// read to its end, only the rows that it has can be compared.
    ///
    /// # Errors
    /// `Input` and `Store` where they cannot be read.
    pub(super) async fn input_difference(
        &self,
        run: &Run,
        mut rows: RowSource,
        max_rows: Option<u64>,
    ) -> Result<Option<String>, Error> {
        let mut left = max_rows.unwrap_or(u64::MAX);
        let (mut pages, mut stored) = (run.pages(), Vec::new().into_iter());
        let (mut number, mut more) = (0, 0);
        while left > 0 {
            let batch = rows.next().await.map_err(Error::input)?;
            if batch.is_empty() {
                break;
            }
            for row in batch.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                left -= 1;
                if more == 0 && stored.len() == 0 {
                    stored = pages.next().await.map_err(Error::store)?.into_iter();
                }
                match stored.next() {
                    Some(job) if is_same(&job.row, &row) => number += 1,
                    Some(_) => return Ok(Some(format!("input row {} changed", number + 1))),
                    // The input was not read to its end, so nothing is known of its further rows.
                    None if run.record().total.is_none() => {
                        return Ok(Some(format!("input changed behind row {number}")));
                    }
                    None => more += 1,
                }
            }
        }
        if more > 0 {
            return Ok(Some(format!("input has {} more", counted(more))));
        }
        let mut fewer = stored.len() as u64;
        loop {
            match pages.next().await.map_err(Error::store)?.len() as u64 {
                0 => break,
                jobs => fewer += jobs,
            }
        }
        Ok(match (fewer, run.record().total) {
            (0, Some(_)) if self.parts.contains_key("input") => {
                Some("input changed, though none of its rows did".to_owned())
            }
            (0, Some(_)) => None,
            (0, None) => Some(format!("input ends behind row {number}")),
            (fewer, Some(_)) => Some(format!("input has {} fewer", counted(fewer))),
            (fewer, None) => Some(format!("input has at least {} fewer", counted(fewer))),
        })
    }
}

/// Returns the parts of an identity that the request and the note of the input contain, for a run of an earlier
/// version.
fn parts_of(request: &Value, input: Option<&str>) -> Map<String, Value> {
    let mut parts = Map::new();
    if request.get("limits").is_some() {
        parts.insert("limit".to_owned(), request["limits"]["max_rows"].clone());
    }
    if let Some(model) = request.get("model").filter(|model| model.is_string()) {
        parts.insert("model".to_owned(), model.clone());
    }
    if let Some(input) = input.map(InputIdentity::of_note) {
        parts.insert("input".to_owned(), json!(input.digest));
        parts.insert("format".to_owned(), json!(input.format));
    }
    parts
}

/// Returns the text of the recipe file in a request, if it has one.
fn text_of(request: &Value) -> Option<&str> {
    request["recipe"]["text"].as_str()
}

/// Returns a part of an identity as it appears in a message: texts without quotes.
fn shown(part: &Value) -> String {
    match part {
        Value::Null => "not set".to_owned(),
        Value::String(text) => text.clone(),
        part => part.to_string(),
    }
}

/// Returns a number of rows as text: `1 row`, `2 rows`.
fn counted(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// Returns whether a stored row is equal to one of the input. Bad rows are compared by their text, since their file may have
/// moved.
fn is_same(stored: &str, row: &Row) -> bool {
    let text_of = |row: &str| {
        let row: Option<Value> = serde_json::from_str(row).ok();
        row.map(|row| row["_antiphon"]["text"].clone())
    };
    match row {
        Ok(row) => stored == row,
        Err(failure) => text_of(stored) == text_of(&note_of(failure)),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_store::{NewRun, Store};
    use serde_json::{Value, json};

    use super::Before;
    use crate::feed::RowSource;

    fn identity() -> Value {
        json!({
            "kind": "map/1", "recipe": { "prompt": "a", "attempts": 2 }, "model": "small", "provider": "sim",
            "base_url": "http://a", "variant": null, "input": "digest", "format": null, "limit": 20,
        })
    }

    fn request(recipe: &str) -> String {
        json!({ "recipe": { "text": recipe }, "model": "small", "limits": { "max_rows": 20 } }).to_string()
    }

    #[track_caller]
    fn check(key: &str, value: Value, recipe: &str, expected: &[&str]) {
        let before = Before::new(&request("one\ntwo\nthree"), Some(&identity().to_string()), None);
        let mut now = identity();
        now[key] = value;
        assert_eq!(before.differences(&now, &request(recipe)), expected, "{key}");
        assert_eq!(before.has_input(&now), key != "input");
    }

    #[test]
    fn each_part_that_differs_is_named_with_what_it_was_and_is() {
        let same = "one\ntwo\nthree";
        let recipe = json!({ "prompt": "b", "attempts": 2 });
        check("kind", json!("map/1"), same, &[]);
        check("recipe", recipe.clone(), "one\n2\nthree", &["recipe line 2 changed"]);
        check("recipe", recipe.clone(), "one\ntwo\nthree\nfour", &["recipe line 4 changed"]);
        check("recipe", recipe, same, &["prompt of the recipe changed"]);
        check("recipe", identity()["recipe"].clone(), "one # a comment", &[]);
        let drawn = |parameters: Value| json!({ "prompt": "a", "attempts": 2, "parameters": parameters });
        check("recipe", drawn(json!({ "top_p": 0.5 })), same, &["top_p was not set and is 0.5"]);
        let stop = drawn(json!({ "stop": ["END"], "seed": 7 }));
        check("recipe", stop, same, &["seed was not set and is 7", "stop was not set and is [\"END\"]"]);
        check("model", json!("large"), same, &["model was small and is large"]);
        check("provider", json!("other"), same, &["provider was sim and is other"]);
        check("base_url", json!("http://b"), same, &["base URL was http://a and is http://b"]);
        check("variant", json!("0a1b"), same, &["settings of the provider changed"]);
        check("format", json!("Csv"), same, &["format was not set and is Csv"]);
        check("limit", json!(30), same, &["--max-rows was 20 and is 30"]);
        check("limit", Value::Null, same, &["--max-rows was 20 and is not set"]);
        check("input", json!("another"), same, &[]);
    }

    #[test]
    fn without_a_note_differences_are_named_from_the_request() {
        let before = Before::new(&request("one"), None, Some("digest Csv"));
        let mut now = identity();
        (now["model"], now["limit"], now["format"]) = (json!("large"), json!(30), json!("Csv"));
        let expected = ["model was small and is large", "--max-rows was 20 and is 30"];
        assert_eq!(before.differences(&now, "null"), expected);
        assert!(before.has_input(&now));
        assert_eq!(before.unknown(), "recipe or provider or base URL or settings of the provider changed");
        assert!(!Before::new("null", None, None).has_input(&now));
    }

    #[tokio::test]
    async fn rows_are_compared_up_to_the_first_difference() {
        let store = Store::in_memory();
        let row = |n: usize| json!({ "n": n }).to_string();
        for is_sealed in [true, false] {
            let run = store.open_run(NewRun::new(format!("{is_sealed}"))).await.unwrap();
            run.enqueue((1..=1_000).map(row).collect()).await.unwrap();
            if is_sealed {
                run.seal().await.unwrap();
            }
            let run = store.read_run(&run.record().id).await.unwrap();
            let before = Before::new("null", None, Some("digest"));
            let check = async |rows: Vec<String>, sealed: &str, open: &str| {
                let found = before.input_difference(&run, RowSource::of(rows), None).await.unwrap();
                assert_eq!(found.as_deref(), Some(if is_sealed { sealed } else { open }));
            };
            let mut changed: Vec<String> = (1..=1_000).map(row).collect();
            changed[16] = "{}".to_owned();
            check(changed, "input row 17 changed", "input row 17 changed").await;
            let rows = |count: usize| (1..=count).map(row).collect::<Vec<_>>();
            check(rows(1_003), "input has 3 rows more", "input changed behind row 1000").await;
            check(rows(999), "input has 1 row fewer", "input has at least 1 row fewer").await;
            check(rows(1_000), "input changed, though none of its rows did", "input ends behind row 1000")
                .await;
            let limited = before.input_difference(&run, RowSource::of(rows(1_003)), Some(1_000)).await;
            assert!(!limited.unwrap().is_some_and(|found| found.contains("more")));
        }
    }
}
