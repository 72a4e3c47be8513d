//! True quotes are kept, whatever they are dressed in, and false ones are not.

use antiphon::data::{Document, Loader, Role};
use antiphon_pipeline::Match;
use antiphon_pipeline::evidence::{Missing, Wanted, verify};

use crate::sample::interviews;

/// A generator that says the same in every run (Numerical Recipes' constants).
struct Chance(u32);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % bound
    }
}

async fn documents() -> Vec<Document> {
    Loader::new().load_path(interviews()).await.unwrap().documents
}

/// Turns of one side that have enough words, each with its document.
fn turns(documents: &[Document], role: Role) -> Vec<(usize, Vec<&str>)> {
    documents
        .iter()
        .enumerate()
        .flat_map(|(index, document)| {
            let turns = document.turns.iter().filter(move |turn| turn.role == role);
            turns.map(move |turn| (index, document.words(turn).split_whitespace().collect::<Vec<_>>()))
        })
        .filter(|(_, words)| words.len() >= 8)
        .collect()
}

/// Words in another dress: white space, quotation marks, dashes and case.
fn dressed(words: &[&str], chance: &mut Chance) -> String {
    let gaps = [" ", "  ", "\n", "\t", "\u{a0}"];
    let mut text = String::new();
    for word in words {
        text.push_str(gaps[chance.below(gaps.len())]);
        text.push_str(word);
    }
    let text = text.trim();
    let text = match chance.below(4) {
        0 => text.to_lowercase(),
        1 => text.to_uppercase(),
        _ => text.to_owned(),
    };
    let text = match chance.below(3) {
        0 => text.replace('\'', "’").replace('-', "–").replace(" – ", " — "),
        1 => text.replace('’', "'").replace(['–', '—'], "-"),
        _ => text,
    };
    match chance.below(3) {
        0 => format!("“{text}”"),
        1 => format!("\"{text}…\""),
        _ => text,
    }
}

#[tokio::test]
async fn of_a_thousand_true_quotes_all_are_kept_where_they_were_said() {
    let documents = documents().await;
    let turns = turns(&documents, Role::Participant);
    let mut chance = Chance(1);
    let wanted: Vec<(Wanted, Vec<&str>)> = (0..1_000)
        .map(|_| {
            let (document, words) = &turns[chance.below(turns.len())];
            let length = 5 + chance.below(words.len() - 5);
            let start = chance.below(words.len() - length + 1);
            let said = words[start..start + length].to_vec();
            (Wanted::new(dressed(&said, &mut chance)).document(Some(*document)), said)
        })
        .collect();
    let quotes: Vec<Wanted> = wanted.iter().map(|(wanted, _)| wanted.clone()).collect();
    let found = verify(&quotes, &documents);
    let mut kept = 0;
    for ((wanted, said), found) in wanted.iter().zip(found) {
        let Ok(found) = found else { continue };
        kept += usize::from(found.matched != Match::Fuzzy);
        let document = &documents[found.document];
        // The span holds the words, and the line that is told has the first of them.
        let passage = &document.text[found.start..found.end];
        let plain = |text: &str| -> String {
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        assert_eq!(plain(passage), plain(&said.join(" ")), "{wanted:?}");
        let inside = document.turns.iter().any(|turn| {
            turn.role == Role::Participant && turn.span.start <= found.start && found.end <= turn.span.end
        });
        assert!(inside, "{wanted:?} is in nobody's turn");
    }
    assert!(kept >= 990, "{kept} of 1,000");
}

#[tokio::test]
async fn of_a_thousand_planted_false_quotes_none_is_kept() {
    let documents = documents().await;
    let participants = turns(&documents, Role::Participant);
    let interviewer = turns(&documents, Role::Interviewer);
    let mut chance = Chance(2);
    let mut wanted = Vec::new();
    while wanted.len() < 1_000 {
        let (document, words) = &participants[chance.below(participants.len())];
        let start = chance.below(words.len() - 7);
        let said = &words[start..start + 8];
        let quote = match wanted.len() % 5 {
            // The words in another order.
            0 => {
                let mut mixed: Vec<&str> = said.iter().rev().copied().collect();
                mixed.swap(0, 4);
                mixed.join(" ")
            }
            // The sense turned round.
            1 => format!("{} not {}", said[..4].join(" "), said[4..].join(" ")),
            // Another number.
            2 => format!("{} ninety-nine {}", said[..4].join(" "), said[4..].join(" "))
                .replace("ninety-nine", "99"),
            // The ends of two turns as one.
            3 => {
                let (_, others) = &participants[chance.below(participants.len())];
                format!("{} {}", words[words.len() - 6..].join(" "), others[..6].join(" "))
            }
            // What only the interviewer said.
            _ => interviewer[chance.below(interviewer.len())].1.join(" "),
        };
        wanted.push(Wanted::new(quote).document(Some(*document)));
    }
    let found = verify(&wanted, &documents);
    let kept: Vec<_> = wanted.iter().zip(&found).filter(|(_, found)| found.is_ok()).collect();
    assert!(kept.is_empty(), "{} kept: {:?}", kept.len(), &kept[..kept.len().min(3)]);
    assert!(found.contains(&Err(Missing::Interviewer)) && found.contains(&Err(Missing::Nowhere)));
}
