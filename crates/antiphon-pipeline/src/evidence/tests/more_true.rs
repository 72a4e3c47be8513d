//! True quotes in more languages: see `true_quotes`.

use super::true_quotes::check;

/// Five sentences of two clauses for each language.
const TEXTS: [(&str, [&str; 5]); 15] = [
    (
        "nl",
        [
            "Voordat de boot komt, tel ik de \"blauwe\" kisten op de kade.",
            "Mijn broer bewaart het schrift - een oud ding - in de keuken, hij vindt dat veiliger.",
            "Elke dinsdag maken we 12 netten, de lange kosten de hele middag.",
            "Ik vertrouw \"niemand\" daar, ik betaal altijd zelf.",
            "Wij verkopen niet op zondag, dan eten we buiten.",
        ],
    ),
    (
        "sv",
        [
            "Innan färjan kommer, räknar jag de \"blå\" lådorna på kajen.",
            "Min bror sparar boken - en gammal en - i köket, han tycker det är säkrare.",
            "Varje tisdag lagar vi 12 nät, de långa tar hela eftermiddagen.",
            "Jag litar inte på \"ingen\" och \"aldrig\", jag betalar alltid själv.",
            "Nu köper jag brödet själv, då äter vi ute.",
        ],
    ),
    (
        "da",
        [
            "Før færgen kommer, tæller jeg de \"blå\" kasser på kajen.",
            "Min bror gemmer bogen - en gammel en - i køkkenet, han synes det er sikrere.",
            "Hver tirsdag lapper vi 12 net, de lange tager hele eftermiddagen.",
            "Jeg stoler ikke på dem der, jeg betaler altid selv.",
            "Nu køber jeg brødet selv, så spiser vi ude.",
        ],
    ),
    (
        "nb",
        [
            "Før ferja kommer, teller jeg de \"blå\" kassene på kaia.",
            "Broren min sparer boka - ei gammel ei - på kjøkkenet, han synes det er tryggere.",
            "Hver tirsdag lapper vi 12 garn, de lange tar hele ettermiddagen.",
            "Jeg stoler ikke på dem der, jeg betaler alltid selv.",
            "Nå kjøper jeg brødet selv, da spiser vi ute.",
        ],
    ),
    (
        "cs",
        [
            "Než přijede přívoz, počítám \"modré\" bedny na nábřeží.",
            "Můj bratr vede sešit - takový starý - v kuchyni, říká že je to bezpečnější.",
            "Každé úterý spravujeme 12 sítí, velké trvají celé odpoledne.",
            "Nikomu tam nevěřím, vždycky platím sama.",
            "Naše družstvo platí v pátek, potom jíme ve městě.",
        ],
    ),
    (
        "fi",
        [
            "Ennen kuin lautta tulee, lasken \"siniset\" laatikot laiturilla.",
            "Veljeni pitää vihkoa - vanhaa sellaista - keittiössä, hän sanoo sen olevan turvallisempaa.",
            "Joka tiistai korjaamme 12 verkkoa, isot vievät koko iltapäivän.",
            "En luota heihin siellä, maksan aina itse.",
            "Osuuskuntamme maksaa perjantaisin, silloin syömme ulkona.",
        ],
    ),
    (
        "ro",
        [
            "Înainte să vină bacul, număr lăzile \"albastre\" de pe chei.",
            "Fratele meu ține caietul - unul vechi - în bucătărie, zice că e mai sigur.",
            "În fiecare marți reparăm 12 plase, cele mari durează toată după-amiaza.",
            "N-am încredere în ei, plătesc mereu eu.",
            "Cooperativa noastră plătește vinerea, atunci mâncăm în oraș.",
        ],
    ),
    (
        "hu",
        [
            "Mielőtt jön a komp, megszámolom a \"kék\" ládákat a rakparton.",
            "A bátyám a füzetet - egy régit - a konyhában tartja, szerinte ott biztonságosabb.",
            "Minden kedden 12 hálót javítunk, a nagyok egész délután tartanak.",
            "Nem bízom bennük ott, mindig magam fizetek.",
            "A szövetkezetünk pénteken fizet, akkor vacsorázunk a városban.",
        ],
    ),
    (
        "el",
        [
            "Πριν έρθει το φέρι, μετράω τα \"μπλε\" κασόνια στην προβλήτα.",
            "Ο αδερφός μου κρατάει το τετράδιο - ένα παλιό - στην κουζίνα, λέει πως εκεί είναι πιο ασφαλές.",
            "Κάθε Τρίτη φτιάχνουμε 12 δίχτυα, τα μεγάλα παίρνουν όλο το απόγευμα.",
            "Δεν τους εμπιστεύομαι εκεί, πληρώνω πάντα μόνος.",
            "Ο συνεταιρισμός μας πληρώνει την Παρασκευή, τότε τρώμε έξω.",
        ],
    ),
    (
        "uk",
        [
            "Поки пором ще в морі, я рахую \"сині\" ящики на причалі.",
            "Мій брат тримає зошит - старий такий - на кухні, він каже там надійніше.",
            "Щовівторка ми лагодимо 12 сітей, великі займають весь день.",
            "Я їм там не довіряю, завжди плачу сам.",
            "Наш кооператив платить у п'ятницю, тоді ми вечеряємо в місті.",
        ],
    ),
    (
        "he",
        [
            "לפני שהמעבורת מגיעה, אני סופר את הארגזים \"הכחולים\" ברציף.",
            "אחי שומר את המחברת - אחת ישנה - במטבח, הוא אומר ששם יותר בטוח.",
            "בכל יום שלישי אנחנו מתקנים 12 רשתות, הגדולות לוקחות אחר צהריים שלם.",
            "אני לא סומך עליהם שם, אני משלם תמיד בעצמי.",
            "הקואופרטיב שלנו משלם בימי שישי, אז אנחנו אוכלים בחוץ.",
        ],
    ),
    (
        "ar",
        [
            "قبل أن تصل العبارة، أعد الصناديق \"الزرقاء\" على الرصيف.",
            "أخي يحفظ الدفتر - دفتر قديم - في المطبخ، يقول إن ذلك أكثر أمانا.",
            "كل ثلاثاء نصلح 12 شبكة، الكبيرة تأخذ بعد الظهر كله.",
            "لا أثق بهم هناك، أدفع دائما بنفسي.",
            "تعاونيتنا تدفع يوم الجمعة، عندها نأكل في المدينة.",
        ],
    ),
    (
        "hi",
        [
            "नाव आने से पहले, मैं घाट पर \"नीले\" बक्से गिनता हूँ।",
            "मेरा भाई कॉपी - एक पुरानी - रसोई में रखता है, वह कहता है कि वहाँ ज्यादा सुरक्षित है।",
            "हर मंगलवार हम 12 जाल ठीक करते हैं, बड़े जाल पूरी दोपहर लेते हैं।",
            "मुझे उन पर भरोसा नहीं है, मैं हमेशा खुद पैसे देता हूँ।",
            "हमारी समिति शुक्रवार को पैसे देती है, तब हम बाहर खाते हैं।",
        ],
    ),
    (
        "vi",
        [
            "Trước khi phà đến, tôi đếm những thùng \"xanh\" trên bến.",
            "Anh tôi giữ cuốn sổ - một cuốn cũ - trong bếp, anh nói ở đó an toàn hơn.",
            "Mỗi thứ ba chúng tôi vá 12 tấm lưới, những tấm lớn mất cả buổi chiều.",
            "Tôi không tin họ ở đó, tôi luôn tự trả tiền.",
            "Hợp tác xã của chúng tôi trả tiền vào thứ sáu, lúc đó chúng tôi ăn ngoài.",
        ],
    ),
    (
        "id",
        [
            "Sebelum feri datang, saya menghitung peti \"biru\" di dermaga.",
            "Kakak saya menyimpan buku - buku lama - di dapur, katanya di situ lebih aman.",
            "Setiap Selasa kami memperbaiki 12 jaring, yang besar makan waktu sesore.",
            "Saya tidak percaya mereka di sana, saya selalu bayar sendiri.",
            "Koperasi kami membayar hari Jumat, saat itu kami makan di luar.",
        ],
    ),
];

#[test]
fn a_hundred_true_quotes_are_found_in_more_languages() {
    check(&TEXTS);
}

/// Quotes whose marks beside a negation, a number or a letter are written in another way.
const MARKS: [(&str, &str); 12] = [
    ("I said \"no\" to him twice that day", "I said «no» to him twice that day"),
    ("I said „never“ to him on that day", "I said 'never' to him on that day"),
    ("It is a no-brainer for the people here", "It is a no–brainer for the people here"),
    (
        "It is a no-brainer for the people here",
        "Ｉｔ ｉｓ ａ ｎｏ－ｂｒａｉｎｅｒ ｆｏｒ ｔｈｅ ｐｅｏｐｌｅ ｈｅｒｅ",
    ),
    ("We have 12-15 crates, and 1/2 of them are blue", "We have 12－15 crates, and 1／2 of them are blue"),
    ("No - money matters to us a lot", "No – money matters to us a lot"),
    ("No, never - I pay in cash", "No, never — I pay in cash"),
    ("Всё ещё плачу наличными на рынке", "Все еще плачу наличными на рынке"),
    ("אני לא סומך עליהם שם", "\u{200F}אני לא\u{200F} סומך עליהם שם"),
    ("لا أثق بهم هناك أبدا", "لا أثـق بهم هناك أبدا"),
    ("C'est l'heure où je n'ai pas de pain", "C’est l’heure où je n’ai pas de pain"),
    ("I don't think so\u{FE0F}, it is fine", "I don't think so, it is fine"),
];

#[test]
fn marks_may_be_written_in_another_way() {
    let lost: Vec<_> =
        MARKS.iter().filter(|(said, quote)| !super::true_quotes::is_found(said, quote)).collect();
    assert!(lost.is_empty(), "{lost:#?}");
}
