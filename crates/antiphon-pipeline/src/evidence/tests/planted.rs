//! Planted quotes of words that were denied: none may be found. In each language, every beginning that denies is put before every
//! statement, and every end that denies behind it.

use super::true_quotes::is_found;

/// Words that deny in one language, and statements that they deny.
struct Denial {
    language: &'static str,
    /// Beginnings and ends that deny, around `<>` for the statement, separated by `|`.
    frames: &'static str,
    /// Statements, separated by `|`.
    statements: &'static str,
}

#[rustfmt::skip]
const DENIALS: [Denial; 26] = [
    Denial {
        language: "en",
        frames: "I never <>|I would not <>|We don't <>|I can't honestly ever <>|I would never under any normal circumstances <>|I wouldn't for all the money in this world <>|\
            Nobody who works in this town would <>|I would never, whatever they pay me, <>|I didn't just stand there in the rain and <>|Instead of going out to <>|I used to <>|It is impossible for me to <>",
        statements: "buy my bread at that market|pay for a third ferry ticket|keep the ledger in a tin|trust the new harbour app|walk to work before dawn",
    },
    Denial {
        language: "en, behind",
        frames: "<> is not true|<> is a complete lie|<>? No.|<>? I don't think so.|<>, not.|<> never",
        statements: "That I buy my bread there|That the ferry pays for itself|That we keep the ledger here|That the harbour app helps us|That my brother mends the nets|That I like the market at noon|That they come by at noon",
    },
    Denial {
        language: "de",
        frames: "Ich würde nie <>|Wir wollen nicht <>|Niemand von uns wollte an den kalten Tagen <>|Ich habe keine Lust mehr <>|Ich möchte auf gar keinen Fall noch einmal <>|Ich glaube nicht, dass wir <>|Wir konnten damals wegen der vielen Leute nicht <>|Ohne <>",
        statements: "das Brot im Hafen kaufen|für die dritte Fähre zahlen|das alte Heft führen|den neuen Netzen trauen|vor dem Morgen aufstehen",
    },
    Denial {
        language: "de, behind",
        frames: "<> nicht|<> am Freitag nicht|<> im Hafen an der alten Ecke nicht|<> schon seit vielen Jahren gar nicht mehr|<> wegen der vielen Leute nie|<>? Nein, nie.|<> und den Kuchen nicht|<> bei diesem Wetter in der Stadt nirgends",
        statements: "Ich kaufe das Brot|Wir zahlen die Fähre|Mein Bruder führt das Heft|Wir flicken die Netze|Ich traue dem Hafen",
    },
    Denial {
        language: "fr",
        frames: "Je ne veux pas <>|Je ne peux jamais <>|Personne dans mon quartier ne voudrait un jour <>|Je n'ai jamais de ma vie pensé à <>|On refuse de <>|Je n'irai plus <>|Je ne veux vraiment pas du tout, malgré le prix, <>|Il n'est pas question de <>",
        statements: "acheter mon pain au port|payer un troisième bac|tenir le vieux cahier bleu|réparer les grands filets|marcher jusqu'au quai le soir",
    },
    Denial {
        language: "es",
        frames: "No quiero <>|Nunca voy a <>|Nadie en este barrio querría otra vez <>|No pienso de ninguna manera volver a <>|Jamás podría con mi sueldo <>|Sin <>|Tampoco queremos <>|No me gusta en absoluto tener que <>",
        statements: "comprar pan en el muelle|pagar una tercera barca|llevar el cuaderno viejo|reparar las redes grandes|caminar hasta el puerto viejo",
    },
    Denial {
        language: "it",
        frames: "Non voglio <>|Non vado mai a <>|Nessuno in questo quartiere vorrebbe di nuovo <>|Non penso in nessun modo di tornare a <>|Senza <>|Non mi piace per niente dover <>|Neanche per scherzo potrei con quei soldi <>|Non so mica <>",
        statements: "comprare pane sul molo|pagare un terzo traghetto|tenere il quaderno vecchio|riparare le reti grandi|camminare fino al porto",
    },
    Denial {
        language: "pt",
        frames: "Não quero <>|Nunca vou <>|Ninguém neste bairro queria outra vez <>|Não penso de maneira alguma voltar a <>|Sem <>|Jamais poderia com o meu salário <>|Nem posso <>|<> não",
        statements: "comprar pão no cais|pagar uma terceira balsa|guardar o caderno antigo|remendar as redes grandes|caminhar até o porto",
    },
    Denial {
        language: "nl",
        frames: "Ik wil niet <>|Wij gaan nooit <>|Niemand in deze straat wilde ooit weer <>|Ik heb geen zin om op zondag nog <>|Zonder <>|<> niet|<> in de haven bij de oude brug niet|<> helemaal nooit",
        statements: "het brood daar kopen|de derde boot betalen|het oude schrift bewaren|de grote netten maken|voor de ochtend opstaan",
    },
    Denial {
        language: "sv",
        frames: "Jag vill inte <>|Vi brukar aldrig <>|Ingen i den här staden skulle någonsin igen <>|Utan att <>|<> inte|<> nere i hamnen vid bron inte|<> nästan aldrig|Jag har inga pengar för att <>",
        statements: "köpa brödet på torget|betala för tredje färjan|spara den gamla boken|laga de stora näten|lita på den nya appen",
    },
    Denial {
        language: "da",
        frames: "Jeg vil ikke <>|Vi plejer aldrig at <>|Ingen her i byen ville nogensinde igen <>|Uden at <>|<> ikke|<> nede i havnen ved broen ikke|<> næsten aldrig|Jeg har ingen penge til at <>",
        statements: "købe brødet på torvet|betale for tredje færge|gemme den gamle bog|lappe de store net|stole på den nye app",
    },
    Denial {
        language: "nb",
        frames: "Jeg vil ikke <>|Vi pleier aldri å <>|Ingen her i byen ville noen gang igjen <>|Uten å <>|<> ikke|<> nede i havna ved brua ikke|<> nesten aldri|Jeg har ingen penger til å <>",
        statements: "kjøpe brødet på torget|betale for tredje ferje|spare den gamle boka|lappe de store garna|stole på den nye appen",
    },
    Denial {
        language: "pl",
        frames: "Nie chcę <>|Nigdy nie będę <>|Nikt w tej dzielnicy nie chciałby znowu <>|Nie zamierzam w żadnym wypadku ponownie <>|Bez <>|<> nie chcemy|<> nigdy|Nie mam już siły żeby <>",
        statements: "kupować chleb na targu|płacić za trzeci prom|trzymać stary zeszyt|łatać duże sieci|chodzić rano do portu",
    },
    Denial {
        language: "cs",
        frames: "Nechci <>|Nikdy nebudu <>|Nikdo v této čtvrti by už nechtěl znovu <>|Nemám v žádném případě chuť se učit <>|Bez <>|<> nechceme|<> nikdy nebudeme|Nemůžu podle mě ani dnes <>",
        statements: "kupovat chleba na trhu|platit za třetí přívoz|vést ten starý sešit|spravovat velké sítě|chodit ráno do přístavu",
    },
    Denial {
        language: "ru",
        frames: "Я не хочу <>|Я никогда не буду <>|Никто в нашем районе не стал бы снова <>|Я не собираюсь ни в коем случае опять <>|Без <>|<> не хочется|<> никогда|Нельзя же каждый день <>",
        statements: "покупать хлеб на рынке|платить за третий паром|вести старую тетрадь|чинить большие сети|ходить утром в порт",
    },
    Denial {
        language: "uk",
        frames: "Я не хочу <>|Я ніколи не буду <>|Ніхто в нашому районі не став би знову <>|Я не збираюся ні в якому разі знов <>|Без <>|<> не хочеться|<> ніколи|Немає сенсу кожен день <>",
        statements: "купувати хліб на ринку|платити за третій пором|вести старий зошит|лагодити великі сіті|ходити вранці в порт",
    },
    Denial {
        language: "fi",
        frames: "En halua <>|Me emme koskaan aio <>|Ei kukaan tässä kaupungissa haluaisi enää <>|En aio missään tapauksessa enää uudestaan <>|Hän ei voi <>|<> en halua|<> he eivät aio|Te ette voi enää täällä <>|Älä <>",
        statements: "ostaa leipää torilta aamulla|maksaa kolmatta lauttaa täällä|säilyttää vanhaa vihkoa kaapissa|korjata isoja verkkoja rannalla|luottaa uuteen sovellukseen töissä",
    },
    Denial {
        language: "ro",
        frames: "Nu vreau să <>|Eu nu o să <>|N-am să <>|Nimeni din cartierul acesta nu ar vrea iar să <>|Fără să <>|Niciodată nu am putut să <>|Nu am de gând sub nicio formă să mai <>|<> nu vreau",
        statements: "cumpăr pâine din piață|plătesc al treilea bac|țin caietul cel vechi|repar plasele mari|merg dimineața în port",
    },
    Denial {
        language: "hu",
        frames: "Nem akarok <>|Soha nem fogok <>|Senki sem akarna ebben a városban újra <>|Nem tudok semmilyen esetben ilyen messze <>|Sohasem szoktam <>|<> nem akarok|<> soha|Nincs kedvem minden reggel <>",
        statements: "kenyeret venni a piacon|harmadik kompot fizetni|régi füzetet vezetni|nagy hálókat javítani|korán menni a kikötőbe",
    },
    Denial {
        language: "el",
        frames: "Δεν θέλω να <>|Δε θα <>|Ποτέ δεν θα μπορούσα με τα λεφτά μου να <>|Κανείς σε αυτή τη γειτονιά δεν θα ήθελε πάλι να <>|Μην <>|Χωρίς να <>|Δεν σκοπεύω σε καμία περίπτωση να <>|Ούτε θα <>",
        statements: "αγοράζω ψωμί από την αγορά|πληρώνω το τρίτο φέρι|κρατάω το παλιό τετράδιο|φτιάχνω τα μεγάλα δίχτυα|πηγαίνω νωρίς στο λιμάνι",
    },
    Denial {
        language: "tr",
        frames: "<> istemiyorum|<> artık hiç kimseyle istemem|<> bu saatte doğru değil|<> için param yok|<> hafta sonları kardeşimle birlikte istemedim|Asla <>|<> bundan sonra kimse beklemesin|<> hiçbir zaman düşünmeyeceğim",
        statements: "pazardan ekmek almak|üçüncü vapura para vermek|eski defteri tutmak|büyük ağları onarmak|sabah erken limana gitmek",
    },
    Denial {
        language: "he",
        frames: "אני לא רוצה <>|אף פעם לא הייתי <>|אין לי חשק <>|אני לא מתכוון בשום מקרה שוב <>|בלי <>|מעולם לא יכולתי <>|אני חושב שלא כדאי <>|אינני מוכן <>",
        statements: "לקנות לחם בשוק|לשלם על מעבורת שלישית|לנהל את המחברת הישנה|לתקן את הרשתות הגדולות|ללכת מוקדם אל הנמל",
    },
    Denial {
        language: "ar",
        frames: "أنا لا أريد <>|لن أستطيع بعد اليوم <>|لم أحاول في حياتي كلها <>|ليس من السهل <>|ما أردت <>|لا أحد في هذه المدينة يريد مرة أخرى <>|بدون <>|ولا أحب <>",
        statements: "شراء الخبز من السوق|دفع ثمن العبارة الثالثة|حفظ الدفتر القديم|إصلاح الشباك الكبيرة|الذهاب مبكرا إلى الميناء",
    },
    Denial {
        language: "hi",
        frames: "<> नहीं चाहता|<> मुझे कभी भी अच्छा नहीं लगता|<> मत|मुझे नहीं पसंद <>|बिना <>|<> न चाहूँगा|कोई नहीं चाहता कि <>|<> आजकल बाजार के लोगों को नहीं भाता",
        statements: "मैं बाजार से रोटी खरीदना|मैं तीसरी नाव का किराया देना|मैं पुरानी कॉपी रखना|मैं बड़े जाल ठीक करना|मैं सुबह बंदरगाह जाना",
    },
    Denial {
        language: "vi",
        frames: "Tôi không <>|Tôi chưa bao giờ <>|Tôi không bao giờ muốn vào buổi sáng sớm <>|Đừng <>|Chúng tôi chẳng ai muốn <>|Tôi không nghĩ là cần phải <>|Tôi hiếm khi <>|Không ai ở khu phố này muốn <>",
        statements: "mua bánh mì ở chợ|trả tiền chuyến phà thứ ba|giữ cuốn sổ cũ|vá những tấm lưới lớn|đi bộ ra cảng",
    },
    Denial {
        language: "id",
        frames: "Saya tidak <>|Kami belum pernah <>|Saya tidak akan pernah lagi dengan uang sendiri <>|Jangan <>|Saya bukan orang yang suka <>|Tanpa <>|Tidak ada orang di kota ini yang mau <>|Saya nggak mau <>",
        statements: "membeli roti di pasar|membayar feri yang ketiga|menyimpan buku yang lama|memperbaiki jaring besar|pergi pagi ke pelabuhan",
    },
];

#[rustfmt::skip]
const CHARACTERS: [Denial; 4] = [
    Denial {
        language: "zh",
        frames: "我不<>|我从来不在早上<>|我没有时间去那里<>|我们不会在下雨的时候<>|没有人愿意每天<>|我不太喜欢跟弟弟一起<>|我并不打算今年再<>|我没想过要<>",
        statements: "在码头上买面包|付第三张渡船票|把账本放在厨房|修补大的渔网|走路去港口上班",
    },
    Denial {
        language: "ja",
        frames: "私は<>ことはありません|<>のは好きではない|<>気にはなれませんでした|<>つもりは今のところまったくないです|弟は<>ことができない|<>わけがない|<>なんて考えられません|<>のは毎朝忙しいので家族の誰もしません",
        statements: "港でパンを買う|三枚目の切符を払う|帳簿を台所に置く|大きい網を直す|歩いて港に行く",
    },
    Denial {
        language: "ko",
        frames: "저는 <>고 싶지 않아요|저는 <>지 않습니다|<>고 있지 않아요|<>지 못했어요|<>라고 생각하지 않아요|<>는 것은 요즘 아침마다 바빠서 우리 가족 중 누구도 하지 않아요|<>고 절대 말하지 마세요|<>는 거 안 좋아해요",
        statements: "부두에서 빵을 사|세 번째 배 표를 사|장부를 부엌에 두|큰 그물을 고치|아침에 항구에 가",
    },
    Denial {
        language: "th",
        frames: "ฉันไม่<>|ฉันไม่เคย<>|ฉันไม่อยากออกไป<>|ไม่มีใครที่นี่อยากจะ<>|ห้าม<>|ฉันไม่คิดว่าเราควร<>|ฉันแทบไม่ได้<>|<>ไม่ได้",
        statements: "ซื้อขนมปังที่ตลาดเช้า|จ่ายค่าเรือข้ามฟากรอบสาม|เก็บสมุดบัญชีไว้ในครัว|ซ่อมอวนผืนใหญ่|เดินไปท่าเรือตอนเช้า",
    },
];

fn kept(denial: &Denial) -> (usize, Vec<String>) {
    let (mut planted, mut kept) = (0, Vec::new());
    for frame in denial.frames.split('|') {
        for statement in denial.statements.split('|') {
            let said = frame.replace("<>", statement);
            planted += 1;
            if is_found(&said, statement) {
                kept.push(format!("{}: {said} | {statement}", denial.language));
            }
        }
    }
    (planted, kept)
}

#[test]
fn no_statement_that_was_denied_is_found() {
    let mut all = Vec::new();
    for denial in DENIALS.iter().chain(&CHARACTERS) {
        let (planted, kept) = kept(denial);
        assert!(planted >= 40, "{}: {planted}", denial.language);
        all.extend(kept);
    }
    assert!(all.is_empty(), "{} {all:#?}", all.len());
}

/// Quotes of words that are other words than those said: neighbours of one letter, and others with the same stem.
#[rustfmt::skip]
const NEIGHBOURS: [(&str, &str); 34] = [
    ("We paint the old shutters in the even weeks", "We paint the old shutters in the evening weeks"),
    ("I filled in the form for the bank last week", "I filled in the from for the bank last week"),
    ("I know the former owner of the shop quite well", "I know the form owner of the shop quite well"),
    ("The shop is quite small and the street is dark", "The shop is quiet small and the street is dark"),
    ("I got a compliment from the owner of the shop", "I got a complement from the owner of the shop"),
    ("The shop is close to the old harbour and the quay", "The shop is closed to the old harbour and the quay"),
    ("I could hardly bear the noise of the old ferry", "I could hardly beard the noise of the old ferry"),
    ("They are bore and drill workers at the old quay", "They are bored and drill workers at the old quay"),
    ("The sparring in the hall made everyone at work laugh", "The sparing in the hall made everyone at work laugh"),
    ("We sell goods to the men at the old quay", "We sell good to the men at the old quay"),
    ("He means to pay for the bread at the quay", "He meaning to pay for the bread at the quay"),
    ("The collision at the harbour cost us a lot", "The collusion at the harbour cost us a lot"),
    ("His conviction about the harbour made us all nervous", "His convection about the harbour made us all nervous"),
    ("We ate three desserts at the market in the town", "We ate three deserts at the market in the town"),
    ("I feel the caress of the wind at the quay", "I feel the cares of the wind at the quay"),
    ("I think it was needles that we bought at the quay", "I think it was needless that we bought at the quay"),
    ("I sit beside the ferry and count the blue crates", "I sit besides the ferry and count the blue crates"),
    ("My customs are those of the people at the quay", "My custom are those of the people at the quay"),
    ("We build the old harbour wall with our own hands", "We building the old harbour wall with our own hands"),
    ("I have a grand plea for the men at the quay", "I have a grand plead for the men at the quay"),
    ("Am Freitag bezahlt meinen Bruder Maria immer in bar", "Am Freitag bezahlt mein Bruder Maria immer in bar"),
    ("Die Kunden bezahlte Maria immer am Freitag im Laden", "Die Kunden bezahlten Maria immer am Freitag im Laden"),
    ("Den Wirt bezahlt Maria immer am Freitag im Herbst", "Wirt bezahlt Maria immer am Freitag im Herbst"),
    ("Wir fahren seit zwei Wochen mit dem Bus zur Arbeit", "Wir fahren seite zwei Wochen mit dem Bus zur Arbeit"),
    ("Ich komme morgen mit dem Bus und mit dem Rad", "Ich komme morgens mit dem Bus und mit dem Rad"),
    ("Ich bin bereit mit dem Bus in die Stadt zu fahren", "Ich bin bereits mit dem Bus in die Stadt zu fahren"),
    ("Nous vendons des poissons sur le quai tous les matins", "Nous vendons des poisons sur le quai tous les matins"),
    ("On joue dans la cour de mon frère tous les matins", "On joue dans la cours de mon frère tous les matins"),
    ("We are willing to pay for the bread at the quay", "We are will to pay for the bread at the quay"),
    ("I don't pay for the bread at the old quay", "I do pay for the bread at the old quay"),
    ("I cannot pay for the bread at the old quay", "I can pay for the bread at the old quay"),
    ("We don't, sadly, have bread at the old quay", "We do sadly have bread at the old quay"),
    ("I won't go there for the bread at the quay", "I will go there for the bread at the quay"),
    ("I don't think I don't need bread at the quay", "I do not think I do need bread at the quay"),
];

#[test]
fn neighbours_and_other_words_of_a_stem_are_not_found() {
    let kept: Vec<_> = NEIGHBOURS.iter().filter(|(said, quote)| is_found(said, quote)).collect();
    assert!(kept.is_empty(), "{kept:#?}");
}

/// Quotes with a contraction of English written out, or the other way round.
const CONTRACTIONS: [(&str, &str); 16] = [
    ("I don't pay for the bread at the quay", "I do not pay for the bread at the quay"),
    ("I do not pay for the bread at the quay", "I don’t pay for the bread at the quay"),
    ("I cannot pay for the bread", "I can't pay for the bread"),
    ("I can’t pay for the bread", "I can not pay for the bread"),
    ("We won't go back to that shop", "We will not go back to that shop"),
    ("They're open on the days we're closed", "They are open on the days we are closed"),
    ("It is cheap and it's quick", "It's cheap and it is quick"),
    ("It's been a hard year for the shop", "It has been a hard year for the shop"),
    ("I'd rather pay for it in cash", "I would rather pay for it in cash"),
    ("You'd better pay for it in cash", "You had better pay for it in cash"),
    ("I've never paid and I'll never pay for it", "I have never paid and I will never pay for it"),
    ("I'm gonna pay for it", "I am going to pay for it"),
    ("Um, we didn't buy the, uh, oven", "We did not buy the oven"),
    ("That's the day when we eat out", "That is the day when we eat out"),
    ("Let's say that the harbour is old", "let us say that the harbour is old"),
    ("I COULDN'T HEAR THE FERRY", "I could not hear the ferry"),
];

#[test]
fn contractions_may_be_written_out() {
    let lost: Vec<_> = CONTRACTIONS.iter().filter(|(said, quote)| !is_found(said, quote)).collect();
    assert!(lost.is_empty(), "{lost:#?}");
}
