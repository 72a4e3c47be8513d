//! Personal data of many kinds and languages, of which nothing may stay, and words that are none.

use super::{Anonymiser, Strategy};
use crate::Document;

/// Names that are given, a text, and what may not stay in it; `/` is an end of a line.
const SECRETS: &str = r#"
    - | P1: I live at 1600 Pine Avenue, Apt 12, Columbus, OH 43004. | Pine;43004;Columbus
    - | P1: Our house is 221B Baker St, London NW1 6XE, you know. | Baker;NW1
    - | P1: Send it to The Old Mill, 4 Church Lane, Little Hampton, BN17 5AB. | Church Lane;BN17
    - | P1: It's 15 Elm St. and the code is 02139. | Elm
    - | P1: Ich wohne Am Alten Markt 7, 20095 Hamburg. | Markt 7;20095
    - | P1: Meine Adresse ist Goethestr. 12, D-80336 München. | Goethe;80336
    - | P1: Sie wohnt in der Karl-Marx-Allee 91a in Berlin. | Karl-Marx
    - | P1: Unter den Linden 77, 10117 Berlin, da wohne ich. | Linden 77;10117
    - | P1: Ich wohne in der Bahnhofstrasse 3, 8001 Zürich. | Bahnhof;8001
    - | P1: Mein Büro ist Im Mediapark 8, 50670 Köln. | Mediapark;50670
    - | P1: Die Rechnung ging an Rosenweg 4 in 04109 Leipzig. | Rosenweg;04109
    - | P1: J'habite 7 bis, rue du Général-de-Gaulle, 69003 Lyon. | Gaulle;69003
    - | P1: C'est au 24 avenue des Champs Élysées à 75008 Paris. | Champs;75008
    - | P1: Mon adresse : 3 impasse des Lilas, 31000 Toulouse Cedex 4. | Lilas;31000
    - | P1: Envoyez-le au 12, bd Saint-Michel, BP 45, 75005 Paris. | Saint-Michel;75005
    - | P1: Vivo en Calle de Alcalá, n.º 42, 3.º izquierda, 28014 Madrid. | Alcalá;28014
    - | P1: Abito in via Garibaldi 12, 20121 Milano. | Garibaldi;20121
    - | P1: Moro na Rua das Flores, 45, 1200-195 Lisboa. | Flores;1200-195
    - | P1: Mieszkam przy ulicy Długiej 5 m. 3, 00-238 Warszawa. | Długiej;00-238
    - | P1: Я живу на улице Ленина, дом 5, квартира 12. | Ленина
    - | P1: Живу по адресу ул. Садовая, д. 7, кв. 3, 190000 Санкт-Петербург. | Садовая
    - | P1: My card is 5500 0055 5555 5559, exp 12/27. | 5500
    - | P1: It's 3782 822463 10005 on the Amex. | 3782
    - | P1: Card 4111-1111-1111-1111 was charged. | 4111
    - | P1: My IBAN is DE89 3704 0044 0532 0130 00, please. | 3704;0532
    - | P1: Use GB29NWBK60161331926819 for that. | NWBK
    - | P1: IBAN FR14 2004 1010 0505 0001 3M02 606 is mine. | 2004;0505
    - | P1: My iban is ch93 0076 2011 6238 5295 7. | 0076
    - | P1: Call me on 0049 171 1234567 or (030) 901820. | 1234567;901820
    - | P1: My number is +1 (415) 555-0132 ext. 4. | 555-0132
    - | P1: Ruf an: 0171/2345678. | 2345678
    - | P1: Mail to jane.doe+x@shop.co.example. | jane.doe
    - | P1: Find me at https://www.linkedin.com/in/jane-doe-12 there. | jane-doe
    - | P1: I'm @jane_doe on there. | jane_doe
    - | Interviewer: Maria Schmidt-Lenz // Participant: Thomas Böhm //  // Interviewer: Herr Böhm, und Frau Schmidt? // Participant: Lenz, Maria und Thomas. Thomas' Rad, Böhms Laden. T.B. | Maria;Schmidt;Lenz;Thomas;Böhm
    - | Moderator: Kofi Mensah (KM) // Respondent: Siobhán O'Neill (SO) //  // KM: So, Siobhan? // SO: O'Neill here, and Kofi's desk. ONeill too. KM asked. | Kofi;Mensah;Siobh;Neill
    - | Interviewer: Jean-Luc Moreau // Participante: Élodie Martin //  // Jean-Luc: Élodie ? // Élodie: Oui Jean-Luc. M. Moreau et Mme Martin. Elodie aussi. | Moreau;Luc;lodie
    - | 聞き手：森田 健 // 話し手：小川 美咲 //  // 森田：小川さん、朝は？ // 小川：森田さん、箱を数えます。健さんも。美咲です。 | 森田;小川
    - | Интервьюер: Анна Петрова // Респондент: Иван Сидоров //  // Анна: Иван, ну? // Иван: Я сказал Анне и Петровой. Сидорова не было, с Иваном. | Анн;Петров;Сидоров;Иван
    - | Moderator: Agnieszka Kowalska // Uczestnik: Piotr Nowak //  // Agnieszka: Piotrze, jak? // Piotr: Pani Agnieszko, rozmawiałem z Kowalską o Nowaku. Nie ma Piotra. | Agnieszk;Kowalsk;Nowak;Piotr
    - | Haastattelija: Liisa Virtanen // Haastateltava: Pekka Mäkinen //  // Liisa: Pekka? // Pekka: Liisan kanssa, Virtasen auto, Mäkisen talo. Pekalla on. | Liisa;Virta;Mäki
    Hans Gruber | P1: Grubers Laden ist zu, Hansens auch, und bei Gruber, H. Gruber und HANS. | Gruber;HANS
    Jan Novák | P1: Byl jsem u Nováka s Janem a Novákovi jsem to dal. | Novák;Janem
    João Souza | P1: O João e o Souza, a casa do Joãozinho, Joao também. | João e;Souza
    李小龙 | P1: 我认识李小龙，小龙很好。 | 李小龙
    山田太郎 | P1: 山田太郎さんに会いました。山田さんは元気です。 | 山田
    김민수 | P1: 김민수 씨와 민수가 왔어요. | 김민수;민수
    محمد علي | P1: قال محمد لعلي، ومحمد جاء. | محمد
    - | P1: My name is Priya Raghavan. Raghavan, R-A-G. Ask Priya! | Priya;Raghavan
    - | P1: Ich heiße Jürgen Klose. Klose mit K. | Klose;Jürgen
    - | P1: Je m'appelle Inès Dubois et mon mari, Marc Dubois, travaille. | Inès;Dubois
    - | P1: Me llamo Lucía Ferrer. La señora Ferrer, dicen. | Lucía;Ferrer
    - | P1: Mi chiamo Chiara Russo, la signora Russo. | Chiara;Russo
    - | P1: Меня зовут Ольга Зайцева. Зайцева слушает. | Ольга;Зайцева
    - | P1: Nazywam się Ewa Zielińska, pani Zielińska. | Zielińsk;Ewa
    - | P1: 私の名前は高橋直子です。高橋です。 | 高橋
    - | P1: 我叫王小明。小明来了。 | 王小明
"#;

/// Texts without personal data.
const KEPT: [&str; 7] = [
    "P1: I went via Porto 12 times and paid 12,000 for 3 ovens.",
    "P1: 店長が箱を数えます。名前は大事です。",
    "P1: 我叫他来。我们有三个人。",
    "P1: The code AB12 3456 is on page 12, order DE12 99.",
    "P1: Wir gehen über die Straße, 5 Minuten am Ufer.",
    "P1: На улице было 5 человек и дом 7 этажей.",
    "P1: I use github.com and x.com a lot.",
];

/// Returns a text after redaction with a name that is given.
fn redacted(name: &str, text: &str) -> String {
    let document = Document::parse("talk.txt", text.as_bytes()).unwrap();
    let names = [name].into_iter().filter(|name| *name != "-");
    Anonymiser::new(Strategy::Redact).names(names).apply(&[document]).0[0].text.to_string()
}

#[test]
fn no_personal_data_stays() {
    let mut left = Vec::new();
    for line in SECRETS.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.split(" | ").collect();
        let made = redacted(parts[0], &format!("{}\n", parts[1].replace(" // ", "\n").replace("// ", "\n")));
        left.extend(
            parts[2]
                .split(';')
                .filter(|secret| made.contains(*secret))
                .map(|secret| format!("{secret}: {made}")),
        );
    }
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn words_that_are_no_personal_data_stay() {
    for text in KEPT {
        assert_eq!(redacted("-", &format!("{text}\n")).trim_end(), text);
    }
}
