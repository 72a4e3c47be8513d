//! The anonymiser as a whole, from documents to documents.

use crate::{Anonymiser, Document, Strategy};

fn document(name: &str, text: &str) -> Document {
    Document::parse(name, text.as_bytes()).unwrap()
}

#[track_caller]
fn check(strategy: Strategy, text: &str, expected: &str) {
    let (documents, _) = Anonymiser::new(strategy).salt("salt").apply(&[document("a.txt", text)]);
    assert_eq!(&*documents[0].text, expected);
    for turn in &documents[0].turns {
        assert!(!documents[0].words(turn).is_empty());
    }
}

#[test]
fn names_addresses_and_numbers_are_removed_and_the_rest_is_kept() {
    check(
        Strategy::Redact,
        "Interviewer: Hello Anna.\nAnna Lee: Call +44 20 7946 0958 or a.lee@post.example, Anna's line.\nInterviewer: On 2026-11-22 at 10:30:00?\nAnna Lee: I paid 12,000 for 3 ovens.\n",
        "Interviewer: Hello [name].\n[name]: Call [phone] or [email], [name]'s line.\nInterviewer: On 2026-11-22 at 10:30:00?\n[name]: I paid 12,000 for 3 ovens.\n",
    );
    check(
        Strategy::Redact,
        "Interviewer: And you?\nP1: My name is Bo Larsson, I work with Mrs Abara. Bo is short. I like may flowers.\n",
        "Interviewer: And you?\nP1: My name is [name], I work with Mrs [name]. [name] is short. I like may flowers.\n",
    );
}

#[test]
fn names_are_removed_in_every_form_and_similar_words_are_kept() {
    check(
        Strategy::Redact,
        "Interviewer: Hello KATARZYNA.\nKatarzyna Wójcik: Wojcik, yes. I will say: may I? @kasia_w knows, 555-0187 too.\nLiam O'Connor: O'Connor's line, (01632) 960 003. In 2021 I sold 1234567.\n",
        "Interviewer: Hello [name].\n[name]: [name], yes. I will say: may I? [account] knows, [phone] too.\n[name]: [name]'s line, [phone]. In 2021 I sold 1234567.\n",
    );
    let made = |name: &str, text: &str| {
        let document = Document::parse(name, text.as_bytes()).unwrap();
        let (made, _) = Anonymiser::new(Strategy::Redact).apply(&[document]);
        (made[0].text.to_string(), made[0].turns.last().unwrap().speaker.to_string())
    };
    let file = made("maria_lopez.csv", "age,What annoys you?\n40,It is so slow\n");
    assert_eq!(file.1, "Speaker 1");
    let file = made("maria_lopez.txt", "Interviewer: Well?\nParticipant: It is slow.\n");
    assert_eq!(file, ("Interviewer: Well?\nParticipant: It is slow.\n".to_owned(), "Speaker 1".to_owned()));
    let file = made("t.txt", "Interviewer: Well?\nParticipant: It is.\n");
    assert!(file.0.contains("Participant: It"), "{}", file.0);
    let led = made(
        "a.txt",
        "Moderator (Sam): Well?\nDr Lee: Dr Smith, in 2019-2020 I made 12 500 000.\nModerator (Sam): My name is Sam\nDr Lee: Call me Lee. 01.23.45.67.89\n",
    );
    assert_eq!(
        led.0,
        "[name]: Well?\n[name]: Dr [name], in 2019-2020 I made 12 500 000.\n[name]: My name is [name]\n[name]: Call me [name]. [phone]\n"
    );
    let other = made("b.json", r#"[{"speaker": "李小龙", "text": "I like it so"}]"#);
    assert_eq!(other, ("[name]: I like it so\n".to_owned(), "Speaker 1".to_owned()));
}

#[test]
fn a_person_has_one_substitute_in_all_documents_and_codes_reveal_nothing() {
    let documents = [
        document("anna.txt", "Interviewer: Well?\nAnna: I bake.\n"),
        document("b.txt", "Interviewer: Well?\nBo: Anna bakes, Zed sells.\n"),
    ];
    let (made, found) = Anonymiser::new(Strategy::Replace).names(["Zed"]).apply(&documents);
    assert_eq!(&*made[1].text, "Interviewer: Well?\nPerson 2: Person 1 bakes, Person 3 sells.\n");
    assert_eq!((made[0].name.as_str(), &*made[1].turns[1].speaker), ("document-001.txt", "Person 2"));
    assert_eq!(found.iter().map(|found| found.times).max(), Some(2));
    let shared = document("c.txt", "Ann Lee: One.\nBob Lee: Two.\nAnn Lee: Lee and Ann.\nBob Lee: No.\n");
    let (made, _) = Anonymiser::new(Strategy::Replace).apply(&[shared]);
    assert!(made[0].text.contains("Person 3 and Person 1."), "{}", made[0].text);
    let coded =
        |salt: &str| Anonymiser::new(Strategy::Hash).salt(salt).apply(&documents).0[0].text.to_string();
    assert_eq!(coded("x"), coded("x"));
    assert_ne!(coded("x"), coded("y"));
    assert!(!coded("x").contains("Anna"));
}

#[test]
fn occurrences_are_those_in_the_texts_and_not_the_speakers_of_turns() {
    let text = "Interviewer: Well, Anna?\nAnna: I bake.\nInterviewer: So?\nAnna: So.\n";
    let (_, found) = Anonymiser::new(Strategy::Replace).apply(&[document("a.txt", text)]);
    let counted: Vec<_> = found.iter().map(|found| (found.original.as_str(), found.times)).collect();
    assert_eq!(counted, [("Anna", 3)]);
    let table = "age,What annoys you?\n40,It is so slow\n";
    let (made, found) = Anonymiser::new(Strategy::Replace).apply(&[document("maria_lopez.csv", table)]);
    assert_eq!((&*made[0].turns[0].speaker, found[0].times), ("Person 1", 0));
}

#[test]
fn lines_and_turns_keep_their_places() {
    let text = "Interviewer: Hi\nMaximiliane: I am Maximiliane,\nfrom Ulm, and I bake.\nMaximiliane: Yes.\n";
    let (made, _) = Anonymiser::new(Strategy::Redact).apply(&[document("a.txt", text)]);
    let words: Vec<_> = made[0].turns.iter().map(|turn| made[0].words(turn)).collect();
    assert_eq!(words, ["Hi", "I am [name],\nfrom Ulm, and I bake.", "Yes."]);
    assert_eq!(made[0].line_at(made[0].text.find("Ulm").unwrap()), 3);
    assert_eq!(made[0].line_at(made[0].turns[2].span.start), 4);
}

/// Returns the text of a document after redaction.
fn redacted(text: &str) -> String {
    named(&[], text)
}

/// Returns the text of a document after redaction with names that are given.
fn named(names: &[&str], text: &str) -> String {
    let anonymiser = Anonymiser::new(Strategy::Redact).names(names.iter().copied());
    anonymiser.apply(&[document("talk.txt", text)]).0[0].text.to_string()
}

#[test]
fn a_head_with_a_whole_name_leaves_neither_part_of_it() {
    let made = redacted(
        "Date: 3 May\nInterviewer: Sam Lee\nParticipant: Anna van der Berg\n\nInterviewer: Well?\nParticipant: Lee asked, Sam said. Mr Lee, Sam's bike and S. Lee.\nInterviewer: Anna, Ms van der Berg, A. van der Berg or Berg, Anna?\nParticipant: Sam L. knows. Sam J. Lee's too.\n",
    );
    for part in ["Sam", "Lee", "Anna", "Berg"] {
        assert!(!made.contains(part), "{part} in {made}");
    }
    assert!(made.contains("[name] asked, [name] said. Mr [name], [name]'s bike and [name]."), "{made}");
    assert!(made.contains("Date: 3 May"), "{made}");
    let made = redacted("Moderator (Sam Lee): Well?\nP1: I told Lee, and Sam wrote.\n");
    assert!(!made.contains("Sam") && !made.contains("Lee"), "{made}");
    let made = redacted("P1: Yes.\nP1: I'm Clara Ortiz, and I'm Head of Sales. Ortiz it is. Clara!\n");
    assert_eq!(made, "P1: Yes.\nP1: I'm [name], and I'm Head of Sales. [name] it is. [name]!\n");
}

#[test]
fn a_name_that_is_a_word_counts_only_where_it_is_a_name() {
    let names = ["Will Carter", "May", "Mark", "Grace"];
    let text = "P1: Will you come? May I ask? Mark the box. Grace matters. I will, and it may work, mark my words.\n";
    assert_eq!(named(&names, text), text);
    let text = "P1: I saw Will and Grace. Then Mark came in May with May. Will Carter left. Mark's van, Mr May too.\n";
    let made = "P1: I saw [name] and [name]. Then [name] came in May with [name]. [name] left. [name]'s van, Mr [name] too.\n";
    assert_eq!(named(&names, text), made);
    let text = "Will: Well?\nP1: Will said so. Will, can we? Will do.\nWill: May be.\nP1: the Will\n";
    let made = "[name]: Well?\nP1: [name] said so. [name], can we? Will do.\n[name]: May be.\nP1: the Will\n";
    assert_eq!(redacted(text), made);
}

#[test]
fn inflected_forms_of_listed_names_are_found_or_named() {
    let check = |name: &str, text: &str, expected: &str| {
        assert_eq!(named(&[name], &format!("P1: {text}\n")), format!("P1: {expected}\n"));
    };
    check(
        "Anna",
        "Das ist Annas Rad, und wir sind bei Anna.",
        "Das ist [name] Rad, und wir sind bei [name].",
    );
    check(
        "Anna",
        "Nie ma Anny. Rozmawiałem z Anną o Annie.",
        "Nie ma [name]. Rozmawiałem z [name] o [name].",
    );
    check("Marek", "To jest rower Marka, daj go Markowi.", "To jest rower [name], daj go [name].");
    check("Петр", "Я видел Петра с Петром.", "Я видел [name] с [name].");
    check("Анна", "Анны нет, спроси Анну.", "[name] нет, спроси [name].");
    check(
        "Petr",
        "To je kolo Petra, ale když jsem byl s Petrem.",
        "To je kolo [name], ale když jsem byl s [name].",
    );
    check("Mikko", "Minä olen Mikon kanssa, se on Mikolle.", "Minä olen [name] kanssa, se on [name].");
    check("Vera", "Very good, and I was with Vera.", "Very good, and I was with [name].");
    check("Sam", "Same here, and that was it. Sam!", "Same here, and that was it. [name]!");
    let talk = document("a.txt", "P1: I was with Kasia and the Kasiunia, and it was Peter who said it.\n");
    let made = Anonymiser::new(Strategy::Redact).names(["Kasia"]).review(&[talk]);
    let words: Vec<_> =
        made.possible_misses.iter().map(|miss| (&*miss.word, &*miss.document, miss.line)).collect();
    assert_eq!(words, [("Kasiunia", "a.txt", 1), ("Peter", "a.txt", 1)]);
}

#[test]
fn cards_and_postal_addresses_are_removed_and_the_kinds_stay_apart() {
    let text = "P1: I pay with 4111 1111 1111 1111. I live at 12 Mill Lane, Leeds LS1 4AP, call 0113 496 0001 or a@b.example.\n";
    assert_eq!(redacted(text), "P1: I pay with [card]. I live at [address], call [phone] or [email].\n");
    let (made, found) = Anonymiser::new(Strategy::Replace).apply(&[document("a.txt", text)]);
    assert_eq!(
        &*made[0].text,
        "P1: I pay with 0000 0000 0000 0001. I live at 1 Example Street, call 01632 960001 or person1@mail.example.\n"
    );
    let kinds: Vec<&str> = found.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, ["email", "card", "address", "phone"]);
}

#[test]
fn a_document_keeps_its_name_unless_that_has_a_name() {
    let documents = [
        document("talks/interview-01.txt", "Interviewer: Well?\nParticipant: It is slow.\n"),
        document("anna-lee.txt", "Interviewer: Well?\nParticipant: Lee is slow.\n"),
        document("keller_3.txt", "Interviewer: Well?\nBo Keller: So.\n"),
    ];
    let (made, _) = Anonymiser::new(Strategy::Redact).apply(&documents);
    let names: Vec<_> = made.iter().map(|made| (&*made.name, &*made.turns[1].speaker)).collect();
    assert_eq!(
        names,
        [
            ("talks/interview-01.txt", "talks/interview-01"),
            ("document-002.txt", "Speaker 1"),
            ("document-003.txt", "Speaker 2")
        ]
    );
    assert_eq!(&*made[1].text, "Interviewer: Well?\nParticipant: [name] is slow.\n");
}

/// Returns a rewriter that knows the names of one row, and has rewritten it.
fn names_of_first(anonymiser: &Anonymiser, row: &str) -> crate::RowAnonymiser {
    let mut names = anonymiser.row_names();
    names.learn(row);
    let mut rewriter = names.into_anonymiser();
    assert!(!rewriter.rewrite(row).contains("Ada"));
    rewriter
}

#[test]
fn rows_keep_their_form_and_lose_their_data() {
    let rows = [
        r#"{"id":7,"name":"Ulm","first_name":"Ada","last_name":"Byron","phone":4915112345678,"zip":"89073","n":12500}"#,
        r#"{"id":8,"name":"Maria Lopez","talk":"Bo: I bake.\nP1: Ada and Byron asked Bo, Lopez too.\nBo: So.","tags":["x","a@b.example"]}"#,
    ];
    let anonymiser = Anonymiser::new(Strategy::Replace);
    let mut names = anonymiser.row_names();
    rows.iter().for_each(|row| names.learn(row));
    let mut rewriter = names.into_anonymiser();
    let made: Vec<serde_json::Value> =
        rows.iter().map(|row| serde_json::from_str(&rewriter.rewrite(row)).unwrap()).collect();
    assert_eq!((&made[0]["id"], &made[0]["name"], &made[0]["n"]), (&7.into(), &"Ulm".into(), &12_500.into()));
    assert_eq!((&made[0]["phone"], &made[0]["zip"]), (&"01632 960001".into(), &"1 Example Street".into()));
    let talk = made[1]["talk"].as_str().unwrap_or_default();
    for name in ["Ada", "Byron", "Bo:", "Lopez"] {
        assert!(!talk.contains(name), "{talk}");
    }
    assert_eq!((&made[1]["tags"][0], &made[1]["tags"][1]), (&"x".into(), &"person1@mail.example".into()));
    assert_eq!(rewriter.rewrite("Ada is no JSON"), "Person 1 is no JSON");
    let mut rewriter = anonymiser.row_names().into_anonymiser();
    let person = rewriter.rewrite(r#"{"name":"Oluwa Adeyemi","age":40,"file":{"name":"a.txt"}}"#);
    assert_eq!(person, r#"{"name":"Person 1","age":40,"file":{"name":"a.txt"}}"#);
    let rewriter = names_of_first(&anonymiser, rows[0]);
    assert!(rewriter.finish().0.iter().any(|found| found.original == "Ada"));
}
