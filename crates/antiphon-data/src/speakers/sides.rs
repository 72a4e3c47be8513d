//! The words for the sides of an interview, in the languages of the transcripts that people have.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::document::SpeakerRole;

/// Words for who asks, in lower case: English, German, French, Spanish, Italian, Portuguese, Dutch, the languages of
/// Scandinavia, Finnish, Polish, Czech, Hungarian, Romanian, Russian, Ukrainian, Greek, Turkish, Japanese, Chinese,
/// Korean, Arabic, Hebrew, Hindi, Thai, Indonesian, Vietnamese.
const ASKS: &str = "interviewer interviewers moderator moderators facilitator facilitators researcher researchers \
    question host questioner uxr ux_researcher user_researcher lead_researcher \
    interviewerin moderatorin forscher forscherin fragesteller fragestellerin befrager befragerin interviewleiter \
    interviewleiterin interviewleitung gesprächsleiter gesprächsleiterin gesprächsleitung moderation frage \
    intervieweur intervieweuse enquêteur enquêtrice enqueteur animateur animatrice modérateur modératrice chercheur \
    chercheuse entrevistador entrevistadora moderadora moderador investigador investigadora encuestador encuestadora \
    facilitador facilitadora pregunta intervistatore intervistatrice moderatore moderatrice ricercatore ricercatrice \
    domanda pesquisador pesquisadora pergunta gespreksleider onderzoeker interviewster vraag intervjuare intervjuer \
    forskare forsker ordstyrer spørsmål haastattelija tutkija moderaattori kysymys ankieter ankieterka moderatorka \
    badacz badaczka prowadzący prowadząca dziennikarz dziennikarka pytanie tazatel tazatelka moderátor moderátorka \
    výzkumník výzkumnice kérdező interjúkészítő intervievator интервьюер ведущий ведущая модератор исследователь \
    исследовательница вопрос інтерв'юер ведучий ведуча дослідник дослідниця συνεντευξιαστής συνεντεύκτης ερευνητής \
    ερευνήτρια συντονιστής συντονίστρια görüşmeci röportajcı moderatör araştırmacı mülakatçı soru インタビュアー \
    インタビューアー 聞き手 質問者 司会 司会者 調査者 調査員 モデレーター 質問 問 采访者 采访人 採訪者 访谈者 訪談者 访谈员 \
    主持人 研究员 研究者 研究員 记者 記者 提问者 提問者 访问员 訪問員 问 問 面试官 면접관 면접자 인터뷰어 진행자 질문자 사회자 \
    연구자 연구원 조사자 질문 문 المحاور المحاورة الباحث الباحثة الميسر الميسرة المذيع المذيعة السائل س מראיין מראיינת מנחה \
    חוקר חוקרת साक्षात्कारकर्ता प्रश्नकर्ता शोधकर्ता संचालक ผู้สัมภาษณ์ ผู้ดำเนินรายการ ผู้วิจัย pewawancara peneliti \
    người_phỏng_vấn phỏng_vấn_viên điều_phối_viên";

/// Words for who answers, in lower case, in the same languages. They identify no person: the same word in two files
/// means two people.
const ANSWERS: &str = "participant participants respondent respondents interviewee interviewees answer customer user \
    informant guest client consumer teilnehmer teilnehmerin teilnehmende befragte befragter interviewte interviewter \
    interviewpartner interviewpartnerin gesprächspartner gesprächspartnerin proband probandin gast kunde kundin nutzer \
    nutzerin antwort auskunftsperson participante répondant répondante enquêté enquêtée interviewé interviewée invité \
    invitée réponse cliente entrevistado entrevistada encuestado encuestada informante invitado invitada respuesta \
    partecipante intervistato intervistata rispondente risposta ospite respondente resposta convidado convidada \
    deelnemer deelneemster geïnterviewde antwoord klant deltagare intervjuperson svar deltager deltaker haastateltava \
    osallistuja vastaaja vastaus uczestnik uczestniczka respondentka rozmówca rozmówczyni badany badana odpowiedź \
    účastník účastnice dotazovaný dotazovaná odpověď résztvevő válaszadó interjúalany intervievat респондент \
    респондентка участник участница информант собеседник собеседница ответ учасник учасниця συμμετέχων συμμετέχουσα \
    ερωτώμενος ερωτώμενη katılımcı görüşülen yanıtlayan cevap yanıt 参加者 回答者 被験者 対象者 話し手 回答 答 答え \
    インタビュイー 協力者 受访者 受訪者 被访者 被訪者 参与者 參與者 被采访者 嘉宾 用户 참가자 참여자 응답자 인터뷰이 피면접자 \
    대상자 답변 답변자 답 المشارك المشاركة المستجيب المستجيبة الضيف الضيفة ج משתתף משתתפת מרואיין מרואיינת משיב प्रतिभागी उत्तरदाता \
    ผู้เข้าร่วม ผู้ให้สัมภาษณ์ ผู้ตอบ peserta responden narasumber informan người_tham_gia người_được_phỏng_vấn \
    người_trả_lời";

/// Words for a speaker of either side, in lower case, as diarisation writes them with a number.
const SPEAKS: &str = "speaker unknown_speaker spk person voice channel sprecher sprecherin locuteur locutrice hablante \
    parlante falante orador spreker talare taler puhuja mówca mluvčí beszélő vorbitor спикер говорящий диктор мовець \
    ομιλητής konuşmacı 話者 发言人 說話人 说话人 讲者 講者 화자 متحدث المتحدث דובר वक्ता ผู้พูด pembicara người_nói";

/// Short labels for who asks, and for who answers.
const SHORT_ASKS: &str = "i int q ｑ mod uxr iv interv fac";
const SHORT_ANSWERS: &str = "p r a ａ pt res resp part ip tn";

/// All words with their sides.
static SIDES: LazyLock<HashMap<&str, Side>> = LazyLock::new(|| {
    let lists = [
        (SPEAKS, Side::Speaks),
        (SHORT_ANSWERS, Side::Answers),
        (ANSWERS, Side::Answers),
        (SHORT_ASKS, Side::Asks),
        (ASKS, Side::Asks),
    ];
    lists
        .into_iter()
        .flat_map(|(words, side)| words.split_whitespace().map(move |word| (word, side)))
        .collect()
});

/// The kind of a label that says something about the side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A word for who asks.
    Asks,
    /// A word for who answers, which identifies no person.
    Answers,
    /// A word for a speaker, which has no side and identifies no person.
    Speaks,
}

impl Side {
    /// Returns the side of a label without its number and ignoring case; `None` for a name.
    pub(super) fn of(label: &str) -> Option<Self> {
        let label = label.trim().to_lowercase();
        let word = unnumbered(&label);
        if word.contains(' ') { SIDES.get(&*word.replace(' ', "_")) } else { SIDES.get(word) }.copied()
    }

    /// Returns the role of a speaker of this side.
    pub(super) fn role(self) -> SpeakerRole {
        match self {
            Self::Asks => SpeakerRole::Interviewer,
            Self::Answers => SpeakerRole::Participant,
            Self::Speaks => SpeakerRole::Unclear,
        }
    }
}

/// Strips a number, or a letter instead of one, and its separators from the end of a label: `speaker` for
/// `speaker #2`, `speaker_00` and `speaker b`.
pub(super) fn unnumbered(label: &str) -> &str {
    let separators = |c: char| matches!(c, ' ' | '#' | '-' | '_' | '.' | '№');
    let plain = label.trim_end_matches(|c: char| c.is_numeric() || separators(c));
    match plain.char_indices().next_back() {
        Some((at, letter)) if letter.is_ascii_alphabetic() && plain[..at].ends_with([' ', '_']) => {
            plain[..at].trim_end_matches(separators)
        }
        _ => plain,
    }
}

/// Returns whether a label is a code: one to three ASCII letters and a number, as in `P07`, `INT 3` or `S-12`.
pub(super) fn is_code(label: &str) -> bool {
    let letters = label.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = label[letters..].trim_start_matches(['-', '_', ' ']);
    (1..=3).contains(&letters) && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}
