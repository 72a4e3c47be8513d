//! True quotes are verified whatever their typography, and false ones are not.

use antiphon::data::{Document, Loader, SpeakerRole};
use antiphon_pipeline::Match;
use antiphon_pipeline::evidence::{Missing, Wanted, verify};

use crate::sample::interviews;

/// A deterministic random number generator (the linear congruential constants of Numerical Recipes).
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

/// Returns the turns of one role that have at least eight words, each with its document.
fn turns(documents: &[Document], role: SpeakerRole) -> Vec<(usize, Vec<&str>)> {
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

/// Returns words with random white space, quotation marks, dashes and case.
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
async fn a_thousand_true_quotes_are_found_where_they_were_said() {
    let documents = documents().await;
    let turns = turns(&documents, SpeakerRole::Participant);
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
    let (mut kept, mut cut, mut beside) = (0, 0, 0);
    for ((wanted, said), found) in wanted.iter().zip(found) {
        let found = match found {
            Ok(found) => found,
            // Words directly beside a negation say the opposite without it.
            Err(unfound) if unfound.missing == Missing::Cut => {
                cut += 1;
                beside += usize::from(is_beside_limit(&documents, &said.join(" ")));
                continue;
            }
            Err(_) => continue,
        };
        kept += usize::from(found.matched != Match::Fuzzy);
        let document = &documents[found.document];
        // The span contains the words, inside one turn of a participant.
        let passage = &document.text[found.start..found.end];
        let plain = |text: &str| -> String {
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        assert_eq!(plain(passage), plain(&said.join(" ")), "{wanted:?}");
        let inside = document.turns.iter().any(|turn| {
            turn.role == SpeakerRole::Participant
                && turn.span.start <= found.start
                && found.end <= turn.span.end
        });
        assert!(inside, "{wanted:?} is in no participant's turn");
    }
    assert_eq!(beside, cut);
    assert!(kept * 100 >= (1_000 - cut) * 99 && cut < 100, "{kept} of 1,000, and {cut} cut");
}

/// Returns whether one of the words beside words that are in a document negates, limits, or belongs to a number.
fn is_beside_limit(documents: &[Document], said: &str) -> bool {
    let limits = [
        "no", "not", "never", "nobody", "nothing", "none", "only", "without", "rarely", "hardly", "barely",
        "almost", "unless", "if", "hundred", "thousand", "half", "just", "one", "two", "stop", "stopped",
        "doubt", "wrong", "few", "little", "less", "nearly",
    ];
    let is_limit = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        limits.contains(&&*word) || word.ends_with("n't") || word.ends_with("n’t")
    };
    documents.iter().any(|document| {
        let text = document.text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.match_indices(said).any(|(at, _)| {
            let before = text[..at].split(' ').rev().filter(|word| !word.is_empty()).take(8);
            let behind = text[at + said.len()..].split(' ').filter(|word| !word.is_empty()).take(6);
            before.chain(behind).any(is_limit)
        })
    })
}

#[tokio::test]
async fn none_of_a_thousand_false_quotes_is_kept() {
    let documents = documents().await;
    let participants = turns(&documents, SpeakerRole::Participant);
    let interviewer = turns(&documents, SpeakerRole::Interviewer);
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
            // A negation.
            1 => format!("{} not {}", said[..4].join(" "), said[4..].join(" ")),
            // Another number.
            2 => format!("{} ninety-nine {}", said[..4].join(" "), said[4..].join(" "))
                .replace("ninety-nine", "99"),
            // The end of one turn and the beginning of another as one quote.
            3 => {
                let (_, others) = &participants[chance.below(participants.len())];
                format!("{} {}", words[words.len() - 6..].join(" "), others[..6].join(" "))
            }
            // A turn of the interviewer.
            _ => interviewer[chance.below(interviewer.len())].1.join(" "),
        };
        wanted.push(Wanted::new(quote).document(Some(*document)));
    }
    let found = verify(&wanted, &documents);
    let kept: Vec<_> = wanted.iter().zip(&found).filter(|(_, found)| found.is_ok()).collect();
    assert!(kept.is_empty(), "{} kept: {:?}", kept.len(), &kept[..kept.len().min(3)]);
    let is_given =
        |reason| found.iter().any(|found| found.as_ref().is_err_and(|unfound| unfound.missing == reason));
    assert!(is_given(Missing::Interviewer) && is_given(Missing::Nowhere));
}

/// An interview: a speaker and the words of each turn.
type Talk = Vec<(&'static str, String)>;

fn talk(chance: &mut Chance) -> Talk {
    let word = |chance: &mut Chance| -> String {
        let letters = 3 + chance.below(6);
        (0..letters).map(|_| char::from(b'a' + u8::try_from(chance.below(26)).unwrap())).collect()
    };
    let turns = 3 + chance.below(6);
    (0..turns)
        .map(|turn| {
            let words: Vec<String> = (0..10 + chance.below(12)).map(|_| word(chance)).collect();
            (["Interviewer", "P1", "P2"][turn % 3], words.join(" "))
        })
        .collect()
}

/// Returns a talk as a file of each text format, with its name.
fn files(talk: &Talk) -> Vec<(&'static str, String)> {
    let each = |line: fn(&str, &str) -> String| -> String {
        talk.iter().map(|(speaker, words)| line(speaker, words)).collect()
    };
    let json = |(speaker, words): &(&str, String)| serde_json::json!({ "speaker": speaker, "text": words });
    let cue = |(number, (speaker, words)): (usize, &(&str, String)), comma: &str| {
        let time = |second: usize| format!("00:00:{second:02}{comma}000");
        format!("{number}\n{} --> {}\n{speaker}: {words}\n\n", time(number), time(number + 1))
    };
    let captions = |comma: &str| (1..).zip(talk).map(|row| cue(row, comma)).collect::<String>();
    vec![
        ("a.txt", each(|speaker, words| format!("{speaker}: {words}\n\n"))),
        ("a.md", each(|speaker, words| format!("**{speaker}:** {words}\n\n"))),
        ("a.org", format!("#+TITLE: x\n* Talk\n{}", each(|speaker, words| format!("{speaker}: {words}\n")))),
        (
            "a.html",
            format!(
                "<html>\n<body>{}</body>",
                each(|speaker, words| format!("<p><b>{speaker}:</b> {words}</p>\n"))
            ),
        ),
        ("a.csv", format!("speaker,text\n{}", each(|speaker, words| format!("{speaker},\"{words}\"\n")))),
        ("a.json", format!("{:#}\n", serde_json::Value::from_iter(talk.iter().map(json)))),
        ("a.jsonl", talk.iter().map(|turn| format!("{}\n", json(turn))).collect()),
        ("a.yaml", each(|speaker, words| format!("- speaker: {speaker}\n  text: |\n    {words}\n"))),
        ("a.vtt", format!("WEBVTT\n\n{}", captions("."))),
        ("a.srt", captions(",")),
    ]
}

#[test]
fn the_reported_line_has_the_quote_in_every_file_format() {
    let mut chance = Chance(7);
    let mut found = 0;
    for _ in 0..60 {
        let talk = talk(&mut chance);
        let (_, words) = &talk[1 + chance.below(2)];
        let words: Vec<&str> = words.split(' ').collect();
        let start = chance.below(words.len() - 5);
        let quote = words[start..start + 5].join(" ");
        for (name, file) in files(&talk) {
            let document = Document::parse(name, file.as_bytes()).unwrap();
            let place = verify(&[Wanted::new(&quote)], std::slice::from_ref(&document)).remove(0);
            let place = place.unwrap_or_else(|why| panic!("{name}: {why:?} {quote}\n{file}"));
            let passage = &document.text[place.start..place.end];
            assert_eq!((passage, place.matched), (quote.as_str(), Match::Exact), "{name}");
            let line = usize::try_from(document.line_at(place.start)).unwrap();
            let source = file.lines().nth(line - 1).unwrap_or_default();
            assert!(source.contains(&quote), "{name}:{line} is {source:?}, and has not {quote}\n{file}");
            found += 1;
        }
    }
    assert_eq!(found, 600);
}
