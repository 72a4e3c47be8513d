//! The choice of findings for the persona prompt, where not all of them fit into the context.
//!
//! Participants are clustered by the words of their claims (TF-IDF and spherical k-means, in antiphon-text), into as
//! many groups as personas are expected. Each group gets the same space, so that a large one does not crowd out a small
//! one. Within a group, its members take turns with their most typical findings, so that one who talks a lot does not
//! crowd out the others. The result is deterministic: findings are sorted by place, and the clustering has no random start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_data::Document;
use antiphon_llm::{Part, Prompt, Side};
use antiphon_text::Terms;

use super::distil::{Finding, Piece};
use super::recipe;
use crate::config::GenerationConfig;
use crate::evidence::{self, Found};

/// The most representative findings that fit into the context, in place of the documents.
#[derive(Debug)]
pub(crate) struct Digest {
    /// Number of findings in the digest: `distinct`, or fewer if not all fitted.
    pub(crate) used: usize,
    /// Number of findings to choose from, duplicates removed.
    pub(crate) distinct: usize,
    /// The excerpts, one document each.
    parts: Vec<Part>,
    /// Names of participants who speak of similar things, if a choice had to be made.
    pub(super) groups: Vec<Vec<String>>,
}

impl Digest {
    /// Chooses findings that fit into `most_bytes`, from `groups` groups of similar participants, one for each possible
    /// persona. All findings are used, without groups, if they fit.
    pub(crate) fn of(
        mut findings: Vec<Finding>,
        documents: &[Document],
        groups: usize,
        most_bytes: u64,
    ) -> Self {
        findings.sort_by_key(|found| (found.place.document, found.place.start, found.place.end));
        findings.dedup_by_key(|found| (found.place.document, found.place.start));
        let distinct = findings.len();
        let mut names = Vec::new();
        if findings.iter().map(Finding::size).sum::<u64>() > most_bytes {
            let people = People::of(&findings, groups);
            let chosen = people.choose(&findings, most_bytes);
            names = people.named();
            findings = chosen.into_iter().map(|index| findings[index].clone()).collect();
        }
        Self { used: findings.len(), distinct, parts: excerpts(&findings, documents), groups: names }
    }

    /// Builds the prompt about the findings instead of the documents. The groups are named in it, as proposals for
    /// personas.
    pub(crate) fn prompt(self, config: &GenerationConfig) -> Prompt {
        let mut intro = format!("Below is what was said in {} interviews, in excerpts.", self.parts.len());
        for (number, group) in (1..).zip(&self.groups).filter(|(_, group)| !group.is_empty()) {
            intro.push_str(&format!(" Group {number} speaks of like things: {}.", group.join(", ")));
        }
        recipe::prompt_over(config, &intro, self.parts)
    }
}

/// Returns the words of the findings as documents of a prompt, in the order of `findings`. A document keeps the id that
/// it has in the prompt over all documents, so that the citations of personas refer to the original ones.
fn excerpts(findings: &[Finding], documents: &[Document]) -> Vec<Part> {
    let mut by_document: BTreeMap<usize, Piece> = BTreeMap::new();
    for Finding { place, .. } in findings {
        let Found { document, start, end, speaker, .. } = place;
        let piece = by_document.entry(*document).or_insert_with(|| Piece::of(*document));
        let words = evidence::passage(&documents[*document], *start, *end);
        piece.say(&Arc::from(speaker.as_str()), Side::Participant, &words);
    }
    by_document.iter().map(|(index, piece)| piece.part(*index, &documents[*index].name)).collect()
}

/// Participants, by document and name, each with the indices of their findings, in groups of similar ones.
struct People {
    people: Vec<((usize, String), Vec<usize>)>,
    /// The vocabulary of all claims.
    terms: Terms,
    /// The TF-IDF vector of each participant's claims.
    vectors: Vec<antiphon_text::SparseVector>,
    /// The indices of the participants in each group.
    groups: Vec<Vec<usize>>,
}

impl People {
    /// Clusters the participants by the words of their claims, into `groups` groups or one for each if they are fewer.
    fn of(findings: &[Finding], groups: usize) -> Self {
        let mut people: BTreeMap<(usize, String), Vec<usize>> = BTreeMap::new();
        for (index, found) in findings.iter().enumerate() {
            people.entry((found.place.document, found.place.speaker.clone())).or_default().push(index);
        }
        let people: Vec<_> = people.into_iter().collect();
        let claims =
            people.iter().map(|(_, found)| found.iter().map(|index| findings[*index].claim.as_str()));
        let (terms, vectors) = Terms::count(claims);
        let count = groups.clamp(1, people.len().max(1));
        let groups = antiphon_text::cluster(&vectors, terms.len(), count..=count, || false);
        Self { people, terms, vectors, groups }
    }

    /// Returns the names of each group's members; none if the participants are too many to list.
    fn named(&self) -> Vec<Vec<String>> {
        const MAX_NAMED: usize = 100;
        if self.people.len() > MAX_NAMED {
            return Vec::new();
        }
        let names = |group: &Vec<usize>| {
            let names: BTreeSet<&String> = group.iter().map(|member| &self.people[*member].0.1).collect();
            names.into_iter().cloned().collect()
        };
        self.groups.iter().map(names).collect()
    }

    /// Chooses findings. Each group gets the same space; in it, members take turns with their finding that is nearest
    /// to the group's centroid.
    fn choose(&self, findings: &[Finding], most_bytes: u64) -> Vec<usize> {
        let share = most_bytes / self.groups.len().max(1) as u64;
        let in_group = |group: &Vec<usize>| take_turns(self.queues(group, findings), findings, share);
        let mut chosen: Vec<usize> = self.groups.iter().flat_map(in_group).collect();
        chosen.sort_unstable();
        chosen
    }

    /// Returns the findings of each member of a group, the one nearest to the group's centroid last.
    fn queues(&self, group: &[usize], findings: &[Finding]) -> Vec<Vec<(f32, usize)>> {
        let vectors = group.iter().map(|member| &self.vectors[*member]);
        let centre = antiphon_text::centroid(self.terms.len(), vectors);
        let nearness = |index: &usize| -> (f32, usize) {
            let terms = self.terms.of(&findings[*index].claim);
            (terms.filter_map(|term| centre.get(term as usize)).sum(), *index)
        };
        let queue = |member: &usize| {
            let mut queue: Vec<_> = self.people[*member].1.iter().map(nearness).collect();
            queue.sort_by(|a, b| a.0.total_cmp(&b.0));
            queue
        };
        group.iter().map(queue).collect()
    }
}

/// Takes findings from the ends of the queues in turn, as long as they fit into `share` bytes. One that does not fit is
/// skipped: a shorter one after it may fit.
fn take_turns(mut queues: Vec<Vec<(f32, usize)>>, findings: &[Finding], share: u64) -> Vec<usize> {
    let (mut chosen, mut left) = (Vec::new(), share);
    while queues.iter().any(|queue| !queue.is_empty()) {
        for (_, index) in queues.iter_mut().filter_map(Vec::pop) {
            let size = findings[index].size();
            if size <= left {
                left -= size;
                chosen.push(index);
            }
        }
    }
    chosen
}
