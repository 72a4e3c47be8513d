//! Participants who speak of the same things, as groups.

use std::collections::HashMap;

use super::terms::{Vector, normalise};

/// Beginnings tried; the one whose groups hold together best is kept.
const BEGINNINGS: usize = 8;
const MAX_ROUNDS: usize = 25;

/// Puts vectors into `count` groups, none of them empty, by spherical k-means: Dhillon and Modha, "Concept
/// Decompositions for Large Sparse Text Data Using Clustering", Machine Learning 42, 2001. Each beginning takes as
/// seeds what is farthest from the seeds before it, so nothing is drawn by chance.
pub(super) fn groups(vectors: &[Vector], count: usize) -> Vec<Vec<usize>> {
    let tries = vectors.len().min(BEGINNINGS);
    // Evenly spread over the participants, so that the order of files does not decide.
    let beginnings = (0..tries).map(|i| i * vectors.len() / tries);
    let best = beginnings
        .map(|first| group_from(vectors, count, first))
        .reduce(|best, next| if next.1 > best.1 + 1e-6 { next } else { best });
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (member, group) in best.map(|(groups, _)| groups).unwrap_or_default().into_iter().enumerate() {
        groups[group].push(member);
    }
    groups.sort_by_key(|members| (std::cmp::Reverse(members.len()), members.first().copied()));
    groups
}

/// The group of each vector, and how well the groups hold together.
fn group_from(vectors: &[Vector], count: usize, first: usize) -> (Vec<usize>, f32) {
    let mut centres = seeds(vectors, count, first);
    let mut of: Vec<usize> = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let mut next: Vec<usize> = vectors.iter().map(|vector| nearest(vector, &centres)).collect();
        fill_empty(vectors, &centres, &mut next);
        if next == of {
            break;
        }
        of = next;
        centres = (0..count).map(|group| centre(members(vectors, &of, group))).collect();
    }
    let cohesion = vectors.iter().zip(&of).map(|(vector, group)| dot(vector, &centres[*group])).sum();
    (of, cohesion)
}

type Centre = HashMap<u32, f32>;

fn seeds(vectors: &[Vector], count: usize, first: usize) -> Vec<Centre> {
    let as_centre = |index: usize| vectors[index].iter().copied().collect::<Centre>();
    let mut seeds = vec![as_centre(first)];
    let mut closeness: Vec<f32> = vectors.iter().map(|vector| dot(vector, &seeds[0])).collect();
    let mut taken = vec![false; vectors.len()];
    taken[first] = true;
    while seeds.len() < count {
        let free = (0..vectors.len()).filter(|index| !taken[*index]);
        let Some(farthest) = free.min_by(|a, b| closeness[*a].total_cmp(&closeness[*b])) else { break };
        taken[farthest] = true;
        let seed = as_centre(farthest);
        for (vector, closeness) in vectors.iter().zip(&mut closeness) {
            *closeness = closeness.max(dot(vector, &seed));
        }
        seeds.push(seed);
    }
    seeds
}

fn nearest(vector: &Vector, centres: &[Centre]) -> usize {
    let closeness = centres.iter().map(|centre| dot(vector, centre)).enumerate();
    closeness.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map_or(0, |(group, _)| group)
}

/// A group that lost all its members takes the one that fits worst where it is and is not alone there.
fn fill_empty(vectors: &[Vector], centres: &[Centre], of: &mut [usize]) {
    for group in 0..centres.len() {
        if of.contains(&group) {
            continue;
        }
        let mut sizes = vec![0_usize; centres.len()];
        of.iter().for_each(|group| sizes[*group] += 1);
        let movable = (0..of.len()).filter(|member| sizes[of[*member]] > 1);
        let fit = |member: &usize| dot(&vectors[*member], &centres[of[*member]]);
        if let Some(member) = movable.min_by(|a, b| fit(a).total_cmp(&fit(b))) {
            of[member] = group;
        }
    }
}

fn members<'a>(vectors: &'a [Vector], of: &'a [usize], group: usize) -> impl Iterator<Item = &'a Vector> {
    vectors.iter().zip(of).filter(move |(_, of)| **of == group).map(|(vector, _)| vector)
}

/// The direction in which a group's members point together.
pub(super) fn centre<'a>(members: impl Iterator<Item = &'a Vector>) -> Centre {
    let mut sum: Centre = HashMap::new();
    for (term, weight) in members.flatten() {
        *sum.entry(*term).or_default() += weight;
    }
    let mut vector: Vector = sum.into_iter().collect();
    normalise(&mut vector);
    vector.into_iter().collect()
}

fn dot(vector: &Vector, centre: &Centre) -> f32 {
    vector.iter().map(|(term, weight)| weight * centre.get(term).copied().unwrap_or(0.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::{Vector, groups};

    fn vector(terms: &[u32]) -> Vector {
        terms.iter().map(|term| (*term, 1.0 / (terms.len() as f32).sqrt())).collect()
    }

    #[test]
    fn what_shares_terms_comes_together() {
        let vectors = [&[1, 2][..], &[7, 8], &[1, 2, 3], &[7, 8, 9], &[20]].map(vector);
        assert_eq!(groups(&vectors, 3), [vec![0, 2], vec![1, 3], vec![4]]);
    }

    #[test]
    fn equal_vectors_still_give_as_many_groups_as_asked_for() {
        let vectors = [(); 5].map(|()| vector(&[1]));
        let found = groups(&vectors, 3);
        assert!(found.len() == 3 && found.iter().all(|group| !group.is_empty()), "{found:?}");
    }
}
