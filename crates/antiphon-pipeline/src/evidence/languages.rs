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
    /// Endings of the same word in another form, behind a stem of at least four letters. None for languages whose endings tell
    /// who acts, or deny.
    pub(super) endings: &'static str,
}

/// Hesitations that are no words in any of the languages.
pub(super) const HESITATIONS: &str = "uh uhm uhh umm hm hmm mhm mmh ähm äh öh öhm ehm erm euh heu эм ээ ммм";

/// Asides that are fillers at the beginning of a sentence without a mark behind them as well: "So I open at six".
pub(super) const OPENERS: &str =
    "so well okay ok oh also naja na_ja tja bon alors enfin pues bueno allora beh então bom ну yani";

/// The languages that are written with spaces between words. The first is for all others.
pub(super) const LANGUAGES: [Language; 10] = [
    Language { common: "", fillers: "", asides: "", articles: "", articles_are_alike: false, endings: "" },
    Language {
        common: "the i we you they he she it is are was were of and to in on that this my our your have has had with for at be do not but about from what when would an a",
        fillers: "um er ah eh",
        asides: "like well so right okay ok you_know i_mean see basically actually oh",
        articles: "the a an",
        articles_are_alike: true,
        endings: "s es d ed ing",
    },
    Language {
        common: "ich wir sie er es ist sind war und der die das den dem ein eine nicht mit für auf zu im in am mir mich uns haben habe hat von wenn dann auch als",
        fillers: "ah eh hmm",
        asides: "also naja na_ja tja so halt weißt_du wissen_sie ich_mein ich_meine sagen_wir",
        articles: "der die das den dem des ein eine einen einem einer eines",
        articles_are_alike: false,
        endings: "e en n es em s",
    },
    Language {
        common: "je tu il elle nous vous ils est sont les des du et à dans pour que qui mon ma mes on ce cette avec sur pas jai cest une le la au toujours très",
        fillers: "euh heu bah ben hein",
        asides: "bon alors enfin voilà quoi tu_sais vous_savez tu_vois disons genre",
        articles: "le la les un une des du",
        articles_are_alike: false,
        endings: "s",
    },
    Language {
        common: "yo el los las es son y en que para por con mi mis su nos se lo un una del al pero está muy cuando la de siempre",
        fillers: "eh em",
        asides: "pues bueno o_sea este sabes digamos a_ver entonces",
        articles: "el la los las un una unos unas",
        articles_are_alike: false,
        endings: "",
    },
    Language {
        common: "io il gli è sono e di che per con mio mia noi si ho ha abbiamo della del nel non un una la lo quando ogni le sempre qui",
        fillers: "eh ehm boh",
        asides: "cioè allora insomma diciamo ecco sai beh be",
        articles: "il lo la i gli le un uno una",
        articles_are_alike: false,
        endings: "",
    },
    Language {
        common: "eu o os as é são e em que para por com meu minha nós se um uma do da no na dos das muito quando não mas a sempre",
        fillers: "eh hã ahn",
        asides: "pois então bom tipo sabe quer_dizer né ou_seja olha",
        articles: "o a os as um uma uns umas",
        articles_are_alike: false,
        endings: "",
    },
    Language {
        common: "ja my on ona jest są i w na z do że się nie to jak mój moja mam mamy dla po za ale od co kiedy o też u przed przez",
        fillers: "yyy eee hmm",
        asides: "wiesz znaczy to_znaczy jakby właśnie",
        articles: "",
        articles_are_alike: false,
        endings: "",
    },
    Language {
        common: "я мы ты вы он она они и в на с не что это как мой моя у к по за но для от когда каждый мне нас",
        fillers: "э ээ эээ мм",
        asides: "ну вот как_бы так_сказать знаете значит короче типа",
        articles: "",
        articles_are_alike: false,
        endings: "",
    },
    Language {
        common: "ben biz sen siz o bir ve bu için ile de da çok her ama gibi daha var benim bizim kadar sonra şey mi",
        fillers: "ııı eee",
        asides: "yani şey işte hani ya tamam",
        articles: "",
        articles_are_alike: false,
        endings: "",
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
