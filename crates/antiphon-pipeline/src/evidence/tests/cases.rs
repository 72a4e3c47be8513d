//! Quotes of single kinds, each with the source that it is looked up in.

use antiphon_data::{Document, SpeakerRole};

use crate::evidence::{Missing, Wanted, verify};
use crate::persona::Match;

/// Looks up a quote in a participant's turn.
#[track_caller]
fn check(said: &str, quote: &str, expected: Result<Match, Missing>) {
    let document = Document::parse("a.txt", format!("Interviewer: So?\nP1: {said}\n").as_bytes()).unwrap();
    let found = verify(&[Wanted::new(quote)], &[document]).remove(0);
    let found = found.map(|found| found.matched).map_err(|unfound| unfound.missing);
    assert_eq!(found, expected, "{said} | {quote}");
}

#[test]
fn languages_without_spaces_are_matched_by_characters() {
    let exact = Ok(Match::Exact);
    check("下雨的时候，我坐公共汽车去上班。", "我坐公共汽车去上班", exact);
    check("雨の日は、バスで会社に行きます。", "バスで会社に行きます", exact);
    check("雨の日は、ﾊﾞｽで会社に行きます。", "バスで会社に行きます", Ok(Match::Normalised));
    check("비가 오는 날에는 버스를 타고 갑니다.", "버스를타고 갑니다", exact);
    check("วันที่ฝนตกฉันนั่งรถเมล์ไปทำงาน", "ฉันนั่งรถเมล์ไปทำงาน", exact);
    check("えーと、雨の日は、えーと、バスで行きます。", "雨の日はバスで行きます", Ok(Match::Fuzzy));
    check("下雨的时候，嗯，我坐，那个，公共汽车去上班。", "下雨的时候我坐公共汽车去上班", Ok(Match::Fuzzy));
    check("那个人坐公共汽车去上班。", "人坐公共汽车去上学", Err(Missing::Nowhere));
    check("下雨的时候，我坐公共汽车去上班。", "公车", Err(Missing::TooShort));
    check("下雨的时候，我坐公共汽车去上班。", "汽车", Err(Missing::TooShort));
    check("我不坐公共汽车去上班。", "我坐公共汽车去上班", Err(Missing::Nowhere));
    check("バスで会社に行きます。", "バスで会社に行きません", Err(Missing::Nowhere));
}

#[test]
fn fillers_and_articles_may_differ_and_words_may_not() {
    let fuzzy = Ok(Match::Fuzzy);
    check("Um, we sell, like, about nineteen tins an hour.", "We sell about nineteen tins an hour.", fuzzy);
    check(
        "We, you know, repaint the old shutters each spring.",
        "We repaint old shutters each spring",
        fuzzy,
    );
    check("Ähm, wir streichen, also, die Läden jeden Herbst.", "Wir streichen die Läden jeden Herbst", fuzzy);
    check("Bon, euh, on repeint euh les volets au printemps.", "on repeint les volets au printemps", fuzzy);
    check(
        "We like, at the least, painting shutters.",
        "We, at the least, painting shutters",
        Err(Missing::Nowhere),
    );
    check("It is like a prison in there.", "It is a prison in there.", Err(Missing::Nowhere));
    check("I have a few friends in this town.", "I have few friends in this town.", Err(Missing::Nowhere));
    check(
        "Der Wirt bezahlt den Maler im Herbst.",
        "Den Wirt bezahlt der Maler im Herbst.",
        Err(Missing::Nowhere),
    );
    check("Die Frau malt den Herrn im Herbst.", "Die Frau malt der Herrn im Herbst.", Err(Missing::Nowhere));
    check(
        "I saw Marta paint the old shutters.",
        "I saw Maria paint the old shutters.",
        Err(Missing::Nowhere),
    );
    check(
        "We can paint the old shutters now.",
        "We can't paint the old shutters now.",
        Err(Missing::Nowhere),
    );
    check("We owe $5 for each of the tins.", "We owe €5 for each of the tins.", Err(Missing::Nowhere));
    check(
        "It was -5 degrees in the shop today.",
        "It was 5 degrees in the shop today.",
        Err(Missing::Nowhere),
    );
}

#[test]
fn meanings_that_are_turned_round_are_not_found() {
    for (said, quote) in [
        ("Ich würde dafür niemals im Leben Geld ausgeben.", "Ich würde dafür im Leben Geld ausgeben."),
        ("Il faut toujours deux clés, jamais trois.", "Il faut toujours deux clés, toujours trois."),
        ("I seldom open the ledger before noon.", "I open the ledger before noon."),
        ("We lose about sixteen tins a day.", "We lose about sixty tins a day."),
        ("The tenant called the painter before noon.", "The painter called the tenant before noon."),
    ] {
        check(said, quote, Err(Missing::Nowhere));
    }
}

#[test]
fn a_passage_beside_a_negation_or_within_a_number_is_cut() {
    let cut = Err(Missing::Cut);
    check("I never pay for the shutters.", "pay for the shutters", cut);
    check("I don't really want the shutters.", "want the shutters", cut);
    check("Ich glaube nicht, dass sich das lohnt.", "dass sich das lohnt", cut);
    check("Ich bezahle das nicht.", "Ich bezahle das", cut);
    check("Ich bezahle das einfach nicht.", "Ich bezahle das", cut);
    check("Je paie les volets jamais.", "Je paie les volets", cut);
    check("We had twenty-five tins in there.", "five tins in there", cut);
    check("We had twenty five tins.", "We had twenty", cut);
    check("It takes 1.5 hours a day.", "5 hours a day", cut);
    check("我从来不买这种面包。", "买这种面包", cut);
    check("我们有三十五个大面包。", "五个大面包", cut);
    check("バスの切符を買うことはありません。", "バスの切符を買うこと", cut);
    check("저는 안 사요 그런 빵을.", "사요 그런 빵을", cut);
    check("저는 그런 빵을 사지 않아요.", "저는 그런 빵을 사", cut);
    check("ฉันไม่ซื้อขนมปังที่ตลาด", "ซื้อขนมปังที่ตลาด", cut);
    // A clause of its own is not.
    let exact = Ok(Match::Exact);
    check("No, I pay for the shutters.", "I pay for the shutters", exact);
    check("It is not nice but I pay for it.", "I pay for it", exact);
    check("Never again. I pay for the shutters.", "I pay for the shutters", exact);
    check("Das will ich nicht, ich bezahle das gern.", "ich bezahle das gern", exact);
    check("不，我买这种面包。", "我买这种面包", exact);
    // The same words elsewhere count.
    check("I never pay for tins. I pay for tins now.", "pay for tins", exact);
}

#[test]
fn speakers_whose_side_is_unclear_have_a_place_that_says_so() {
    let mut document =
        Document::parse("a.txt", b"P1: We paint the shutters.\nP2: Do you paint them alone?\n").unwrap();
    document.turns[1].role = SpeakerRole::Unclear;
    document.turns[1].time = Some("12:41".into());
    let wanted = [Wanted::new("Do you paint them alone"), Wanted::new("We paint the shutters")];
    let found = verify(&wanted, &[document]);
    let places: Vec<_> = found.iter().flatten().map(|found| (found.role, found.time.as_deref())).collect();
    assert_eq!(places, [(SpeakerRole::Unclear, Some("12:41")), (SpeakerRole::Participant, None)]);
}
