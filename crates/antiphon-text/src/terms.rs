//! Terms and TF-IDF vectors: the vocabulary of a set of texts, and the weight of each term in each text.
//!
//! Terms are numbered in the order of their first occurrence, so that the result does not depend on the order of a hash
//! map. All forms of a term are counted, so that it can be shown in the form in which people say it.

use std::collections::{HashMap, HashSet};

/// English stop words: function words, fillers and common verbs, which do not characterise a subject.
const STOPWORDS: &str = "a able about above actually after again against ago ain all almost also although always am an \
    and any anyone anything are aren around as ask asked at away back bad be because been before being below best better \
    between big bit both but by came can cannot chap come comes coming could couldn couple day days did didn different do \
    does doesn doing don done down during each either else end enough even ever every everybody everything exactly fair far \
    feel few find first five for forty found four from front full further gave get gets getting girl give go goes going gone \
    good got great had half happen happened happens hard has hasn hate have haven having he hear her here hers herself him \
    himself his home honest honestly hour hours how however i if in instead into is isn it its itself just keep keeps kept \
    kind knew know knows last late later least less let life like little ll long look looked looking looks lose lot lots love \
    made make makes making man many matter may maybe me mean means might mind mine minute minutes mm moment month months more \
    morning mornings most mostly much must my myself need needs never new next nice night nights nine no nobody none nor not \
    nothing now number of off oh ok okay old on once one ones only onto or other others ought our ours ourselves out over own \
    part past people perhaps person place plus point pretty probably problem put quite rather re read real really reason \
    remember right room round said same saturday saw say saying says second see seen seven shall shan she should shouldn side \
    sit six so some somebody someone something sometimes soon sort stand start started still stop stuff such suppose sure take \
    taken takes talk tell ten than thank thanks that the their theirs them themselves then there these they thing things think \
    third this those though thought three through till time times to today together told tomorrow too took top toward tried \
    true try trying turn twenty twice two under until up upon us use used usually ve very wait walk want wants was wasn way we \
    week weeks well went were weren what whatever when where whether which while who whole whom why will with within without \
    won word words work worked working works worst would wouldn write wrong year years yeah yes yesterday yet you young your \
    yours yourself don't monday tuesday wednesday thursday friday sunday especially whichever half-past eleven twelve eight \
    hundred thousand dozen half anyway also ended shows easy ready idea fine happy supposed comes thirty fifty rest question";

/// The vocabulary of a set of texts: the terms, numbered from 0, and their rarity (IDF).
///
/// A term is a lower-case word with its plural, such as `oven` and `ovens`. Words of fewer than three letters, words
/// with digits and English stop words are excluded. See [`cluster`](crate::cluster) for an example.
#[derive(Debug)]
pub struct Terms {
    /// The number of each stem.
    numbers: HashMap<String, u32>,
    /// The counts of the forms of each term, in all texts.
    forms: Vec<HashMap<String, u32>>,
    /// The inverse document frequency of each term.
    rarity: Vec<f32>,
}

/// The TF-IDF vector of a text: (term, weight) pairs sorted by term, scaled to length 1; see [`Terms::count`].
///
/// Terms that the text does not have are left out. Empty if the text has no terms.
pub type SparseVector = Vec<(u32, f32)>;

impl Terms {
    /// Counts the terms of all texts, and returns the vocabulary and one TF-IDF vector per text, in order.
    ///
    /// A text is a sequence of one or more pieces, such as the answers of one person, which are counted together.
    ///
    /// The weight of a term is `(1 + ln count) × ln(1 + texts / texts with the term)`; each vector is then scaled to
    /// length 1. This is TF-IDF with sublinear counts, after Manning, Raghavan and Schütze, "Introduction to
    /// Information Retrieval", 2008, section 6.4.
    pub fn count<'a, T>(texts: impl IntoIterator<Item = T>) -> (Self, Vec<SparseVector>)
    where
        T: IntoIterator<Item = &'a str>,
    {
        let stopwords: HashSet<&str> = STOPWORDS.split_whitespace().collect();
        let mut terms = Self { numbers: HashMap::new(), forms: Vec::new(), rarity: Vec::new() };
        let counts: Vec<HashMap<u32, f32>> =
            texts.into_iter().map(|text| terms.count_text(text, &stopwords)).collect();
        terms.rarity = rarity(terms.len(), &counts);
        let vectors = counts.into_iter().map(|count| terms.weigh(count)).collect();
        (terms, vectors)
    }

    /// Adds the terms of one text to the vocabulary, and returns how often the text has each of them.
    fn count_text<'a>(
        &mut self,
        text: impl IntoIterator<Item = &'a str>,
        stopwords: &HashSet<&str>,
    ) -> HashMap<u32, f32> {
        let mut count: HashMap<u32, f32> = HashMap::new();
        for word in text.into_iter().flat_map(words) {
            if !stopwords.contains(word.as_str()) {
                *count.entry(self.add(word)).or_default() += 1.0;
            }
        }
        count
    }

    /// Counts a word as a form of its term, and returns the term, which is added if necessary.
    fn add(&mut self, word: String) -> u32 {
        let next = u32::try_from(self.forms.len()).unwrap_or(u32::MAX);
        let term = *self.numbers.entry(stem(&word).to_owned()).or_insert(next);
        if term == next {
            self.forms.push(HashMap::new());
        }
        *self.forms[term as usize].entry(word).or_default() += 1;
        term
    }

    /// Returns the TF-IDF vector of a text with these counts.
    fn weigh(&self, count: HashMap<u32, f32>) -> SparseVector {
        let mut vector: SparseVector = count
            .into_iter()
            .map(|(term, count)| (term, (1.0 + count.ln()) * self.rarity[term as usize]))
            .collect();
        vector.sort_unstable_by_key(|(term, _)| *term);
        normalise(&mut vector);
        vector
    }

    /// Returns the terms of a sentence in the order of its words, with repetitions. Words not in the vocabulary are
    /// left out.
    pub fn of<'a>(&'a self, sentence: &'a str) -> impl Iterator<Item = u32> + 'a {
        words(sentence).filter_map(|word| self.numbers.get(stem(&word)).copied())
    }

    /// Returns the number of terms in the vocabulary. Terms are numbered from 0 to one less.
    #[must_use]
    pub fn len(&self) -> usize {
        self.forms.len()
    }

    /// Returns whether the vocabulary has no terms.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Returns the most frequent form of a term in the texts, its singular or its plural; empty if `term` is not in the
    /// vocabulary.
    #[must_use]
    pub fn form(&self, term: u32) -> &str {
        let forms = self.forms.get(term as usize).into_iter().flatten();
        forms.max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0))).map_or("", |(form, _)| form)
    }
}

/// Returns the inverse document frequency of each term: `ln(1 + texts / texts with the term)`.
fn rarity(terms: usize, counts: &[HashMap<u32, f32>]) -> Vec<f32> {
    let mut users = vec![0.0_f32; terms];
    for count in counts {
        count.keys().for_each(|term| users[*term as usize] += 1.0);
    }
    let all = counts.len() as f32;
    users.iter().map(|users| (1.0 + all / users.max(1.0)).ln()).collect()
}

/// Splits a text into lower-case words of three or more letters or hyphens; an apostrophe ends a word.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '-')
        .map(|word| word.trim_matches('-'))
        .filter(|word| word.chars().count() >= 3 && word.chars().all(|c| c.is_alphabetic() || c == '-'))
        .map(str::to_lowercase)
}

/// Returns a stem that maps a plural to its singular.
fn stem(word: &str) -> &str {
    match word {
        _ if word.len() < 5 || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") => word,
        _ if word.ends_with("ches") || word.ends_with("shes") || word.ends_with("xes") => {
            &word[..word.len() - 2]
        }
        _ => word.strip_suffix('s').unwrap_or(word),
    }
}

/// Scales a vector to length 1; an empty one is unchanged.
fn normalise(vector: &mut SparseVector) {
    let length = vector.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|(_, weight)| *weight /= length);
    }
}
