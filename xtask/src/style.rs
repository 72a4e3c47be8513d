//! The figures of `cargo xtask style`, beside which docs/architecture.md has those of other projects.

use std::collections::{BTreeMap, HashMap};

use crate::shell::Done;
use crate::source::{Source, doc_of};
use crate::tidy::{BAD_OPENINGS, opens_badly, public_types};

/// Equal lines in a row that count as a duplicate.
const RUN: usize = 6;

/// Prints the figures.
pub(crate) fn run() -> Done {
    let sources = Source::of_crates()?;
    let functions: Vec<_> = sources.iter().flat_map(Source::functions).collect();
    let mut lengths: Vec<usize> = functions.iter().map(|function| function.length).collect();
    lengths.sort_unstable();
    let percentile =
        |part: usize| lengths.get((lengths.len() * part / 100).min(lengths.len() - 1)).copied().unwrap_or(0);
    println!("functions                        {}", lengths.len());
    println!("lines of a function, median      {}", percentile(50));
    println!("lines of a function, p90         {}", percentile(90));
    println!("lines of a function, longest     {}", lengths.last().unwrap_or(&0));
    println!(
        "functions with tuples            {}",
        functions.iter().filter(|function| function.has_tuple).count()
    );
    let openings: Vec<_> = sources.iter().flat_map(Source::doc_openings).collect();
    let bad = openings.iter().filter(|(_, text)| opens_badly(text)).count();
    println!("doc comments                     {}", openings.len());
    println!(
        "beginning with {} … {} {bad} ({})",
        BAD_OPENINGS[0],
        BAD_OPENINGS[BAD_OPENINGS.len() - 1],
        share(bad, openings.len())
    );
    let (docs, lines) = sources.iter().map(doc_lines).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    println!("lines of docs, of all            {}", share(docs, lines));
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    sources.iter().flat_map(public_types).for_each(|name| *names.entry(name).or_default() += 1);
    let types: usize = names.values().sum();
    let shared: usize = names.values().filter(|count| **count > 1).sum();
    println!("types that share a name          {} of {types} ({})", shared, share(shared, types));
    let matches =
        sources.iter().map(|source| source.code().matches("        true => ").count()).sum::<usize>();
    println!("runs of lines that occur twice   {}", duplicates(&sources));
    println!("match on true                    {matches}");
    Ok(())
}

/// Returns the lines of docs, and all that are not empty.
fn doc_lines(source: &Source) -> (usize, usize) {
    let lines = source.text.lines().filter(|line| !line.trim().is_empty());
    lines.fold((0, 0), |(docs, all), line| (docs + usize::from(doc_of(line).is_some()), all + 1))
}

/// Returns the number of runs of at least [`RUN`] equal lines that occur at two places. Lines without a word do not count.
fn duplicates(sources: &[Source]) -> usize {
    let mut places: HashMap<Vec<&str>, usize> = HashMap::new();
    let mut runs = 0;
    for source in sources {
        let is_code = |line: &&str| line.chars().filter(char::is_ascii_alphabetic).count() > 3;
        let is_import = |line: &&str| line.starts_with("use ") || line.starts_with("//");
        let lines = source.code().lines().map(str::trim).filter(|line| is_code(line) && !is_import(line));
        let lines: Vec<&str> = lines.collect();
        let mut was_known = false;
        for window in lines.windows(RUN) {
            let count = places.entry(window.to_vec()).or_default();
            *count += 1;
            // A longer run is one.
            runs += usize::from(*count > 1 && !was_known);
            was_known = *count > 1;
        }
    }
    runs
}

fn share(part: usize, whole: usize) -> String {
    format!("{:.1} %", part as f64 / whole.max(1) as f64 * 100.0)
}
