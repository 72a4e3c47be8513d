//! Word lists by language, for what a fuzzy match allows: data, without logic. All words are normalised: in lower case, without
//! apostrophes.
//!
//! The language of a quote is guessed by its most frequent words, since a filler of one language is a word of another: "er" is a
//! hesitation in English and "he" in German. A quote in another language has only the hesitations that are no words anywhere.

/// Words that may differ between a quote and the words of a speaker in one language.
pub(super) struct Language {
    /// Frequent words, by which the language is recognised.
    pub(super) common: &'static str,
    /// Sounds of hesitation that may be left out or added anywhere.
    pub(super) fillers: &'static str,
    /// Words and, with `_` for a space, phrases that are fillers only where they are set off by marks on both sides, as in
    /// "we lose, like, ten": elsewhere they are words.
    pub(super) asides: &'static str,
    /// Articles, which may be left out or added. Words that are pronouns as well, such as Italian "i" for an English text, are
    /// in the list of their own language only.
    pub(super) articles: &'static str,
    /// Whether one article may replace another. Not where articles say who does what to whom.
    pub(super) articles_are_alike: bool,
    /// Articles of [`Self::articles`] that say who does what to whom, and may be left out only behind one of the prepositions.
    pub(super) case_articles: &'static str,
    /// Prepositions, which say it themselves.
    pub(super) prepositions: &'static str,
    /// Endings of the same word in another form, behind a stem of at least four letters. None for languages whose endings tell
    /// who acts, or deny.
    pub(super) endings: &'static str,
    /// Pairs of words that differ by an ending and are two words.
    pub(super) unrelated: &'static str,
    /// Pairs of beginnings that are spellings of one word.
    pub(super) spellings: &'static str,
    /// The ends of words behind the letter that is `s` in one spelling and `z` in another: "organise" and "organize".
    pub(super) ise: &'static str,
}

/// A language without word lists.
const PLAIN: Language = Language {
    common: "",
    fillers: "",
    asides: "",
    articles: "",
    articles_are_alike: false,
    case_articles: "",
    prepositions: "",
    endings: "",
    unrelated: "",
    spellings: "",
    ise: "",
};

/// Pairs of words of English, the second of which is not a form of the first.
const UNRELATED_ENGLISH: &str = "
    even/evening even/evenings mean/means mean/meaning close/closed close/closes good/goods custom/customs wood/woods glass/glasses
    short/shorts content/contents manner/manners damage/damages spectacle/spectacles force/forces ground/grounds premise/premises
    minute/minutes work/works water/waters letter/letters beside/besides arm/arms pant/pants spirit/spirits moral/morals scale/scales
    term/terms brain/brains look/looks odd/odds earn/earning build/building will/willing will/wills dress/dressing sail/sailing
    cloth/clothing ceil/ceiling wind/winding herr/herring consider/considering accord/according follow/following regard/regarding
    regard/regards concern/concerning except/excepting exclude/excluding stock/stocking bear/bearing offer/offering train/training
    bore/bored tire/tired scare/scared please/pleased interest/interested interest/interesting marry/married talent/talented
    gift/gifted limit/limited suppose/supposed engage/engaged wick/wicked concern/concerned depress/depressed disappoint/disappointed
    excite/excited surprise/surprised worry/worried retire/retired finish/finished employ/employed need/needing last/lasting
    sens/sensing morn/morning long/longing long/longed mark/marking like/likes right/rights saving/savings writing/writings
    some/somes time/times part/parts pain/pains people/peoples thank/thanks kind/kinds cross/crossing compass/compasses
    quarter/quarters miss/missing miss/misses live/lives live/lived living/livings lead/leading hand/handing hand/handed
    hard/hards late/lates rest/rests rest/rested rest/resting light/lighting present/presents present/presented order/orders
    order/ordered park/parking fair/fairs hear/hearing feel/feeling draw/drawing paint/painting wait/waiting charge/charged
    charge/charges charge/charging found/founded found/founding wound/wounded left/lefts found/founds complete/completed
    separate/separated open/opening";

/// Pairs of beginnings of words of English: British and American, and common misspellings.
const SPELLINGS_ENGLISH: &str = "
    separat/seperat definite/definate tomorrow/tomorow independen/independan existen/existan calendar/calender grammar/grammer
    relevant/relevent accommodat/accomodat occurr/occur occasion/occassion necessar/neccessar embarrass/embarass
    recommend/reccommend committee/comittee beginning/begining
    travell/travel cancell/cancel labell/label modell/model levell/level fuell/fuel signall/signal counsell/counsel
    quarrell/quarrel tunnell/tunnel marvell/marvel channell/channel jewell/jewel initiall/initial pencill/pencil shovell/shovel
    programme/program centre/center theatre/theater metre/meter litre/liter fibre/fiber licence/license defence/defense
    offence/offense catalogue/catalog dialogue/dialog analogue/analog pyjamas/pajamas plough/plow judgement/judgment ageing/aging
    moustache/mustache sceptical/skeptical fulfill/fulfil skillful/skilful enrollment/enrolment aluminium/aluminum";

/// Hesitations that are no words in any of the languages.
pub(super) const HESITATIONS: &str = "uh uhm uhh umm hm hmm mhm mmh ähm äh öh öhm ehm erm euh heu эм ээ ммм";

/// Asides that are fillers at the beginning of a sentence without a mark behind them as well: "So I open at six".
pub(super) const OPENERS: &str =
    "so well okay ok oh also naja na_ja tja bon alors enfin pues bueno allora beh então bom ну yani";

/// The indices of languages in [`LANGUAGES`].
pub(super) const ENGLISH: usize = 1;
pub(super) const GERMAN: usize = 2;
pub(super) const FRENCH: usize = 3;
pub(super) const SPANISH: usize = 4;
pub(super) const ITALIAN: usize = 5;
pub(super) const PORTUGUESE: usize = 6;
pub(super) const POLISH: usize = 7;
pub(super) const RUSSIAN: usize = 8;

/// The languages that are written with spaces between words. The first is for all others.
pub(super) const LANGUAGES: [Language; 10] = [
    PLAIN,
    Language {
        common: "the i we you they he she it is are was were of and to in on that this my our your have has had with for at be do not but about from what when would an a",
        fillers: "um er ah eh",
        asides: "like well so right okay ok you_know i_mean see basically actually oh",
        articles: "the a an",
        articles_are_alike: true,
        endings: "s es d ed ing",
        unrelated: UNRELATED_ENGLISH,
        spellings: SPELLINGS_ENGLISH,
        ise: "e ed es er ers ing ation ations",
        ..PLAIN
    },
    Language {
        common: "ich wir sie er es ist sind war und der die das den dem ein eine nicht mit für auf zu im in am mir mich uns haben habe hat von wenn dann auch als",
        fillers: "ah eh hmm",
        asides: "also naja na_ja tja so halt weißt_du wissen_sie ich_mein ich_meine sagen_wir",
        articles: "der die das den dem des ein eine einen einem einer eines",
        case_articles: "der dem den des einen einem einer eines",
        prepositions: "in im an am auf zu mit von bei nach aus für über unter vor hinter neben zwischen durch gegen um ohne bis seit wegen trotz",
        ..PLAIN
    },
    Language {
        common: "je tu il elle nous vous ils est sont les des du et à dans pour que qui mon ma mes on ce cette avec sur pas jai cest une le la au toujours très",
        fillers: "euh heu bah ben hein",
        asides: "bon alors enfin voilà quoi tu_sais vous_savez tu_vois disons genre",
        articles: "le la les un une des du",
        endings: "s",
        unrelated: "cour/cours parti/partis souri/souris avis/aviss franc/francs tapi/tapis permi/permis alor/alors vers/verss corp/corps toujour/toujours discour/discours",
        ..PLAIN
    },
    Language {
        common: "yo el los las es son y en que para por con mi mis su nos se lo un una del al pero está muy cuando la de siempre",
        fillers: "eh em",
        asides: "pues bueno o_sea este sabes digamos a_ver entonces",
        articles: "el la los las un una unos unas",
        ..PLAIN
    },
    Language {
        common: "io il gli è sono e di che per con mio mia noi si ho ha abbiamo della del nel non un una la lo quando ogni le sempre qui",
        fillers: "eh ehm boh",
        asides: "cioè allora insomma diciamo ecco sai beh be",
        articles: "il lo la i gli le un uno una",
        ..PLAIN
    },
    Language {
        common: "eu o os as é são e em que para por com meu minha nós se um uma do da no na dos das muito quando não mas a sempre",
        fillers: "eh hã ahn",
        asides: "pois então bom tipo sabe quer_dizer né ou_seja olha",
        articles: "o a os as um uma uns umas",
        ..PLAIN
    },
    Language {
        common: "ja my on ona jest są i w na z do że się nie to jak mój moja mam mamy dla po za ale od co kiedy o też u przed przez",
        fillers: "yyy eee hmm",
        asides: "wiesz znaczy to_znaczy jakby właśnie",
        ..PLAIN
    },
    Language {
        common: "я мы ты вы он она они и в на с не что это как мой моя у к по за но для от когда каждый мне нас",
        fillers: "э ээ эээ мм",
        asides: "ну вот как_бы так_сказать знаете значит короче типа",
        ..PLAIN
    },
    Language {
        common: "ben biz sen siz o bir ve bu için ile de da çok her ama gibi daha var benim bizim kadar sonra şey mi",
        fillers: "ııı eee",
        asides: "yani şey işte hani ya tamam",
        ..PLAIN
    },
];

/// Fillers of the languages that are read by characters, set off by marks; those of [`CHARACTER_FILLERS`] anywhere.
pub(super) const CHARACTER_ASIDES: &str = "
    那个 這個 这个 那個 就是 就是说 然后 怎么说 你知道 啊 哦
    あの あのー その そのー まあ なんか ねえ えー ええ
    음 어 그 저 뭐 막 그니까 이제 아 있잖아요
    แบบ คือ เอ่อ เออ อืม อ่า";

/// Sounds of hesitation of the languages that are read by characters.
pub(super) const CHARACTER_FILLERS: &str = "嗯 呃 额嗯 えーと えっと ええと えーっと うーん うーんと เอ่อ อืม";
