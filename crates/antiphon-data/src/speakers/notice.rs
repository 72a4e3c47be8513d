//! Notices of chats and meetings, and marks of services within them, which no one says.
//!
//! | line or end of a line | is |
//! |---|---|
//! | `Cy joined the meeting`, `Cy is now known as Cyril` | a notice, wherever it is |
//! | `<Media omitted>`, `image omitted`, `You deleted this message` | instead of words |
//! | `(edited)`, `<This message was edited>`, `#00:00:07-1#` | a mark behind words |
//! | `2 replies`, `View thread`, `:thumbsup:`, `Tuesday, March 12th` | no speech in a chat |
//! | `* cy waves` in a chat of nicknames | a gesture |
//! | `---`, `* * *`, `=====` | a rule |
//! | `Page 1 of 3`, `[End of transcript]` | no speech |

use super::date;
pub(super) use super::placeholder::is_instead;

/// The most bytes of a notice.
const LONGEST: usize = 120;
/// The most words before the verb of a notice, and behind it.
const MOST_WORDS: usize = 5;

/// The most bytes of a line that is no notice of what someone does.
const LONGEST_LABEL: usize = 40;
/// Parts of the verbs below, each of which has one; in lower case.
const STEMS: [&str; 15] = [
    "join",
    "left",
    "quit",
    "known",
    "chang",
    "renam",
    "set the",
    "added",
    "removed",
    "started",
    "stopped",
    "pinned",
    "lobby",
    "verlassen",
    "beigetreten",
];

/// Actions of people in notices, in lower case.
const VERBS: [&str; 44] = [
    "joined the ",
    "joined this ",
    "joined #",
    "joined using ",
    "joined via ",
    "joined by ",
    "joined group ",
    "joined as a guest",
    "left the meeting",
    "left the call",
    "left the chat",
    "left the channel",
    "left the conversation",
    "left the group",
    "left the room",
    "left the session",
    "left #",
    "has joined",
    "has left",
    "has quit",
    "is now known as ",
    "changed their name",
    "changed name to ",
    "changed the ",
    "changed this ",
    "renamed the ",
    "set the channel ",
    "was added to ",
    "was removed from ",
    "started screen sharing",
    "stopped screen sharing",
    "started sharing",
    "stopped sharing",
    "started transcription",
    "stopped transcription",
    "started recording",
    "started the recording",
    "stopped recording",
    "stopped the recording",
    "pinned a message",
    "is waiting in the lobby",
    "ist dem meeting beigetreten",
    "hat das meeting verlassen",
    "ist der besprechung beigetreten",
];
/// Things that people come to, leave or change.
const OBJECTS: [&str; 16] = [
    "meeting",
    "call",
    "chat",
    "channel",
    "conversation",
    "group",
    "room",
    "session",
    "waiting room",
    "huddle",
    "webinar",
    "server",
    "subject",
    "topic",
    "description",
    "(",
];
/// Actions of people in notices of groups, which a date precedes; in lower case.
const GROUP_VERBS: [&str; 12] = [
    " changed the ",
    " changed this ",
    " created group ",
    " pinned ",
    " added ",
    " removed ",
    " joined ",
    " left",
    " hat die gruppe ",
    " hat den betreff ",
    " cambió ",
    " a changé ",
];
/// Words that are no name before a verb: the line is speech about others.
const PRONOUNS: [&str; 24] = [
    "i", "we", "you", "he", "she", "it", "they", "who", "someone", "my", "our", "his", "her", "their", "and",
    "then", "but", "so", "when", "after", "before", "the", "that", "if",
];
/// Marks behind words, in lower case.
const MARKS: [&str; 7] =
    ["(edited)", "(bearbeitet)", "(editado)", "(modifié)", "(modificato)", "(edytowane)", "(изменено)"];
/// Lines that end a recording or interrupt it, in lower case, without brackets and dashes.
const ENDS: [&str; 42] = [
    "end of transcript",
    "end of transcription",
    "end of interview",
    "end of recording",
    "end of audio",
    "end of file",
    "end of tape",
    "end of session",
    "end of meeting",
    "end of call",
    "end of chat",
    "end of conversation",
    "transcript ends",
    "interview ends",
    "interview ended",
    "recording ends",
    "recording ended",
    "recording stopped",
    "recording started",
    "recording paused",
    "recording resumed",
    "audio ends",
    "meeting ended",
    "meeting started",
    "ende der aufnahme",
    "ende des interviews",
    "ende des transkripts",
    "ende der transkription",
    "ende des gesprächs",
    "fin de la entrevista",
    "fin de la grabación",
    "fin de la transcripción",
    "fin de l'entretien",
    "fin de l’entretien",
    "fin de l'enregistrement",
    "fine dell'intervista",
    "fim da entrevista",
    "einde van het interview",
    "конец интервью",
    "конец записи",
    "録音終了",
    "访谈结束",
];
/// Beginnings of lines in the window of a chat, in lower case.
const WINDOW: [&str; 10] = [
    "view thread",
    "last reply ",
    "view newer replies",
    "also sent to the channel",
    "replied to a thread",
    "new messages",
    "seen by ",
    "read by ",
    "forwarded from ",
    "translated by ",
];

/// Returns whether a line is a rule: dashes, stars, underscores or equals signs alone.
pub(super) fn is_rule(line: &str) -> bool {
    let is_sign = |c: char| matches!(c, '-' | '*' | '_' | '=' | '~' | '–' | '—' | '─' | '•' | ' ');
    let line = line.trim_start();
    // The one below the headings of a table in Markdown.
    if line.starts_with('|') {
        return line.contains("--") && line.trim_end().chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
    }
    if !line.starts_with(is_sign) {
        return false;
    }
    let line = line.trim_end();
    line.len() > 1 && line.chars().all(is_sign) && line.chars().filter(|c| *c != ' ').nth(1).is_some()
}

/// Strips white space, marks of direction, brackets and dashes around a notice.
fn plain(line: &str) -> &str {
    line.trim_matches(|c: char| {
        super::is_blank(c)
            || matches!(c, '*' | '_' | '-' | '–' | '—' | '[' | ']' | '(' | ')' | '→' | '←' | '.' | '|' | '>')
    })
}

/// Returns whether a line is a notice, or what an office writes between the turns. `is_chat` is whether the text has
/// messages with times.
pub(super) fn is_notice(line: &str, is_chat: bool) -> bool {
    if line.len() > LONGEST {
        return false;
    }
    let is_starred = line.trim_start().starts_with(['*', '→', '←']);
    let line = plain(line);
    let lower = line.to_lowercase();
    // Most lines have none of these, so that they are compared with no list.
    let may_act = STEMS.iter().any(|stem| lower.contains(stem));
    if !may_act && line.len() > LONGEST_LABEL {
        return false;
    }
    let has_left = || [" left", " joined", " quit"].iter().any(|verb| lower.ends_with(verb));
    is_page(&lower)
        || ENDS.contains(&&*lower)
        || (may_act && (is_action(line, &lower, is_chat) || (is_starred && has_left())))
}

/// Returns whether a line of a chat of nicknames says what one of them does: `* cy waves`.
pub(super) fn is_gesture(line: &str) -> bool {
    let rest = line.trim_start().trim_start_matches("-!- ");
    let words = rest.strip_prefix("*** ").or_else(|| rest.strip_prefix("* "));
    words.is_some_and(|words| words.starts_with(char::is_alphanumeric) && words.contains(' '))
}

/// Returns whether a line says what someone does in a meeting or a chat.
fn is_action(line: &str, lower: &str, is_chat: bool) -> bool {
    if line.contains(['?', '!', ',', '"']) {
        return false;
    }
    let found = VERBS.iter().filter_map(|verb| lower.find(verb).map(|at| (at, verb))).min();
    let Some((at, verb)) = found else { return false };
    let (before, behind) = (lower[..at].trim(), &lower[at + verb.len()..]);
    let first = before.split(' ').next().unwrap_or_default();
    let begins = line.chars().next().is_some_and(|c| !c.is_lowercase());
    let is_name = before.is_empty()
        || (lower[..at].ends_with(' ')
            && (begins || !before.contains(' '))
            && before.split(' ').count() <= MOST_WORDS
            && !PRONOUNS.contains(&first));
    let object = behind.trim_start().trim_start_matches("the ").trim_start_matches("this ");
    let needs_object = verb.ends_with("the ")
        || verb.ends_with("this ")
        || !behind.trim().is_empty() && verb.starts_with("has ");
    let is_object = || object.starts_with('#') || OBJECTS.iter().any(|known| object.starts_with(known));
    is_name
        && (!before.is_empty() || is_chat)
        && (!needs_object || is_object())
        && behind.split_whitespace().nth(MOST_WORDS).is_none()
}

/// Returns whether a line is the number of a page: `page 1 of 3`.
fn is_page(lower: &str) -> bool {
    let mut words = lower.split_whitespace();
    let is_word = matches!(words.next(), Some("page" | "seite" | "página" | "pagina" | "стр" | "strona"));
    let mut count = 0;
    is_word
        && words.all(|word| {
            count += 1;
            count <= 3
                && (word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/')
                    || matches!(word, "of" | "von" | "de" | "di" | "sur" | "z"))
        })
        && count > 0
}

/// Returns whether a line belongs to the window of a chat and not to a message.
pub(super) fn is_of_window(line: &str) -> bool {
    if line.len() > LONGEST / 2 {
        return false;
    }
    let lower = plain(line).to_lowercase();
    let lower = lower.as_str();
    let is_replies = lower.strip_suffix("replies").or_else(|| lower.strip_suffix("reply"));
    let is_count =
        |count: &str| !count.trim().is_empty() && count.trim().bytes().all(|byte| byte.is_ascii_digit());
    is_replies.is_some_and(is_count)
        || matches!(lower, "new" | "edited" | "today" | "yesterday")
        || WINDOW.iter().any(|start| lower.starts_with(start))
        || is_reaction(lower)
        || date::is_day(lower)
}

/// Returns whether a line is the name of a reaction, as in `:thumbsup:` or `:+1: 2`.
pub(super) fn is_reaction(line: &str) -> bool {
    let line = line.trim();
    let inner = line.strip_prefix(':').and_then(|rest| rest.split_once(':'));
    inner.is_some_and(|(name, count)| {
        !name.is_empty() && !name.contains(' ') && count.trim().bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Returns whether a text behind a name and a time is a mark: `, Edited`, `(bearbeitet)`.
pub(super) fn is_mark(text: &str) -> bool {
    let word = text.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
    MARKS.iter().any(|mark| mark.trim_matches(['(', ')']) == word)
}

/// Returns the length of a line without a mark behind its words.
pub(super) fn without_mark(line: &str) -> usize {
    let trimmed = line.trim_end_matches(super::is_blank);
    match trimmed.as_bytes().last() {
        Some(b')') => {
            let mark = trimmed.rfind('(').filter(|at| MARKS.contains(&&*trimmed[*at..].to_lowercase()));
            mark.unwrap_or(line.len())
        }
        Some(b'|') if trimmed.trim_start().starts_with('|') => trimmed.trim_end_matches(['|', ' ']).len(),
        Some(b'>') => {
            let is_mark = |at: &usize| {
                let lower = trimmed[*at..].to_lowercase();
                lower.contains("edited")
                    || lower.contains("bearbeitet")
                    || lower.contains("editó")
                    || lower.contains("modifié")
            };
            trimmed.rfind('<').filter(is_mark).unwrap_or(line.len())
        }
        Some(b'#') => {
            let inner = trimmed[..trimmed.len() - 1].rfind('#');
            let is_time = |at: &usize| {
                let time = &trimmed[*at + 1..trimmed.len() - 1];
                time.contains(':')
                    && time
                        .bytes()
                        .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'-' | b'.' | b','))
            };
            inner.filter(is_time).unwrap_or(line.len())
        }
        _ => line.len(),
    }
}

/// Returns whether the sender of a line in a chat is a notice with a colon in it: `Cy changed the subject to "a`.
pub(super) fn is_change_of_group(label: &str) -> bool {
    let lower = label.to_lowercase();
    GROUP_VERBS.iter().any(|verb| lower.contains(verb))
}

/// Returns whether a label is that of a program: `Polly APP`.
pub(super) fn is_program(label: &str) -> bool {
    let is_badge = label.ends_with("APP") || label.ends_with("BOT");
    is_badge && matches!(label.rsplit(' ').next(), Some("APP" | "BOT"))
}

#[cfg(test)]
mod tests {
    use super::{STEMS, VERBS, is_instead, is_notice, is_of_window, is_rule, without_mark};

    #[test]
    fn notices_are_no_speech() {
        for line in [
            "Cy joined the meeting",
            "Cy Roth left the call.",
            "*** cy has joined #stock",
            "Sam Lee started transcription",
            "Cy is now known as Cyril",
            "[End of transcript]",
            "- Ende der Aufnahme -",
            "Page 1 of 3",
        ] {
            assert!(is_notice(line, false), "{line}");
        }
        for line in [
            "joined #stock.",
            "Joined #stock",
            "Left the meeting",
            "3 replies",
            "View thread",
            ":+1: 2",
            "Tuesday, March 12th",
            "New",
        ] {
            let is_one = |is_chat| is_notice(line, is_chat) || (is_chat && is_of_window(line));
            assert!(is_one(true) && !is_one(false), "{line}");
        }
        for line in [
            "I joined the meeting late.",
            "We left the group",
            "she joined the team",
            "Page by page",
            "Why has he left?",
            "Then Bo joined the army, and so on.",
            "It has left a mark",
        ] {
            assert!(!is_notice(line, true) && !is_of_window(line), "{line}");
        }
    }

    #[test]
    fn every_verb_has_a_stem() {
        for verb in VERBS {
            assert!(STEMS.iter().any(|stem| verb.contains(stem)), "{verb}");
        }
    }

    #[test]
    fn marks_and_placeholders_are_no_words() {
        for line in
            ["<Media omitted>", "\u{200e}image omitted", "<attached: 1.jpg>", "You deleted this message."]
        {
            assert!(is_instead(line), "{line}");
        }
        assert!(!is_instead("It was omitted") && !is_instead("Photo"));
        for line in ["So. (edited)", "So. <This message was edited>", "So. #00:00:07-1#"] {
            assert_eq!(without_mark(line), 4, "{line}");
        }
        assert_eq!(without_mark("So (really)"), 11);
        assert_eq!(["---", "* * *", "====", "-- "].map(is_rule), [true; 4]);
        assert_eq!(["-", "- no", "—", ""].map(is_rule), [false; 4]);
    }
}
