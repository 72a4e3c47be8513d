use std::ops::RangeInclusive;

use crate::terms::SparseVector;

/// The number of initialisations, of which the one with the highest cohesion is kept. Only two for more than
/// `LARGE_COUNT` texts, since each one reads all texts up to `MAX_ROUNDS` times.
const RESTARTS: usize = 8;
/// The number of texts above which there are fewer initialisations.
const LARGE_COUNT: usize = 1_000;
/// The maximum number of iterations of k-means; usually the groups are stable after fewer.
const MAX_ROUNDS: usize = 25;
/// The maximum number of group counts to try.
const MAX_TRIED: usize = 8;

/// A dense unit vector with one weight per term: the mean direction of a group's vectors, as returned by [`centroid`].
///
/// The index is the term's number in [`Terms`](crate::Terms). Sums are computed in a fixed order, so that the same
/// texts always return the same groups.
pub type Centroid = Vec<f32>;

/// Clusters vectors by spherical k-means and returns the groups as indices into `vectors`, the largest group first.
///
/// `terms` is the number of terms ([`Terms::len`](crate::Terms::len)). The function tries each number of groups in
/// `counts` and returns the groups with the highest mean simplified silhouette, a measure of their separation
/// (Hruschka, de Castro and Campello, "Evolutionary Algorithms for Clustering Gene-Expression Data", ICDM 2004). The
/// counts are clamped to between 1 and the number of vectors, and only the first eight are tried. Each group has at
/// least one vector; without vectors, there are no groups.
///
/// CPU-bound: the run time grows with the number of texts, of groups and of `counts`. In async code, call it on a
/// blocking thread. `is_cancelled` is called once per iteration; after it has returned `true`, the current groups are
/// returned, which may be poor.
///
/// ```
/// use antiphon_text::{Terms, cluster};
/// let (terms, vectors) = Terms::count([["warm bread"], ["green apples"], ["bread, still warm"]]);
/// assert_eq!(cluster(&vectors, terms.len(), 2..=2, || false), [vec![0, 2], vec![1]]);
/// ```
///
/// # Panics
/// If a vector has a term that is not less than `terms`.
pub fn cluster(
    vectors: &[SparseVector],
    terms: usize,
    counts: RangeInclusive<usize>,
    is_cancelled: impl Fn() -> bool,
) -> Vec<Vec<usize>> {
    // No group can be empty, and any vector needs at least one group.
    let most = vectors.len();
    let counts = (*counts.start()).clamp(most.min(1), most)..=(*counts.end()).clamp(most.min(1), most);
    let tried = counts.take(MAX_TRIED).filter(|count| *count > 0);
    let found = tried.map(|count| {
        let groups = cluster_into(vectors, terms, count, &is_cancelled);
        Scored { score: separation(vectors, terms, &groups), result: groups }
    });
    found.reduce(Scored::best).map(|best| best.result).unwrap_or_default()
}

/// A result of clustering with its score, of which more is better.
struct Scored<T> {
    result: T,
    score: f64,
}

impl<T> Scored<T> {
    /// Returns the better result; the earlier one if the difference may be due to rounding.
    fn best(self, next: Self) -> Self {
        if next.score > self.score + 1e-9 { next } else { self }
    }
}

/// Returns the mean simplified silhouette, from -1 to 1; a vector alone in its group counts as 0.
fn separation(vectors: &[SparseVector], terms: usize, groups: &[Vec<usize>]) -> f64 {
    let centroids: Vec<Centroid> =
        groups.iter().map(|group| centroid(terms, group.iter().map(|member| &vectors[*member]))).collect();
    let mut sum = 0.0;
    for (own, group) in groups.iter().enumerate().filter(|(_, group)| group.len() > 1) {
        for member in group {
            // Rounding can make the distance of equal vectors slightly negative.
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

/// Clusters vectors into `count` groups by spherical k-means.
///
/// After Dhillon and Modha, "Concept Decompositions for Large Sparse Text Data Using Clustering", Machine Learning 42,
/// 2001. Each initialisation takes as next seed the vector farthest from the seeds before it, so the result is
/// deterministic. Returns early, with groups of poor quality, once cancelled.
fn cluster_into(
    vectors: &[SparseVector],
    terms: usize,
    count: usize,
    is_cancelled: &dyn Fn() -> bool,
) -> Vec<Vec<usize>> {
    let space = Space { vectors, terms, count, is_cancelled };
    let tries = if vectors.len() > LARGE_COUNT { 2 } else { RESTARTS.min(vectors.len()) };
    // Evenly spread over the texts, so that the order of the files matters less.
    let starts = (0..tries).map(|i| i * vectors.len() / tries);
    let best = starts.map(|first| space.group_from(first)).reduce(Scored::best);
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (member, group) in best.map(|best| best.result).unwrap_or_default().into_iter().enumerate() {
        groups[group].push(member);
    }
    groups.sort_by_key(|members| (std::cmp::Reverse(members.len()), members.first().copied()));
    groups
}

/// The vectors to cluster, and the number of groups to make of them.
struct Space<'a> {
    vectors: &'a [SparseVector],
    /// The number of terms, which is the dimension of the centroids.
    terms: usize,
    /// The number of groups.
    count: usize,
    is_cancelled: &'a dyn Fn() -> bool,
}

impl Space<'_> {
    /// Returns the group of each vector, with the cohesion as the score: the sum of the similarities to the centroids.
    /// The initialisation begins with the vector of index `first`.
    fn group_from(&self, first: usize) -> Scored<Vec<usize>> {
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
        let fit = |(vector, group): (&SparseVector, &usize)| f64::from(dot(vector, &centroids[*group]));
        let score = self.vectors.iter().zip(&of).map(fit).sum();
        Scored { result: of, score }
    }

    /// Returns the first centroids: the vector `first`, and then each time the one farthest from all seeds so far.
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

    /// Gives each empty group the vector with the lowest similarity to its own group, unless it is alone there.
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

    /// Returns the centroid of a group, where `of` has the group of each vector.
    fn centroid_of(&self, of: &[usize], group: usize) -> Centroid {
        let members = self.vectors.iter().zip(of).filter(|(_, of)| **of == group);
        centroid(self.terms, members.map(|(vector, _)| vector))
    }
}

/// Returns the index of the most similar centroid; the first of several.
fn nearest(vector: &SparseVector, centroids: &[Centroid]) -> usize {
    let closeness = centroids.iter().map(|centroid| dot(vector, centroid)).enumerate();
    closeness.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map_or(0, |(group, _)| group)
}

/// Returns the centroid of the vectors in `members`: their sum, scaled to length 1; all zeros if there are none.
///
/// The dot product of a vector with the centroid is their cosine similarity: use it to find the most typical text of a
/// group.
///
/// # Panics
/// If a vector has a term that is not less than `terms`.
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

/// Returns the dot product, which is the cosine similarity of unit vectors.
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
    fn vectors_with_shared_terms_are_grouped() {
        let vectors = [&[1, 2][..], &[7, 8], &[1, 2, 3], &[7, 8, 9], &[20]].map(vector);
        let found = cluster(&vectors, 21, 3..=3, || false);
        assert_eq!(found, [vec![0, 2], vec![1, 3], vec![4]]);
    }

    #[test]
    fn chooses_the_natural_number_of_groups() {
        let vectors = [&[1, 2][..], &[7, 8], &[1, 2, 3], &[7, 8, 9], &[1, 2, 4], &[7, 8, 5]].map(vector);
        let found = cluster(&vectors, 10, 2..=5, || false);
        assert_eq!(found, [vec![0, 2, 4], vec![1, 3, 5]]);
    }

    #[test]
    fn impossible_counts_are_clamped() {
        let vectors = [&[1][..], &[2]].map(vector);
        assert_eq!(cluster(&vectors, 3, 0..=0, || false).len(), 1);
        assert_eq!(cluster(&vectors, 3, 5..=9, || false).len(), 2);
        assert!(cluster(&[], 0, 1..=3, || false).is_empty());
    }

    #[test]
    fn equal_vectors_return_the_requested_number_of_groups() {
        let vectors = [(); 5].map(|()| vector(&[1]));
        let found = cluster(&vectors, 2, 3..=3, || false);
        assert!(found.len() == 3 && found.iter().all(|group| !group.is_empty()), "{found:?}");
    }
}
