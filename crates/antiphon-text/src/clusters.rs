use std::ops::RangeInclusive;

use crate::terms::SparseVector;

/// Beginnings tried, of which the one is kept whose groups hold together best; of many texts fewer, since
/// every beginning reads all of them many times.
const RESTARTS: usize = 8;
const LARGE_COUNT: usize = 1_000;
const MAX_ROUNDS: usize = 25;

/// A direction among the terms: a weight for each, of length 1. Sums go in the order of the terms, so that the same
/// documents give the same groups.
pub type Centroid = Vec<f32>;

/// Puts vectors over `terms` terms into groups, none of them empty: as many of `counts` as they fall into best, by the
/// mean of their simplified silhouettes (Hruschka, de Castro and Campello, "Evolutionary Algorithms for Clustering Gene-
/// Expression Data", ICDM 2004). Of many counts the first few are tried, since each takes as long as all before it. The
/// largest group comes first.
///
/// Takes time with the number of texts, and ends early, with groups of little worth, once `is_cancelled`.
///
/// ```
/// use antiphon_text::{Terms, cluster};
/// let (terms, vectors) = Terms::count([["warm bread"], ["green apples"], ["bread, still warm"]]);
/// assert_eq!(cluster(&vectors, terms.len(), 2..=2, || false), [vec![0, 2], vec![1]]);
/// ```
pub fn cluster(
    vectors: &[SparseVector],
    terms: usize,
    counts: RangeInclusive<usize>,
    is_cancelled: impl Fn() -> bool,
) -> Vec<Vec<usize>> {
    // None can be empty, and there is one where there is anything.
    let most = vectors.len();
    let counts = (*counts.start()).clamp(most.min(1), most)..=(*counts.end()).clamp(most.min(1), most);
    const MAX_TRIED: usize = 8;
    let tried = counts.take(MAX_TRIED).filter(|count| *count > 0);
    let found = tried.map(|count| {
        let groups = cluster_into(vectors, terms, count, &is_cancelled);
        let separation = separation(vectors, terms, &groups);
        (groups, separation)
    });
    found
        .reduce(|best, next| if next.1 > best.1 + 1e-9 { next } else { best })
        .map(|(groups, _)| groups)
        .unwrap_or_default()
}

/// How much nearer vectors are to their own group than to the next one, from -1 to 1. Whoever is alone counts as 0.
fn separation(vectors: &[SparseVector], terms: usize, groups: &[Vec<usize>]) -> f64 {
    let centroids: Vec<Centroid> =
        groups.iter().map(|group| centroid(terms, group.iter().map(|member| &vectors[*member]))).collect();
    let mut sum = 0.0;
    for (own, group) in groups.iter().enumerate().filter(|(_, group)| group.len() > 1) {
        for member in group {
            // Rounding makes what is the same a little nearer than that.
            let away = |centroid: &Centroid| f64::from(1.0 - dot(&vectors[*member], centroid)).max(0.0);
            let others = centroids.iter().enumerate().filter(|(other, _)| *other != own);
            let next = others.map(|(_, centroid)| away(centroid)).fold(f64::INFINITY, f64::min);
            let here = away(&centroids[own]);
            if next.is_finite() && next.max(here) > 0.0 {
                sum += (next - here) / next.max(here);
            }
        }
    }
    sum / vectors.len().max(1) as f64
}

/// Puts vectors into `count` groups by spherical k-means: Dhillon and Modha,
/// "Concept Decompositions for Large Sparse Text Data Using Clustering", Machine Learning 42, 2001. Each beginning
/// takes as seeds what is farthest from the seeds before it, so nothing is drawn by chance. Ends early, with groups
/// of little worth, once cancelled.
fn cluster_into(
    vectors: &[SparseVector],
    terms: usize,
    count: usize,
    is_cancelled: &dyn Fn() -> bool,
) -> Vec<Vec<usize>> {
    let space = Space { vectors, terms, count, is_cancelled };
    let tries = if vectors.len() > LARGE_COUNT { 2 } else { RESTARTS.min(vectors.len()) };
    // Evenly spread over the texts, so that the order of files does not decide.
    let beginnings = (0..tries).map(|i| i * vectors.len() / tries);
    let best = beginnings
        .map(|first| space.group_from(first))
        .reduce(|best, next| if next.1 > best.1 + 1e-9 { next } else { best });
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (member, group) in best.map(|(groups, _)| groups).unwrap_or_default().into_iter().enumerate() {
        groups[group].push(member);
    }
    groups.sort_by_key(|members| (std::cmp::Reverse(members.len()), members.first().copied()));
    groups
}

struct Space<'a> {
    vectors: &'a [SparseVector],
    terms: usize,
    count: usize,
    is_cancelled: &'a dyn Fn() -> bool,
}

impl Space<'_> {
    /// The group of each vector, and how well the groups hold together.
    fn group_from(&self, first: usize) -> (Vec<usize>, f64) {
        let mut centroids = self.seeds(first);
        let mut of: Vec<usize> = Vec::new();
        for _ in 0..MAX_ROUNDS {
            let mut next: Vec<usize> =
                self.vectors.iter().map(|vector| nearest(vector, &centroids)).collect();
            self.fill_empty(&centroids, &mut next);
            if next == of || (self.is_cancelled)() {
                of = next;
                break;
            }
            of = next;
            centroids = (0..self.count).map(|group| self.centroid_of(&of, group)).collect();
        }
        let cohesion =
            self.vectors.iter().zip(&of).map(|(vector, group)| f64::from(dot(vector, &centroids[*group])));
        let cohesion = cohesion.sum();
        (of, cohesion)
    }

    fn seeds(&self, first: usize) -> Vec<Centroid> {
        let seed = |index: usize| centroid(self.terms, [&self.vectors[index]]);
        let mut seeds = vec![seed(first)];
        let mut closeness: Vec<f32> = self.vectors.iter().map(|vector| dot(vector, &seeds[0])).collect();
        let mut taken = vec![false; self.vectors.len()];
        taken[first] = true;
        while seeds.len() < self.count {
            let free = (0..self.vectors.len()).filter(|index| !taken[*index]);
            let Some(farthest) = free.min_by(|a, b| closeness[*a].total_cmp(&closeness[*b])) else { break };
            taken[farthest] = true;
            let next = seed(farthest);
            for (vector, closeness) in self.vectors.iter().zip(&mut closeness) {
                *closeness = closeness.max(dot(vector, &next));
            }
            seeds.push(next);
        }
        seeds
    }

    /// A group that lost all its members takes the one that fits worst where it is and is not alone there.
    fn fill_empty(&self, centroids: &[Centroid], of: &mut [usize]) {
        for group in 0..centroids.len() {
            if of.contains(&group) {
                continue;
            }
            let mut sizes = vec![0_usize; centroids.len()];
            of.iter().for_each(|group| sizes[*group] += 1);
            let movable = (0..of.len()).filter(|member| sizes[of[*member]] > 1);
            let fit = |member: &usize| dot(&self.vectors[*member], &centroids[of[*member]]);
            if let Some(member) = movable.min_by(|a, b| fit(a).total_cmp(&fit(b))) {
                of[member] = group;
            }
        }
    }

    fn centroid_of(&self, of: &[usize], group: usize) -> Centroid {
        let members = self.vectors.iter().zip(of).filter(|(_, of)| **of == group);
        centroid(self.terms, members.map(|(vector, _)| vector))
    }
}

fn nearest(vector: &SparseVector, centroids: &[Centroid]) -> usize {
    let closeness = centroids.iter().map(|centroid| dot(vector, centroid)).enumerate();
    closeness.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map_or(0, |(group, _)| group)
}

/// The direction in which a group's members point together.
#[must_use]
pub fn centroid<'a>(terms: usize, members: impl IntoIterator<Item = &'a SparseVector>) -> Centroid {
    let mut sum = vec![0.0_f32; terms];
    for (term, weight) in members.into_iter().flatten() {
        sum[*term as usize] += weight;
    }
    let length = sum.iter().map(|weight| weight * weight).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|weight| *weight /= length);
    }
    sum
}

fn dot(vector: &SparseVector, centroid: &Centroid) -> f32 {
    vector.iter().map(|(term, weight)| weight * centroid[*term as usize]).sum()
}

#[cfg(test)]
mod tests {
    use super::{SparseVector, cluster};

    fn vector(terms: &[u32]) -> SparseVector {
        terms.iter().map(|term| (*term, 1.0 / (terms.len() as f32).sqrt())).collect()
    }

    #[test]
    fn what_shares_terms_comes_together() {
        let vectors = [&[1, 2][..], &[7, 8], &[1, 2, 3], &[7, 8, 9], &[20]].map(vector);
        let found = cluster(&vectors, 21, 3..=3, || false);
        assert_eq!(found, [vec![0, 2], vec![1, 3], vec![4]]);
    }

    #[test]
    fn as_many_groups_are_made_as_there_are() {
        let vectors = [&[1, 2][..], &[7, 8], &[1, 2, 3], &[7, 8, 9], &[1, 2, 4], &[7, 8, 5]].map(vector);
        let found = cluster(&vectors, 10, 2..=5, || false);
        assert_eq!(found, [vec![0, 2, 4], vec![1, 3, 5]]);
    }

    #[test]
    fn counts_that_cannot_be_are_made_ones_that_can() {
        let vectors = [&[1][..], &[2]].map(vector);
        assert_eq!(cluster(&vectors, 3, 0..=0, || false).len(), 1);
        assert_eq!(cluster(&vectors, 3, 5..=9, || false).len(), 2);
        assert!(cluster(&[], 0, 1..=3, || false).is_empty());
    }

    #[test]
    fn equal_vectors_still_give_as_many_groups_as_asked_for() {
        let vectors = [(); 5].map(|()| vector(&[1]));
        let found = cluster(&vectors, 2, 3..=3, || false);
        assert!(found.len() == 3 && found.iter().all(|group| !group.is_empty()), "{found:?}");
    }
}
