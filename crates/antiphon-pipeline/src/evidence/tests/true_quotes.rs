//! True quotes in thirteen languages, as models change them: other spaces, quotes, dashes, cases, widths and compositions.

use antiphon_data::Document;
use unicode_normalization::UnicodeNormalization;

use crate::evidence::{Wanted, verify};

/// Five sentences of two clauses for each language.
const TEXTS: [(&str, [&str; 5]); 13] = [
    (
        "en",
        [
            "Before the ferry comes in, I count the \"blue\" crates on the quay.",
            "My brother keeps the ledger - an old one - in a biscuit tin, he says it's safer.",
            "Each Tuesday we mend 12 nets, the long ones take all afternoon.",
            "When the wind turns, the whole harbour smells of tar.",
            "Our co-op pays on Fridays, that's the day when we eat out.",
        ],
    ),
    (
        "de",
        [
            "Bevor die Fähre anlegt, zähle ich die \"blauen\" Kisten auf dem Kai.",
            "Mein Bruder führt das Heft - ein altes - in der Küche, er hält das für sicher.",
            "Jeden Dienstag flicken wir 12 Netze, die großen brauchen den ganzen Nachmittag.",
            "Wenn der Wind dreht, riecht der ganze Hafen nach Teer.",
            "Unsere Genossenschaft zahlt am Freitag, dann gehen wir alle essen.",
        ],
    ),
    (
        "fr",
        [
            "Avant l'arrivée du bac, je compte les \"caisses bleues\" sur le quai.",
            "Mon frère tient le cahier - un vieux - dans la cuisine, il trouve ça plus sûr.",
            "Chaque mardi on répare 12 filets, les grands prennent tout l'après-midi.",
            "Quand le vent tourne, tout le port sent le goudron.",
            "Notre coopérative paie le vendredi, c'est le jour où on mange dehors.",
        ],
    ),
    (
        "es",
        [
            "Antes de que llegue el barco, cuento las \"cajas azules\" del muelle.",
            "Mi hermano lleva el cuaderno - uno viejo - en la cocina, le parece más seguro.",
            "Cada martes remendamos 12 redes, las grandes llevan toda la tarde.",
            "Cuando cambia el viento, todo el puerto huele a brea.",
            "Nuestra cooperativa paga los viernes, ese día comemos fuera.",
        ],
    ),
    (
        "it",
        [
            "Prima che arrivi il traghetto, conto le \"casse blu\" sul molo.",
            "Mio fratello tiene il quaderno - uno vecchio - in cucina, dice che è più sicuro.",
            "Ogni martedì ripariamo 12 reti, le grandi prendono tutto il pomeriggio.",
            "Quando gira il vento, tutto il porto sa di catrame.",
            "La nostra cooperativa paga il venerdì, quel giorno mangiamo fuori.",
        ],
    ),
    (
        "pt",
        [
            "Antes de chegar a balsa, conto as \"caixas azuis\" no cais.",
            "Meu irmão guarda o caderno - um antigo - na cozinha, ele acha mais seguro.",
            "Toda terça remendamos 12 redes, as grandes levam a tarde inteira.",
            "Quando o vento muda, todo o porto cheira a alcatrão.",
            "Nossa cooperativa paga na sexta, nesse dia comemos fora.",
        ],
    ),
    (
        "pl",
        [
            "Zanim przypłynie prom, liczę \"niebieskie\" skrzynki na nabrzeżu.",
            "Mój brat trzyma zeszyt - taki stary - w kuchni, mówi że tam jest bezpieczny.",
            "W każdy wtorek łatamy 12 sieci, duże zajmują całe popołudnie.",
            "Kiedy wiatr się zmienia, cały port pachnie smołą.",
            "Nasza spółdzielnia płaci w piątki, wtedy jemy obiad w mieście.",
        ],
    ),
    (
        "ru",
        [
            "Пока паром ещё в море, я считаю \"синие\" ящики на причале.",
            "Мой брат держит тетрадь - старую - на кухне, он говорит там надёжнее.",
            "Каждый вторник мы чиним 12 сетей, большие занимают весь день.",
            "Когда меняется ветер, весь порт пахнет смолой.",
            "Наш кооператив платит по пятницам, тогда мы обедаем в городе.",
        ],
    ),
    (
        "tr",
        [
            "Vapur gelmeden önce, iskeledeki \"mavi\" kasaları sayıyorum.",
            "Kardeşim defteri - eski bir defter - mutfakta tutar, orası daha güvenli der.",
            "Her salı 12 ağ onarıyoruz, büyükler bütün öğleden sonrayı alıyor.",
            "Rüzgâr dönünce, bütün liman katran kokuyor.",
            "Kooperatifimiz cuma günü öder, o gün dışarıda yemek yeriz.",
        ],
    ),
    (
        "zh",
        [
            "渡船靠岸之前，我在码头上数“蓝色”的箱子。",
            "我弟弟把账本放在厨房里，他说那里更安全——真的。",
            "每个星期二我们补12张渔网，大的要花整个下午。",
            "风向一变，整个港口都是柏油的味道。",
            "我们的合作社星期五发工资，那天我们去外面吃饭。",
        ],
    ),
    (
        "ja",
        [
            "フェリーが着く前に、港で「青い」箱を数えます。",
            "弟は帳簿を台所に置いて、そこが安全だと言います。",
            "毎週火曜日に12枚の網を直し、大きい網は午後いっぱいかかります。",
            "風向きが変わると、港全体がタールの匂いになります。",
            "うちの組合は金曜日に払うので、その日は外で食べます。",
        ],
    ),
    (
        "ko",
        [
            "배가 들어오기 전에, 저는 부두에서 \"파란\" 상자를 셉니다.",
            "동생은 장부를 부엌에 두고, 거기가 더 안전하다고 합니다.",
            "화요일마다 그물 12개를 고치고, 큰 것은 오후 내내 걸립니다.",
            "바람이 바뀌면, 항구 전체에서 타르 냄새가 납니다.",
            "우리 조합은 금요일에 돈을 주고, 그날 우리는 밖에서 먹습니다.",
        ],
    ),
    (
        "th",
        [
            "ก่อนเรือข้ามฟากจะมา, ฉันนับลัง \"สีน้ำเงิน\" ที่ท่าเรือ",
            "น้องชายเก็บสมุดบัญชีไว้ในครัว, เขาว่าที่นั่นปลอดภัยกว่า",
            "ทุกวันอังคารเราซ่อมอวน 12 ผืน, ผืนใหญ่ใช้เวลาทั้งบ่าย",
            "พอลมเปลี่ยนทิศ, ทั้งท่าเรือก็มีกลิ่นน้ำมันดิน",
            "สหกรณ์ของเราจ่ายเงินวันศุกร์, วันนั้นเราออกไปกินข้าวนอกบ้าน",
        ],
    ),
];

/// Number of the ways in which a quote is changed.
const WAYS: usize = 10;

/// Returns a quote in one of the ways in which a model may write it.
fn changed(quote: &str, way: usize) -> String {
    let each = |change: fn(char) -> char| quote.chars().map(change).collect::<String>();
    match way {
        0 => quote.to_owned(),
        1 => quote.replace(' ', "\n  "),
        2 => quote.to_uppercase(),
        3 => quote.to_lowercase(),
        4 => format!(
            "“{}”",
            each(|c| match c {
                '\'' => '’',
                '"' | '“' => '«',
                '”' => '»',
                c => c,
            })
        ),
        5 => quote.replace(" - ", "—").replace('-', "–").replace("——", "--"),
        6 => each(|c| if c.is_ascii_graphic() { wide(c) } else { c }),
        7 => quote.nfd().collect(),
        8 => format!("P1: {}…", quote.trim_end_matches(['.', '。'])),
        _ => apart(quote),
    }
}

/// Returns the full-width form of a character of ASCII.
fn wide(c: char) -> char {
    char::from_u32(u32::from(c) + 0xFEE0).unwrap_or(c)
}

/// Puts white space where its place or kind does not matter: between characters of scripts without spaces, and elsewhere as a
/// space without a break.
fn apart(quote: &str) -> String {
    let is_spaceless = |c: char| crate::evidence::text::Script::of(c).is_some();
    let mut apart = String::new();
    for (index, c) in quote.chars().enumerate() {
        let joins = apart.chars().next_back().is_some_and(is_spaceless) && is_spaceless(c);
        if joins && index % 3 == 0 && !unicode_normalization::char::is_combining_mark(c) && c != 'ำ' {
            apart.push(' ');
        }
        apart.push(if c == ' ' { '\u{A0}' } else { c });
    }
    apart
}

/// Looks up a hundred quotes for each language: its sentences and their last clauses, each in all ways.
#[track_caller]
pub(super) fn check(texts: &[(&str, [&str; 5])]) {
    for (language, sentences) in texts {
        let text: String =
            sentences.iter().map(|said| format!("Interviewer: And then?\nP1: {said}\n")).collect();
        let document = Document::parse("a.txt", text.as_bytes()).unwrap();
        let pieces = sentences
            .iter()
            .flat_map(|said| [said, said.split([',', '，', '、', '،']).next_back().unwrap_or(said)]);
        let quotes: Vec<String> =
            pieces.flat_map(|piece| (0..WAYS).map(|way| changed(piece.trim(), way))).collect();
        assert_eq!(quotes.len(), 100);
        let wanted: Vec<Wanted> = quotes.iter().map(Wanted::new).collect();
        let found = verify(&wanted, &[document]);
        let missed: Vec<_> = quotes.iter().zip(&found).filter(|(_, found)| found.is_err()).collect();
        assert!(missed.len() <= 1, "{language}: {} missed: {missed:#?}", missed.len());
    }
}

/// Returns whether a quote is found in what a participant said.
pub(super) fn is_found(said: &str, quote: &str) -> bool {
    let document = Document::parse("a.txt", format!("Interviewer: Well?\nP1: {said}.\n").as_bytes()).unwrap();
    verify(&[Wanted::new(quote)], &[document]).remove(0).is_ok()
}

#[test]
fn a_hundred_true_quotes_are_found_in_each_language() {
    check(&TEXTS);
}
