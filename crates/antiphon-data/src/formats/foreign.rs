//! Headings of columns for speakers, words and times in further languages, normalised.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Words for a speaker.
const SPEAKERS: &str = "konuşmacı konuşan mówca rozmówca mluvčí řečník beszélő vorbitor parlante orador falante locutora \
    locutor puhuja talare taler deltager spreker sprekers sprecherin ομιλητής мовець المتحدث متحدث דובר वकता वक्ता ผูพูด \
    ngườinói pembicara 發言人 說話人 说话人 講者 讲者 発言者 話し手 발화자 발언자";
/// Words for what is said.
const TEXTS: &str = "metin konuşma söz wypowiedź tekst promluva szöveg mondat cuvinte texto fala teksti puhe yttrande \
    ytring uttalelse uitspraak zinnen κείμενο репліка النص نص טקסט पाठ ขอความ nộidung ucapan isi 文本 發言 逐字稿 발언 대사 텍스트";
/// Words for a time.
const TIMES: &str = "zaman saat czas čas idő időbélyeg timp tempo horário horario ora aika tid tidspunkt tijd tijdstip \
    χρόνος ώρα час الوقت وقت זמן שעה समय เวลา thờigian waktu 時刻 时刻 時間碼";

/// The words as sets.
static SPEAKER_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| SPEAKERS.split_whitespace().collect());
static TEXT_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| TEXTS.split_whitespace().collect());
static TIME_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| TIMES.split_whitespace().collect());

/// Returns whether a normalised key is a word for a speaker.
pub(crate) fn is_speaker(key: &str) -> bool {
    SPEAKER_SET.contains(key)
}

/// Returns whether a normalised key is a word for what is said.
pub(crate) fn is_text(key: &str) -> bool {
    TEXT_SET.contains(key)
}

/// Returns whether a normalised key is a word for a time.
pub(crate) fn is_time(key: &str) -> bool {
    TIME_SET.contains(key)
}
