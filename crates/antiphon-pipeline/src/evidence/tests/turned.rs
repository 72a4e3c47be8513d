//! Planted quotes that turn what was said round, in thirteen languages: none may be found.

use antiphon_data::Document;

use crate::evidence::{Wanted, verify};

/// A sentence with places for what decides its meaning, and what it is turned round with.
struct Frame {
    /// A and B are people, N a number, L a limiting word, X a word that denies; `|` is where the second half begins.
    sentence: &'static str,
    people: [&'static str; 5],
    numbers: [&'static str; 5],
    /// The limiting word, and its opposite.
    limit: [&'static str; 2],
    /// The word that denies, and its opposite.
    denial: [&'static str; 2],
    /// A word that denies or limits, to put before the number.
    added: &'static str,
}

const EUROPEAN: [&str; 5] = ["Ida", "Bruno", "Clara", "Timur", "Vera"];

const FRAMES: [Frame; 13] = [
    Frame {
        sentence: "<A> <L> sells <N> baskets to <B> on market days | and <X> asks for anything else.",
        people: EUROPEAN,
        numbers: ["fifteen", "fifty", "seven", "seventy", "40"],
        limit: ["rarely", "often"],
        denial: ["never", "always"],
        added: "not",
    },
    Frame {
        sentence: "<A> verkauft <L> <N> Körbe an <B> auf dem Markt | und will <X> etwas anderes haben.",
        people: EUROPEAN,
        numbers: ["fünfzehn", "fünfzig", "sieben", "siebzig", "40"],
        limit: ["selten", "oft"],
        denial: ["nie", "immer"],
        added: "nicht",
    },
    Frame {
        sentence: "<A> vend <L> <N> paniers à <B> au marché | et demande <X> autre chose.",
        people: EUROPEAN,
        numbers: ["quinze", "cinquante", "sept", "seize", "40"],
        limit: ["rarement", "souvent"],
        denial: ["jamais", "toujours"],
        added: "pas",
    },
    Frame {
        sentence: "<A> vende <L> <N> cestas a <B> en el mercado | y <X> pide otra cosa.",
        people: EUROPEAN,
        numbers: ["quince", "cincuenta", "siete", "setenta", "40"],
        limit: ["raramente", "frecuentemente"],
        denial: ["nunca", "siempre"],
        added: "no",
    },
    Frame {
        sentence: "<A> vende <L> <N> cesti a <B> al mercato | e chiede <X> altro in cambio.",
        people: EUROPEAN,
        numbers: ["quindici", "cinquanta", "sette", "settanta", "40"],
        limit: ["raramente", "spesso"],
        denial: ["mai", "sempre"],
        added: "non",
    },
    Frame {
        sentence: "<A> vende <L> <N> cestos a <B> na feira | e <X> pede outra coisa.",
        people: EUROPEAN,
        numbers: ["quinze", "cinquenta", "sete", "setenta", "40"],
        limit: ["raramente", "frequentemente"],
        denial: ["nunca", "sempre"],
        added: "não",
    },
    Frame {
        sentence: "<A> <L> sprzedaje <N> koszy dla <B> na targu | i <X> prosi o coś innego.",
        people: EUROPEAN,
        numbers: ["piętnaście", "pięćdziesiąt", "siedem", "siedemdziesiąt", "40"],
        limit: ["rzadko", "często"],
        denial: ["nigdy", "zawsze"],
        added: "nie",
    },
    Frame {
        sentence: "<A> <L> продаёт <N> корзин для <B> на рынке | и <X> просит что-то другое.",
        people: ["Ида", "Бруно", "Клара", "Тимур", "Вера"],
        numbers: ["пятнадцать", "пятьдесят", "семь", "семьдесят", "40"],
        limit: ["редко", "часто"],
        denial: ["никогда", "всегда"],
        added: "не",
    },
    Frame {
        sentence: "<A> pazarda <B> için <L> <N> sepet satar | ve <X> başka bir şey ister.",
        people: EUROPEAN,
        numbers: ["on", "elli", "yedi", "yetmiş", "40"],
        limit: ["nadiren", "sık"],
        denial: ["asla", "hep"],
        added: "değil",
    },
    Frame {
        sentence: "<A><L>在市场上卖给<B><N>个篮子|，而且<X>要别的东西。",
        people: ["小明", "老王", "阿梅", "小李", "大伟"],
        numbers: ["十五", "五十", "七", "十七", "40"],
        limit: ["很少", "经常"],
        denial: ["从不", "总是"],
        added: "不",
    },
    Frame {
        sentence: "<A>は市場で<L><B>に籠を<N>個売り|、<X>ほかの物を頼む。",
        people: ["花子", "太郎", "由美", "健", "真理"],
        numbers: ["十五", "五十", "七", "十七", "40"],
        limit: ["ほとんど", "いつも"],
        denial: ["決して", "必ず"],
        added: "ない",
    },
    Frame {
        sentence: "<A> 씨는 시장에서 <L> <B> 씨에게 바구니 <N> 개를 팔고 | <X> 다른 것을 달라고 해요.",
        people: ["민수", "영희", "지훈", "수진", "하나"],
        numbers: ["열다섯", "쉰", "일곱", "열일곱", "40"],
        limit: ["거의", "자주"],
        denial: ["절대", "항상"],
        added: "안",
    },
    Frame {
        sentence: "<A><L>ขายตะกร้า<N>ใบให้<B>ที่ตลาด |และ<X>ขอของอย่างอื่น",
        people: ["สมชาย", "มาลี", "วิชัย", "นิดา", "ปรีชา"],
        numbers: ["สิบห้า", "ห้าสิบ", "เจ็ด", "สิบเจ็ด", "40"],
        limit: ["แทบไม่", "มัก"],
        denial: ["ไม่เคย", "ต้อง"],
        added: "ไม่",
    },
];

impl Frame {
    /// Returns the sentence with these words in its places; its two halves are still marked.
    fn filled(&self, people: [&str; 2], number: &str, words: [&str; 2]) -> String {
        let [limit, denial] = words;
        let pairs =
            [("<A>", people[0]), ("<B>", people[1]), ("<N>", number), ("<L>", limit), ("<X>", denial)];
        pairs.iter().fold(self.sentence.to_owned(), |text, (place, word)| text.replace(place, word))
    }

    /// Returns the turns of one variant, and the quotes that turn them round.
    fn planted(&self, variant: usize) -> ([String; 2], Vec<String>) {
        let next = (variant + 1) % 5;
        let people = [self.people[variant], self.people[next]];
        let (number, other) = (self.numbers[variant], self.numbers[next]);
        let ([limit, often], [denial, always]) = (self.limit, self.denial);
        let turned = [people[1], people[0]];
        let said = self.filled(people, number, [limit, denial]);
        let second = self.filled(turned, other, [often, always]).replacen(turned[0], "Otto", 1);
        let behind_limit = said.split_once(limit).map_or("", |(_, rest)| rest);
        let (first_half, _) = said.split_once('|').unwrap_or_default();
        let (_, second_half) = second.split_once('|').unwrap_or_default();
        let quotes = vec![
            self.filled(people, number, ["", denial]),
            self.filled(people, number, [limit, ""]),
            self.filled(people, number, [often, denial]),
            self.filled(people, number, [limit, always]),
            self.filled(turned, number, [limit, denial]),
            self.filled(people, other, [limit, denial]),
            self.filled(people, &format!("{} {number}", self.added), [limit, denial]),
            format!("{first_half}{second_half}"),
            behind_limit.split('|').next().unwrap_or_default().to_owned(),
        ];
        let whole = |text: String| text.replace('|', "").replace("  ", " ");
        ([said, second].map(whole), quotes.into_iter().map(whole).collect())
    }
}

#[test]
fn no_planted_quote_is_found() {
    let mut planted = 0;
    for frame in &FRAMES {
        for variant in 0..5 {
            let (turns, quotes) = frame.planted(variant);
            let text = format!("Interviewer: Well?\nP1: {}\nInterviewer: Yes?\nP1: {}\n", turns[0], turns[1]);
            let document = Document::parse("a.txt", text.as_bytes()).unwrap();
            let own: Vec<Wanted> = turns.iter().map(Wanted::new).collect();
            assert!(verify(&own, std::slice::from_ref(&document)).iter().all(Result::is_ok), "{turns:?}");
            let wanted: Vec<Wanted> = quotes.iter().map(Wanted::new).collect();
            for (quote, found) in quotes.iter().zip(verify(&wanted, &[document])) {
                assert!(found.is_err(), "{turns:?}\n{quote}\n{found:?}");
                planted += 1;
            }
        }
    }
    assert!(planted >= 500, "{planted}");
}
