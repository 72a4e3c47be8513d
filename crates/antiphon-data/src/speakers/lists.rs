//! Labels of lists that look like those of speakers: verses, logs of programs, timetables, opening hours.
//!
//! | lines | are |
//! |---|---|
//! | `John 3:16 For God so loved …` | verses, if no number is that of a clock: `0:03`, `3:05`, `[3:16]` |
//! | `10:30:01 server: started` | a log, if nearly all lines begin with a time, none asks, and half are of programs |
//! | `11:00 Coffee`, `11:30 Workshop: Bread` | a timetable, if a third are parts of a day, or if each occurs once and none asks |
//! | `Mon: closed`, `Sat & Sun: 10-16` | opening hours, if there are two |

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use super::is_known;
use super::label::Mark;
use super::lines::Line;
use super::settle::is_question;
use super::stamp::Stamp;

/// Books of verses, in lower case.
const BOOKS: &str = "genesis gen exodus exod leviticus lev numbers num deuteronomy deut joshua judges ruth samuel kings chronicles \
    ezra nehemiah esther job psalm psalms ps proverbs prov ecclesiastes eccl isaiah isa jeremiah jer lamentations ezekiel ezek \
    daniel hosea joel amos obadiah jonah micah nahum habakkuk zephaniah haggai zechariah malachi matthew matt mt mark mk luke lk \
    john jn acts romans rom corinthians galatians gal ephesians eph philippians colossians col thessalonians timothy titus \
    philemon hebrews heb james jas peter jude revelation rev song \
    mose josua richter könige psalmen sprüche prediger jesaja jeremia hesekiel matthäus markus lukas johannes apostelgeschichte \
    römer korinther galater epheser philipper kolosser hebräer jakobus petrus offenbarung \
    genèse exode psaume psaumes matthieu marc luc jean actes romains corinthiens jacques pierre apocalypse \
    génesis éxodo salmo salmos proverbios isaías mateo marcos lucas juan hechos romanos corintios apocalipsis \
    genesi salmi matteo marco luca giovanni atti mateus joão atos apocalipse sura surah sure quran koran alma nephi mosiah \
    創世記 詩篇 マタイ マルコ ルカ ヨハネ ローマ 马太福音 马可福音 路加福音 约翰福音 诗篇 创世记";
/// Names of programs and of their parts, in lower case.
const PROGRAMS: &str = "server client worker db database sql nginx apache httpd sshd ssh kernel systemd cron crond app api web proxy \
    cache redis postgres postgresql mysql mongo mongodb sqlite docker dockerd kubelet kube scheduler main http https auth gateway \
    queue broker rabbitmq kafka daemon init service process monitor backup agent node router controller manager watchdog logger \
    syslog dhcpd dhclient dhcp named dns ntpd postfix smtp imap mail dovecot sudo su pam systemd-logind networkmanager firewall iptables \
    ufw fail2ban haproxy envoy traefik tomcat java jvm python gunicorn uvicorn celery puma rails sidekiq php fpm php-fpm npm \
    webpack vite build deploy deployer runner ci job task thread pool handler listener socket tcp udp usb eth0 wlan0 cpu disk memory \
    storage filesystem config migration migrations healthcheck health metrics prometheus grafana elasticsearch logstash system \
    root host localhost frontend backend core engine loader parser updater installer launchd supervisor supervisord vpn openvpn";
/// The levels of lines in logs, in capitals.
const LEVELS: [&str; 11] = [
    "INFO", "WARN", "WARNING", "ERROR", "DEBUG", "TRACE", "FATAL", "NOTICE", "CRITICAL", "SEVERE", "VERBOSE",
];
/// Parts of a day in timetables, in lower case.
const EVENTS: &str = "coffee tea lunch dinner breakfast brunch supper break breaks registration check-in checkin arrival departure \
    welcome opening closing keynote keynotes panel workshop workshops session sessions plenary talk talks lecture networking \
    reception party doors drinks demo demos poster posters q&a questions discussion wrap-up outro intro introduction end finish \
    start yoga swimming gym school homework bedtime assembly recess maths english history science \
    kaffee kaffeepause tee mittag mittagessen abendessen frühstück pause anmeldung begrüßung eröffnung abschluss ende beginn einlass \
    vortrag vorträge workshop diskussion ankunft abreise empfang café déjeuner dîner accueil ouverture clôture atelier conférence \
    almuerzo desayuno cena descanso pausa inicio registro bienvenida apertura cierre taller charla comida pranzo colazione \
    intervallo apertura chiusura almoço intervalo abertura encerramento koffie ontbijt welkom kawa obiad przerwa śniadanie \
    休憩 昼食 朝食 夕食 受付 開会 閉会 開場 午餐 早餐 签到 茶歇 开幕 闭幕";
/// Days, and words for several of them, in lower case.
const DAYS: &str = "mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday thursday friday saturday sunday mondays \
    tuesdays wednesdays thursdays fridays saturdays sundays weekday weekdays weekend weekends holiday holidays daily public bank \
    mo di mi do fr sa so montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag feiertag feiertage feiertags werktags \
    montags dienstags mittwochs donnerstags freitags samstags sonntags täglich \
    lun mar mer jeu ven sam dim lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miércoles jueves viernes sábado \
    domingo mié jue vie sáb dom lunedì martedì mercoledì giovedì venerdì sabato domenica gio segunda terça quarta quinta sexta \
    ma wo vr za zo maandag dinsdag woensdag donderdag vrijdag zaterdag zondag pn wt śr czw pt nd пн вт ср чт пт сб вс понедельник \
    вторник среда четверг пятница суббота воскресенье 月 火 水 木 金 土 日 月曜 火曜 水曜 木曜 金曜 土曜 日曜 月曜日 火曜日 水曜日 \
    木曜日 金曜日 土曜日 日曜日 平日 土日 祝日 周一 周二 周三 周四 周五 周六 周日 星期一 星期二 星期三 星期四 星期五 星期六 星期日";
/// Words between days, in lower case.
const LINKS: [&str; 11] = ["to", "and", "bis", "und", "through", "thru", "til", "a", "à", "y", "et"];

/// The lists above as sets.
static KNOWN_BOOKS: LazyLock<HashSet<&str>> = LazyLock::new(|| BOOKS.split_ascii_whitespace().collect());
static KNOWN_PROGRAMS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| PROGRAMS.split_ascii_whitespace().collect());
static KNOWN_EVENTS: LazyLock<HashSet<&str>> = LazyLock::new(|| EVENTS.split_ascii_whitespace().collect());
static KNOWN_DAYS: LazyLock<HashSet<&str>> = LazyLock::new(|| DAYS.split_ascii_whitespace().collect());

/// The fewest lines of a log or a timetable.
const FEWEST: usize = 3;
/// The most letters of a short form of a day.
const SHORT_DAY: usize = 4;
/// The minutes of which the times of timetables are multiples.
const STEP: u32 = 5;

/// A line with a label.
type Marked<'m, 'a> = (&'m Line<'a>, &'m Mark<'a>);

/// Returns the labels that are no speakers since they are those of a list.
/// `kinds` has a mark of each label at least.
pub(super) fn labels<'a>(lines: &[Line<'a>], kinds: &[&Mark<'a>]) -> BTreeSet<&'a str> {
    let marked = || lines.iter().filter_map(|line| Some((line, line.mark.as_ref()?)));
    let has_times = kinds.iter().any(|mark| mark.time.is_some());
    let mut found = days(lines, kinds);
    if has_times {
        let timed: Vec<Marked<'_, 'a>> = marked().filter(|(_, mark)| mark.time.is_some()).collect();
        let asks = lines.iter().any(|line| is_question(line.text));
        if are_verses(&timed) || is_log(lines, &timed, asks) || is_timetable(&timed, asks) {
            found.extend(timed.iter().map(|(_, mark)| mark.label).filter(|label| !is_known(label)));
        }
    }
    found
}

/// Returns the labels of opening hours: two different days, or a range of days. Short forms such as `Sam` and `Dom` are names, too:
/// they count if there are three, or if no line asks.
fn days<'a>(lines: &[Line<'a>], kinds: &[&Mark<'a>]) -> BTreeSet<&'a str> {
    let found: BTreeSet<&'a str> =
        kinds.iter().map(|mark| mark.label).filter(|label| is_day(label)).collect();
    let is_range = |label: &&str| {
        label.contains(['-', '–', '—', '/', '&', ',', '+']) || label.split(' ').nth(2).is_some()
    };
    let is_long = |label: &&str| label.chars().count() > SHORT_DAY || !label.is_ascii();
    let is_sure = found.iter().any(is_long) || found.len() > 2;
    if found.len() > 1 && (is_sure || !lines.iter().any(|line| is_question(line.text))) {
        found
    } else {
        found.into_iter().filter(is_range).collect()
    }
}

/// Returns whether a label has days and nothing else: `Mon`, `Sat & Sun`, `Montag bis Freitag`.
fn is_day(label: &str) -> bool {
    let lower = label.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let is_first = words.next().is_some_and(|first| KNOWN_DAYS.contains(first));
    is_first && words.all(|word| KNOWN_DAYS.contains(word) || LINKS.contains(&word))
}

/// Returns whether all lines with a time are verses: chapters and verses behind the names of books, or numbers that are no times.
fn are_verses(timed: &[Marked<'_, '_>]) -> bool {
    let verses: Option<Vec<bool>> = timed.iter().map(|(line, mark)| verse(line, mark)).collect();
    verses.is_some_and(|verses| {
        !verses.is_empty() && verses.iter().filter(|is_sure| **is_sure).count() * 2 >= verses.len()
    })
}

/// Returns whether a line is sure to be a verse; `None` if its numbers are a time.
fn verse(line: &Line<'_>, mark: &Mark<'_>) -> Option<bool> {
    let behind = line.text.find(mark.label)? + mark.label.len();
    let numbers = line.text.get(behind..)?.strip_prefix([' ', '\u{a0}'])?;
    let (chapter, rest) = numbers.split_at_checked(numbers.find(|c: char| !c.is_ascii_digit())?)?;
    let rest = rest.strip_prefix(':')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (verse, behind) = rest.split_at_checked(end)?;
    let is_clock = chapter.is_empty()
        || verse.is_empty()
        || chapter.starts_with('0')
        || verse.starts_with('0')
        || behind.strip_prefix(':').is_some_and(|more| more.starts_with(|c: char| c.is_ascii_digit()))
        || behind.starts_with(['.', ',']) && behind[1..].starts_with(|c: char| c.is_ascii_digit());
    let book = mark.label.to_lowercase();
    let book = book
        .split(|c: char| !(c.is_alphabetic() || c == 'ー'))
        .rfind(|word| !word.is_empty())
        .unwrap_or_default();
    (!is_clock).then(|| verse.len() == 1 || KNOWN_BOOKS.contains(book))
}

/// Returns whether lines are those of a log.
fn is_log(lines: &[Line<'_>], timed: &[Marked<'_, '_>], asks: bool) -> bool {
    let begins_with_time = |line: &&Line<'_>| Stamp::lead(line.text.trim_start()).is_some();
    let begun = lines.iter().filter(begins_with_time).count();
    let is_of_program = |(line, mark): &&Marked<'_, '_>| {
        is_program(mark.label) || line.text.get(mark.words..).is_some_and(are_values)
    };
    !asks
        && begun >= FEWEST
        && begun * 5 >= lines.len() * 4
        && timed.iter().filter(is_of_program).count() * 2 >= timed.len()
}

/// Returns whether a label is that of a program: one of its words is known, or it has the signs of an identifier.
fn is_program(label: &str) -> bool {
    let lower = label.to_lowercase();
    let mut words = lower.split(|c: char| !(c.is_alphanumeric() || c == '-'));
    let is_id = || {
        let has_number = label.trim_end_matches(']').ends_with(|c: char| c.is_ascii_digit());
        (has_number && label.contains(['[', '-', '_', '/']))
            || label.contains("::")
            || (label.contains('.') && !label.contains(". "))
    };
    let is_named = |word: &str| KNOWN_PROGRAMS.contains(word) || is_level(&word.to_ascii_uppercase());
    words.any(|word| is_named(word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-'))) || is_id()
}

/// Returns whether a word is the level of a line in a log, in capitals.
pub(super) fn is_level(word: &str) -> bool {
    LEVELS.contains(&word)
}

/// Returns whether the words of a line are values of a program: `status=200`, `GET /index.html`.
fn are_values(words: &str) -> bool {
    let is_pair =
        |word: &str| word.split_once('=').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty());
    let is_path = |word: &str| word.starts_with('/') && word.len() > 1;
    words.split_whitespace().any(|word| is_pair(word) || is_path(word))
}

/// Returns whether lines are those of a timetable.
fn is_timetable(timed: &[Marked<'_, '_>], asks: bool) -> bool {
    let clocks = timed.iter().map(|(line, _)| clock(line.text)).collect::<Option<Vec<u32>>>();
    let Some(minutes) = clocks.filter(|minutes| minutes.len() >= FEWEST) else { return false };
    let labels: BTreeSet<&str> = timed.iter().map(|(_, mark)| mark.label).collect();
    let events = timed.iter().filter(|(_, mark)| is_event(mark.label)).count();
    let is_round = minutes.iter().all(|minutes| minutes.is_multiple_of(STEP));
    is_round && (events * 3 >= timed.len() || (labels.len() == timed.len() && !asks))
}

/// Returns whether a label is a part of a day.
fn is_event(label: &str) -> bool {
    let lower = label.to_lowercase();
    lower.split([' ', '/', ',']).any(|word| KNOWN_EVENTS.contains(word))
}

/// Returns the minutes of a time of the day at the beginning of a line, which is not in brackets: 30 for `11:30 Coffee`.
fn clock(line: &str) -> Option<u32> {
    let line = line.trim_start_matches([' ', '\t', '-', '*', '•', '|']);
    let (hours, rest) = line.split_once([':', '.'])?;
    let is_hour = (1..=2).contains(&hours.len()) && hours.parse::<u32>().is_ok_and(|hour| hour < 25);
    let minutes = rest.get(..2)?;
    let is_whole = !rest[2..].starts_with([':', '.']) && minutes.bytes().all(|byte| byte.is_ascii_digit());
    if is_hour && is_whole { minutes.parse().ok() } else { None }
}
