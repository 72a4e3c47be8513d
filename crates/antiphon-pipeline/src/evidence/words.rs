//! Word lists for the comparison of quotes: data, without logic. All words are normalised: in lower case, without apostrophes.
//!
//! | list | what it is for |
//! |---|---|
//! | [`NEGATIONS`], [`LIMITS`], [`NUMBERS`], [`QUANTITIES`] | words that decide the meaning: they never count as similar to another word |
//! | [`NEGATIONS`], [`LIMITS`] | a passage that begins just behind one of them is cut so that it says something else |
//! | [`BEHIND`] | likewise for a passage that ends just before one of them |
//! | [`CONTRASTS`] | a clause begins with them, so that a negation before them does not reach behind them |
//! | [`COMPLEMENTS`], [`OPINIONS`] | a negation before them does reach behind them, also over a comma |
//! | [`DEGREES`] | words that mean something else with an article of [`ONE`]: "few" and "a few" |
//! | [`BEFORE_CHARACTERS`], [`AFTER_JAPANESE`] and their neighbours | the same for texts without spaces, as beginnings and ends of texts |
//!
//! The lists have the words of all languages together: a word that means something else in another language makes the comparison
//! stricter there, never laxer. Lists that make it laxer are by language, in `languages`.

/// Words that turn a statement round.
pub(super) const NEGATIONS: &str = "
    nein nej nei não fără nélkül hiếm
    no not never nothing nobody none nowhere neither nor without cannot cant dont doesnt didnt couldnt wont wouldnt shouldnt isnt
    wasnt arent werent havent hasnt hadnt mustnt neednt aint shant noone non nt mightnt oughtnt darent usednt dunno
    nicht nie niemals nichts niemand niemanden niemandem nirgends nirgendwo weder ohne kein keine keinen keinem keiner keines keins
    nee nimmer niet nooit geen zonder
    pas jamais rien personne aucun aucune sans nul nulle ni guère
    nunca jamás nada nadie ninguno ninguna ningún tampoco sin
    mica mai niente nulla nessuno nessuna nessun senza né neanche nemmeno neppure
    não nao ninguém ninguem nenhum nenhuma sem nem jamais
    nie nigdy nic nikt nikogo nikomu żaden żadna żadne żadnego żadnej bez ani
    не нет ні ніколи ніхто нікому нічого немає нема жоден жодного жодної няма никога нікого ані ни никогда ничего ничто никто никого никому нигде никакой никакая никакие без нельзя
    değil hiç hiçbir asla yok yoktur hiçbiri kimse
    inte icke aldrig ingen inget inga utan ikke aldri ingenting intet ingenting uden uten niemand niets nergens
    hardly rarely barely seldom scarcely kaum selten rarement raramente rara apenas rzadko ledwo ledwie редко едва nadiren zelden nauwelijks
    δεν δε μην μη ποτέ όχι χωρίς κανείς κανένας καμία κανένα τίποτα τίποτε ούτε ουδέποτε không chưa chẳng đừng tidak bukan belum jangan tanpa tiada לא אין בלי אינו אינה אינני אינם אינן אל מעולם לעולם שום אף لا لم لن ليس ليست لست لسنا ليسوا ما مش مو غير بدون بلا دون أبدا قط नहीं नही मत न ना बिना কখনো না নি নয় இல்லை نہیں نہ هرگز هیچ نیست
    není nikdy nikdo eivät emme ette älä älkää koskaan ilman niciodată nimeni неправда
    不 没 沒 안 못";

/// Words that limit a statement or only come near to it.
pub(super) const LIMITS: &str = "
    only merely almost nearly few fewer little less refuse refused refuses doubt doubted stop stopped quit wrong weigere bezweifle
    unlikely impossible unable unwilling fail fails failed failing avoid avoids avoided avoiding pretend pretends pretended
    wish wished deny denies denied forbid forbids forbidden banned unmöglich vermeide vermeiden verboten
    nur bloß lediglich beinahe wenig wenige weniger
    refuse refusé évite éviter doute impossible cessé arrêté seulement presque peu moins uniquement
    evito evitar dudo rehúso imposible dejé casi solo sólo solamente poco pocos poca pocas menos únicamente
    evitare dubito rifiuto impossibile smesso quasi soltanto solamente appena poco poca pochi poche meno
    duvido recuso impossível parei quase somente só pouco poucos pouca poucas menos
    prawie tylko mało niewiele niewielu mniej
    отказываюсь избегаю сомневаюсь невозможно перестал перестала почти только лишь мало немногие меньше вряд
    neredeyse sadece yalnızca ancak az
    σπάνια μόλις jarang hampir hiếm ít sjelden sjældent næppe slechts bijna sällan knappt bara nästan";

/// Words between a negation and what it denies: "none of the older customers", "never in my life", "refuse to".
pub(super) const LINKS: &str = "
    of to for me him us them in the our my your his her their its us a an ever really honestly is was true even life
    von uns den der die das meinen unseren wahr ist
    de des mes nos du vrai est
    del los las mis es verdad é verdade è vero jest prawdą z moich nós nosotros
    из моих это правда";

/// Words that join another clause or part to a passage, so that a negation behind them does not reach it.
pub(super) const JOINS: &str = "and or und oder et ou y og och и ve but aber mais і та और và dan και";

/// Negations at the end of a clause, which deny all of it: German, Dutch, Turkish, Hindi, and the languages of Scandinavia.
pub(super) const LATE: &str = "nicht nie niemals nirgends nirgendwo niet nooit nergens inte aldrig ikke aldri değil yok yoktur नहीं नही मत না";

/// Words of amount and degree that are swapped for others to turn a statement round.
pub(super) const QUANTITIES: &str = "
    few little lot more most many much all always every each some sometimes often usually both half any less least enough
    alle alles immer jeder jede jedes jeden manche manchmal oft meistens mehr viel viele wenig wenige beide paar bisschen
    tout toute tous toutes toujours chaque quelques parfois souvent plus beaucoup peu moitié
    todo toda todos todas siempre cada algunos algunas veces más mucho muchos poco pocos
    tutto tutti tutta tutte sempre ogni alcuni alcune volte spesso più molto molti poco pochi po
    tudo todos sempre cada alguns algumas vezes mais muito muitos pouco poucos
    wszystko wszyscy zawsze każdy każda czasem czasami często więcej dużo wiele mało
    всё все всегда каждый каждая иногда часто больше много мало
    her hep hepsi daima bazen sık çok daha az bütün";

/// Words that mean something else behind an article: "few" is hardly any, and "a few" is some.
pub(super) const DEGREES: &str = "few little bit wenig paar bisschen peu poco po pouco";

/// Articles that change the [`DEGREES`].
pub(super) const ONE: &str = "a ein un um uno";

/// Words for numbers, also for parts, multiples and ranks. Numbers in digits count as well.
pub(super) const NUMBERS: &str = "
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions billion
    once twice thrice double half halves quarter quarters third thirds first second fourth fifth sixth seventh eighth ninth tenth dozen dozens
    null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn
    neunzehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert tausend millionen einmal zweimal doppelt halb hälfte
    zéro deux trois quatre cinq sept huit neuf dix onze douze treize quatorze quinze seize vingt trente quarante cinquante
    soixante cent cents mille fois moitié
    cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis veinte treinta cuarenta
    cincuenta sesenta setenta ochenta noventa cien ciento mil medio
    due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici venti trenta quaranta
    cinquanta sessanta settanta ottanta novanta cento mila mezzo
    dois duas três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis vinte trinta quarenta cinquenta
    sessenta setenta oitenta noventa cem cento meio
    jeden dwa dwie trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście dwanaście piętnaście dwadzieścia trzydzieści
    czterdzieści pięćdziesiąt sześćdziesiąt sto dwieście tysiąc pół
    один одна два две три четыре пять шесть семь восемь девять десять одиннадцать двенадцать пятнадцать двадцать тридцать
    сорок пятьдесят шестьдесят сто двести тысяча пол
    bir iki üç dört beş altı yedi sekiz dokuz on yirmi otuz kırk elli altmış yetmiş seksen doksan yüz bin yarım
    een twee drie vijf zes zeven negen tien twintig";

/// Words that deny the words before them, at the end of a clause.
pub(super) const BEHIND: &str = "
    never rarely seldom
    nicht nie niemals kaum selten nichts kein keine keinen keinem keiner niet nooit
    pas jamais rien guère rarement aucun aucune
    değil yok yoktur asla
    jamás nunca não nem nie nigdy не ні никогда ніколи nem mai niciodată
    inte aldrig ikke aldri नहीं नही न ना đâu";

/// Words that begin a clause of its own.
pub(super) const CONTRASTS: &str = "
    but because so although though while whereas however
    aber sondern weil denn obwohl doch maar omdat
    mais parce car donc quoique
    pero sino porque aunque
    ma però perché bensì
    mas porém porque embora
    ale lecz bo ponieważ więc
    но а потому хотя зато
    ama fakat çünkü oysa";

/// Words that begin what someone thinks or says.
pub(super) const COMPLEMENTS: &str = "that dass daß ob dat que quil quelle quon che que że żeby что чтобы ki if що щоб kde że aby că să hogy että att ότι πως να कि rằng là bahwa أن إن";

/// Verbs of thinking and saying: a negation before them denies what someone thinks or says.
pub(super) const OPINIONS: &str = "
    think thought say said believe claim feel mean guess
    denke glaube finde meine sage sagen behaupten
    pense crois trouve dis dire
    creo pienso digo decir credo penso dico dire acho creio digo
    myślę sądzę uważam powiem думаю считаю скажу";

/// Chinese and Japanese, before a passage: what denies or limits it.
pub(super) const BEFORE_CHARACTERS: &str = "
    不 没 没有 沒 沒有 未 无 無 非 别 別 勿 莫 不会 不會 不能 不想 不要 不敢 不肯 不愿 不願 不该 不該 不用 不可 没能 沒能 没法 不太 不怎么 不怎麼
    不觉得 不覺得 没觉得 沒覺得 不认为 不認為 不相信 不确定 不確定 不说 没说 沒說
    不是 并不是 不再 不喜欢 不打算 不需要 不愿意 不应该 不可能 没人 没有人 无人 从来没有 拒绝
    很少 极少 極少 难得 難得 几乎 幾乎 差点 差點 只 只有 仅 僅 才 殆ど ほとんど めったに";

/// Chinese and Japanese words that end like one of [`BEFORE_CHARACTERS`], and neither deny nor limit.
pub(super) const NOT_BEFORE_CHARACTERS: &str =
    "特别 特別 分别 分別 个别 個別 区别 一只 两只 三只 几只 每只 这只 那只 刚才 剛才 人才 天才";

/// Chinese, behind a passage: what denies it.
pub(super) const AFTER_CHINESE: &str = "从来不 从不 从没 从来没 绝不 決不 决不 一点也不 一点都不 并不 並不 并没 並沒 也不 都不 是假的 是错的 是錯的 不是真 不是事实 不可能 不了 不到 不起 不完 不动 不動 不上 不下 不来 不來 不好 不得 没 沒 未";

/// Japanese, within the rest of the clause behind a passage: what denies it, since the verb is last.
pub(super) const AFTER_JAPANESE: &str = "ない なかった なく ません ませぬ ぬ ねえ ねぇ なし 無い 無かった 無く ずに らず かず さず たず ばず がず えず めず れず せず けず げず まい";

/// Japanese words that have a text of [`AFTER_JAPANESE`] in them, and deny nothing.
pub(super) const NOT_AFTER_JAPANESE: &str =
    "とりあえず おかず しまい うまい たずね まいにち まいあさ 必ず かならず";

/// Japanese, right behind a passage: what ends its clause, so that a negation behind it does not reach it.
pub(super) const BREAKS_JAPANESE: &str = "けど けれど から ので のに と言 そして でも しかし";

/// Korean, before a passage: words of their own that deny it.
pub(super) const BEFORE_KOREAN: &str = "안 못 별로 거의 전혀 절대 겨우 오직 단지";

/// Korean, within the rest of the clause behind a passage: what denies it, since the verb is last.
pub(super) const AFTER_KOREAN: &str = "않 못 없 아니 아닙 아닌 마세요 마십 말아 말고 말라 모르 모릅 몰라 싫";

/// Korean, right behind a passage: what ends its clause.
pub(super) const BREAKS_KOREAN: &str = "지만 는데 은데 니까 어서 아서 그런데 하지만 그래서 면서";

/// Thai, Lao and Khmer, before a passage: what denies or limits it.
pub(super) const BEFORE_THAI: &str = "ไม่ ไม่มี ไม่มีใคร ไม่ได้ ไม่เคย ไม่ค่อย ไม่อยาก ไม่ต้อง ไม่คิดว่า ไม่เชื่อว่า มิได้ ห้าม อย่า แทบ แทบไม่ เกือบ แค่ เพียง ไร้ ບໍ່ ບໍ່ເຄີຍ ຫ້າມ មិន មិនដែល គ្មាន";

/// Thai, Lao and Khmer, behind a passage: what denies it.
pub(super) const AFTER_THAI: &str = "ไม่ มิได้ ບໍ່ មិន";

/// Digits of Chinese and Japanese, which make one number where they follow one another.
pub(super) const DIGITS: &str = "〇零一二两兩三四五六七八九十百千万萬亿億廿卅";

/// Words that begin a reason: "not because it is cheap" is not "because it is cheap".
pub(super) const REASONS: &str = "because weil parce porque perché bo ponieważ потому";

/// Words for who acts, which begin a clause of their own: a negation farther than a few words before them does not reach it.
pub(super) const SUBJECTS: &str = "
    i we he she they you it im ive were theyre hes shes youre
    ich wir sie er je jai tu il elle nous vous ils elles
    yo él ella nosotros ellos ellas io lui lei noi loro eu ele ela nós eles elas
    ona oni я мы ты вы он она они ми ви він вона вони ben biz onlar
    jag vi han hon jeg hun ik wij hij zij minä hän én ő εγώ εμείς saya kami kita tôi chúng मैं हम אני אנחנו أنا نحن";

/// Verbs before who acts, where a negation turns the order round: "never do we pay".
pub(super) const AUXILIARIES: &str =
    "do does did have has had will would can could should am are is was were may might must";

/// Negations that deny only the words right behind them.
pub(super) const LOCAL: &str = "without ohne sans sin senza sem bez без zonder utan uden uten ilman nélkül fără χωρίς بدون بلا דבלי בלי non ni né nem";

/// Phrases that turn round what follows them.
pub(super) const PHRASES: &str =
    "instead_of rather_than far_from used_to as_if as_though anstatt_zu lieu_de lugar_de vez_de invece_di";

/// Words that turn round the one that a hyphen joins to them.
pub(super) const PREFIXES: &str = "ex anti un dis pseudo quasi half former";

/// Words between what someone says and a verdict on it.
pub(super) const COPULAS: &str =
    "is was are were be ist war est era è é to a an just simply total complete ein eine une un una um";

/// Verdicts that what was said is not so.
pub(super) const VERDICTS: &str = "
    wrong false untrue nonsense rubbish lie myth rumour rumor joke
    falsch quatsch unsinn gelogen lüge faux mensonge falso falsa mentira sbagliato bugia errado nieprawda kłamstwo неправда ложь yanlış yalan";

/// Words of Czech and Slovak that begin like a denied verb, and deny nothing.
pub(super) const NOT_CZECH: &str = "
    nebo neděl nejen nejv nejl nejm nejn nejs nejk nejr nejd nejb nejp nejč nejh nejt nechá nechat nechal nechte nemocn nervy
    nerv nebe neboť nebezp nesu nese neseme nesou";

/// Ends of Turkish verbs behind the syllable that denies.
pub(super) const TURKISH_BEHIND: &str = "
    dim din di dik diniz diler dilar dik miş miş mişim yacak yecek yacağ yeceğ yan yen dan den mali meli sin sun yin yiz yayim yeyim yip
    yinca yince sam sem sak sek saydi seydi zlar zler zdi zsin zsiniz zlik yalim yelim yabil yebil ktan kten";

/// Words of Thai, Lao and Khmer that deny, anywhere before a passage in its clause.
pub(super) const DENYING_THAI: &str = "ไม่ มิได้ ห้าม อย่า แทบ ไร้ ບໍ່ ຫ້າມ មិន គ្មាន";

/// Words of Thai that have one of [`DENYING_THAI`] in them, and deny nothing.
pub(super) const NOT_THAI: &str = "ไม่ว่า ไม่กี่ ไม่นาน ไม่งั้น";

/// Words of Thai that begin a clause of its own.
pub(super) const CONTRASTS_THAI: &str = "แต่ เพราะ ดังนั้น จึง แล้วก็";

/// Characters of Chinese that deny, anywhere before a passage in its clause.
pub(super) const DENYING_CHINESE: &str = "不 没 沒 未 无 無 勿 莫 并非 並非 绝非 絕非 别再 別再";

/// Words of Chinese that have one of [`DENYING_CHINESE`] in them, and deny nothing.
pub(super) const NOT_CHINESE: &str = "
    不过 不過 不但 不仅 不僅 不光 不管 不论 不論 不如 不同 不错 不錯 不断 不斷 不久 不少 不止 不得不 差不多 对不起 對不起 了不起 要不然 要不
    没关系 沒關係 没错 沒錯 没事 沒事 无论 無論 无数 無數 无线 無線 未来 未來 是不是 要不要 好不好 能不能 会不会 會不會 有没有 有沒有 可不可以";

/// Words of Chinese that begin a clause of its own.
pub(super) const CONTRASTS_CHINESE: &str = "但是 可是 不过 不過 而是 所以 因为 因為 然后 然後 而且 于是";

/// Chinese, at the beginning of a passage: who acts.
pub(super) const PRONOUNS_CHINESE: &str = "我 你 您 他 她 它 咱 大家";

/// Chinese, before a passage that begins with who acts: what a negation reaches over.
pub(super) const OPINIONS_CHINESE: &str = "
    觉得 覺得 认为 認為 相信 确定 確定 想 说 說 是 希望 打算 让 讓 要 叫 同意 承认 承認 保证 保證 不 没 沒 没有 沒有 从来不 从不 再";

/// Japanese, within the rest of a clause: what ends it.
pub(super) const INNER_BREAKS_JAPANESE: &str =
    "けれど けど ので のに ですから ますから だから でしたが ですが ますが";

/// Korean, within the rest of a clause: what ends it.
pub(super) const INNER_BREAKS_KOREAN: &str = "지만 는데 은데 니까 그런데 하지만 그래서 면서";

/// Korean words that begin like one of two negations, and deny nothing.
pub(super) const NOT_KOREAN: &str = "
    안녕 안전 안내 안경 안정 안개 안쪽 안에 안으로 안방 안주 안과 안부 안심 안타 안팎 안이 안을 안은 안의 안동 안양 안산 안색 안목 안건 안식 안락 안고 안아 안마 안테";
