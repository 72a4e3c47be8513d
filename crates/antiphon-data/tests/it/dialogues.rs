//! Made-up dialogues, written in every shape of plain text and read back: speakers, order, words and times.

use antiphon_data::{Document, SpeakerRole};
use proptest::prelude::*;

/// A turn of a made-up dialogue.
#[derive(Debug, Clone)]
struct Said {
    speaker: String,
    words: String,
    seconds: u64,
}

/// Names in many scripts, with particles, marks and initials.
const NAMES: [&str; 12] = [
    "Ana Berg",
    "Sam Lee",
    "SAM LEE",
    "José de la Cruz",
    "Ludwig van Beek",
    "小林",
    "王芳",
    "Ольга Иванова",
    "P07",
    "Dr. O'Neil",
    "सीता देवी",
    "ليلى حداد",
];

/// Sentences that have colons, times, names, quotes and addresses in them, but begin like none.
const SENTENCES: [&str; 10] = [
    "I count it by hand, every evening.",
    "there is one thing: nobody counts twice",
    "we open at 9:30 and close at 18:00",
    "she said: no, and I said: yes",
    "it costs 3.50, or 4 with bread",
    "see https://example.org/list for it",
    "and then Sam Lee came in, at 0:03",
    "[laughs] not me",
    "why would I?",
    "— well — if you ask me…",
];

/// A shape: its extension, and a function that writes one turn.
type Shape = (&'static str, bool, fn(&Said) -> String);

/// The shapes, and whether each has times.
const SHAPES: [Shape; 13] = [
    ("txt", false, |said| format!("{}: {}\n", said.speaker, said.words)),
    ("md", false, |said| format!("**{}:** {}\n\n", said.speaker, said.words)),
    ("md", false, |said| format!("- **{}**: {}\n", said.speaker, said.words)),
    ("txt", false, |said| format!("{}：{}\n", said.speaker, said.words)),
    ("txt", false, |said| format!("{}:\n{}\n\n", said.speaker, said.words)),
    ("txt", true, |said| format!("[{}] {}: {}\n", long(said), said.speaker, said.words)),
    ("txt", true, |said| format!("{} {}: {}\n", long(said), said.speaker, said.words)),
    ("txt", true, |said| format!("{} ({}):\n{}\n\n", said.speaker, long(said), said.words)),
    ("txt", true, |said| format!("{}: [{}] {}\n", said.speaker, long(said), said.words)),
    ("txt", true, |said| format!("{}  {}\n{}\n\n", said.speaker, short(said), said.words)),
    ("txt", true, |said| format!("{} {}\n{}\n\n", short(said), said.speaker, said.words)),
    ("txt", true, |said| format!("{}\n{}\n{}\n\n", said.speaker, long(said), said.words)),
    ("txt", true, |said| format!("[{} - {}] {}: {}\n", long(said), long(said), said.speaker, said.words)),
];

/// Returns the time of a turn as `01:02:03`.
fn long(said: &Said) -> String {
    let seconds = said.seconds;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Returns the time of a turn in the form of a document's.
fn short(said: &Said) -> String {
    let seconds = said.seconds;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// Dialogues of two or three people who each speak twice at least, in turn.
fn dialogues() -> impl Strategy<Value = Vec<Said>> {
    let people = proptest::sample::subsequence(&NAMES[..], 2..=3);
    let words = proptest::collection::vec(proptest::sample::select(&SENTENCES[..]), 6..=12);
    (people, words, 0..4000_u64).prop_map(|(people, words, start)| {
        let said = |(at, words): (usize, &str)| Said {
            speaker: people[at % people.len()].to_owned(),
            words: words.to_owned(),
            seconds: start + 7 * u64::try_from(at).unwrap_or(0),
        };
        words.into_iter().enumerate().map(said).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_dialogue_is_read_back_from_every_shape(dialogue in dialogues()) {
        for (at, (ending, has_times, write)) in SHAPES.iter().enumerate() {
            let text: String = dialogue.iter().map(write).collect();
            let document = Document::parse(&format!("talk.{ending}"), text.as_bytes()).unwrap();
            let found: Vec<_> = document.turns.iter().map(|turn| (turn.speaker.to_string(), document.words(turn).to_owned())).collect();
            let wanted: Vec<_> = dialogue.iter().map(|said| (said.speaker.clone(), said.words.clone())).collect();
            prop_assert_eq!(found, wanted, "shape {}:\n{}", at, text);
            if *has_times {
                let times: Vec<_> = document.turns.iter().filter_map(|turn| turn.time.as_deref().map(str::to_owned)).collect();
                let wanted: Vec<_> = dialogue.iter().map(short).collect();
                prop_assert_eq!(times, wanted, "shape {}:\n{}", at, text);
            }
        }
    }

    #[test]
    fn who_asks_is_found_by_the_questions(people in proptest::sample::subsequence(&NAMES[..8], 2), turns in 2..6_usize) {
        let text: String = (0..turns).map(|at| format!("{}: What do you do on day {at}?\n{}: I count, {at} times.\n", people[0], people[1])).collect();
        let document = Document::parse("talk.txt", text.as_bytes()).unwrap();
        let roles = [SpeakerRole::Interviewer, SpeakerRole::Participant];
        prop_assert!(document.turns.iter().enumerate().all(|(at, turn)| turn.role == roles[at % 2]), "{:?}", document.speakers());
    }
}
