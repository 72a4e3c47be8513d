//! Lines of chats instead of words: deleted messages, media that an export leaves out, and what a chat says about itself.

/// The most bytes of such a line, and of one that is not in brackets.
const LONGEST: usize = 120;
const LONGEST_LABEL: usize = 40;

/// Lines instead of words, in lower case.
const INSTEAD: [&str; 36] = [
    "this message was deleted",
    "you deleted this message",
    "message deleted",
    "diese nachricht wurde gelöscht",
    "du hast diese nachricht gelöscht",
    "se eliminó este mensaje",
    "eliminaste este mensaje",
    "ce message a été supprimé",
    "esta mensagem foi apagada",
    "missed voice call",
    "missed video call",
    "voice call",
    "video call",
    "[photo]",
    "[ photo ]",
    "[sticker]",
    "[video]",
    "[voice message]",
    "[file]",
    "[image]",
    "waiting for this message",
    "null",
    "[スタンプ]",
    "[写真]",
    "[動画]",
    "[ファイル]",
    "[ボイスメッセージ]",
    "스티커",
    "이모티콘",
    "사진",
    "[图片]",
    "[表情]",
    "[视频]",
    "[语音]",
    "[文件]",
    "[圖片]",
];
/// Endings of lines instead of words, in lower case.
const INSTEAD_ENDS: [&str; 11] = [
    " omitted",
    " weggelassen",
    " omitido",
    " omitida",
    " omise",
    " omis",
    " omessa",
    " omesso",
    " ocultada",
    " weggelaten",
    " pominięto",
];
/// Things that are left out, in lower case.
const KINDS: [&str; 22] = [
    "image",
    "video",
    "audio",
    "gif",
    "sticker",
    "document",
    "contact",
    "photo",
    "location",
    "poll",
    "bild",
    "foto",
    "imagen",
    "vídeo",
    "dokument",
    "imagem",
    "immagine",
    "vidéo",
    "afbeelding",
    "obraz",
    "adesivo",
    "documento",
];
/// Words in angle brackets instead of words, in lower case.
const MEDIA: [&str; 17] = [
    "omitted",
    "ausgeschlossen",
    "weggelassen",
    "omitido",
    "omis",
    "oculta",
    "omesso",
    "attached:",
    "angehängt:",
    "adjunto:",
    "allegato:",
    "без медиафайлов",
    "pominięto",
    "weggelaten",
    "dahil edilmedi",
    "省略",
    "已省略",
];
/// Beginnings of what a chat says about its encryption, in lower case.
const ENCRYPTED: [&str; 17] = [
    "messages and calls are end-to-end",
    "messages to this group are ",
    "nachrichten und anrufe sind ende-zu-ende",
    "les messages et les appels sont chiffrés",
    "los mensajes y las llamadas están cifrados",
    "i messaggi e le chiamate sono crittografati",
    "as mensagens e as chamadas são protegidas",
    "as mensagens e ligações são protegidas",
    "сообщения и звонки защищены",
    "wiadomości i połączenia są ",
    "mesajlar ve aramalar uçtan uca",
    "berichten en oproepen zijn end-to-end",
    "berichten en gesprekken zijn end-to-end",
    "meddelanden och samtal är ",
    "消息和通话",
    "メッセージと通話は",
    "메시지와 통화는",
];

/// Returns whether words were left out of a message or deleted, so that the line has something else instead.
pub(super) fn is_instead(words: &str) -> bool {
    let words = words.trim_matches(|c: char| super::is_blank(c) || c == '.');
    if words.len() > LONGEST_LABEL && !words.starts_with('<') && !words.ends_with(')') {
        return is_about_encryption(words);
    }
    if words.len() > LONGEST || !may_be_instead(words) {
        return is_about_encryption(words);
    }
    let lower = words.to_lowercase();
    let in_angles = lower.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    INSTEAD.contains(&&*lower)
        || in_angles.is_some_and(|inner| MEDIA.iter().any(|media| inner.contains(media)))
        || (KINDS.iter().any(|kind| lower.starts_with(kind))
            && INSTEAD_ENDS.iter().any(|end| lower.ends_with(end)))
        || lower.ends_with("(file attached)")
        || lower.ends_with("(datei angehängt)")
}

/// Returns whether words end as those that [`is_instead`] compares do: most do not, so that they are compared with no list.
fn may_be_instead(words: &str) -> bool {
    if !words.is_ascii() || words.ends_with(['>', ')', ']']) {
        return true;
    }
    let ends = |end: &&str| {
        let tail = words.len().checked_sub(end.len()).and_then(|at| words.get(at..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    INSTEAD_ENDS.iter().any(ends) || INSTEAD.iter().any(|known| known.eq_ignore_ascii_case(words))
}

/// Returns whether words are what a chat says about its encryption.
fn is_about_encryption(words: &str) -> bool {
    let begins = |start: &&str| {
        let first = start.chars().next();
        let is_first = words.chars().next().and_then(|c| c.to_lowercase().next()) == first;
        is_first && words.to_lowercase().starts_with(*start)
    };
    ENCRYPTED.iter().any(begins)
}
