use super::super::{Missing, Wanted, verify};
use antiphon_data::Document;

/// Quotes that leave out a negation or a limiting word which reaches into them, by what was said.
const TURNED: [(&str, &str); 20] = [
    ("I refuse to pay for bread at that price", "pay for bread at that price"),
    ("None of the older customers like the new system", "older customers like the new system"),
    ("Few of our regulars use the card reader here", "our regulars use the card reader here"),
    ("I have never in my life paid for bread", "paid for bread"),
    ("I would never ever have bought that oven", "have bought that oven"),
    ("Niemand von uns benutzt die neue Kasse", "benutzt die neue Kasse"),
    ("Aucun de mes clients paie avec une carte", "mes clients paie avec une carte"),
    ("No es verdad que usamos la aplicación cada día", "usamos la aplicación cada día"),
    ("Não é verdade que usamos a aplicação todo dia", "usamos a aplicação todo dia"),
    ("I doubt that the new oven saves us money", "the new oven saves us money"),
    ("Ich kaufe das Brot im Supermarkt nicht", "Ich kaufe das Brot"),
    ("Ik koop het brood in die winkel niet", "Ik koop het brood"),
    ("Would I pay for an app? Never.", "Would I pay for an app"),
    ("我不是每天都用这个软件", "每天都用这个软件"),
    ("没有人在这里买面包", "在这里买面包"),
    ("我不再买那家的面粉了", "买那家的面粉了"),
    ("Δεν αγοράζω ψωμί από εκεί", "αγοράζω ψωμί από εκεί"),
    ("Saya tidak membeli roti di sana", "membeli roti di sana"),
    ("It takes me 1-5 hours to bake it all", "It takes me 1.5 hours to bake it all"),
    ("About 3/4 of the customers pay by card", "About 3.4 of the customers pay by card"),
];

/// Quotes beside words that look like negations or numbers and are none.
const TRUE: [(&str, &str); 7] = [
    ("I pay cash at the till and never by card", "I pay cash at the till"),
    ("Wir haben zwei Öfen und keine Kasse", "Wir haben zwei Öfen"),
    ("Im Mai backen wir mehr Brot", "backen wir mehr Brot"),
    ("En mai nous vendons plus de pain", "nous vendons plus de pain"),
    ("We spend it on ten customers every day", "ten customers every day"),
    ("毎朝リストを書いてとりあえず置く", "毎朝リストを書いて"),
    ("我每天早上写单子不用电脑", "我每天早上写单子"),
];

fn found(said: &str, quote: &str) -> Result<(), Missing> {
    let document = Document::parse("a.txt", format!("Interviewer: So?\nP1: {said}\n").as_bytes()).unwrap();
    let wanted = Wanted { words: quote.to_owned(), document: Some(0) };
    verify(&[wanted], &[document]).remove(0).map(|_| ()).map_err(|unfound| unfound.missing)
}

#[test]
fn a_negation_reaches_over_the_words_between() {
    let kept: Vec<_> = TURNED.iter().filter(|(said, quote)| found(said, quote).is_ok()).collect();
    assert!(kept.is_empty(), "{kept:#?}");
}

#[test]
fn months_numbers_and_other_clauses_cut_nothing() {
    let lost: Vec<_> = TRUE.iter().filter(|(said, quote)| found(said, quote).is_err()).collect();
    assert!(lost.is_empty(), "{lost:#?}");
}
