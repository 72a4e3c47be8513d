//! The charts of a run's report: the bar of time by phase, the timeline and the histogram of call times.

use serde::Serialize;

use crate::site::grouped;

/// Number of bars of the histogram.
const BARS: usize = 24;
/// Number of slices of the timeline.
const SLICES: usize = 48;
/// Height of the charts in pixels.
const HEIGHT: u64 = 120;

/// A part of the bar of time by phase.
#[derive(Serialize)]
pub(super) struct Band<'a> {
    name: &'a str,
    /// Start and width, in thousandths of the bar.
    start: u64,
    width: u64,
    /// The time as text.
    duration: String,
    /// The share of the whole, in percent, rounded down.
    share: u64,
}

/// Returns the parts of the bar for the phases with time. Starts and ends are rounded alike, so that no gap is between
/// two parts.
pub(super) fn bands(phases: &[(String, u64)]) -> Vec<Band<'_>> {
    let all: u64 = phases.iter().map(|(_, millis)| millis).sum();
    let mut start = 0;
    let mut bands = Vec::new();
    for (name, millis) in phases.iter().filter(|(_, millis)| *millis > 0) {
        let end = start + millis;
        let place = |millis: u64| millis * 1_000 / all.max(1);
        let (from, to) = (place(start), place(end));
        let share = millis * 100 / all.max(1);
        bands.push(Band { name, start: from, width: to - from, duration: seconds(*millis), share });
        start = end;
    }
    bands
}

/// Returns a duration as text, in a unit by its size: `7 ms`, `1.2 s`, `1 min 1 s`. Fractions are rounded down.
pub(super) fn seconds(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min {} s", millis / 60_000, millis / 1_000 % 60),
    }
}

/// The distribution of call times.
#[derive(Serialize)]
pub(super) struct Histogram {
    bars: Vec<Bar>,
    /// The upper bound of the last bar, which longer times are counted in, too.
    most: String,
    /// The quantiles 50 %, 90 % and 99 %.
    half: String,
    ninety: String,
    last: String,
}

/// A bar of the histogram.
#[derive(Serialize)]
struct Bar {
    /// Position and height, in pixels.
    x: usize,
    height: u64,
    rows: u64,
}

impl Histogram {
    /// Returns the histogram of call times in milliseconds, in any order; `None` if there are none.
    ///
    /// The bars extend to the quantile 99 %, so that a few very long calls do not press all others into the first bar;
    /// longer times count in the last one.
    pub(super) fn of(mut times: Vec<u64>) -> Option<Self> {
        times.sort_unstable();
        let last = quantile(&times, 99)?;
        let width = last.div_ceil(BARS as u64).max(1);
        Some(Self {
            bars: bars(&times, width),
            most: seconds(width * BARS as u64),
            half: seconds(quantile(&times, 50)?),
            ninety: seconds(quantile(&times, 90)?),
            last: seconds(last),
        })
    }
}

/// Returns the quantile of sorted times by the nearest-rank method; `None` without times. `share` is in percent.
fn quantile(times: &[u64], share: usize) -> Option<u64> {
    times.get((times.len() * share).div_ceil(100).saturating_sub(1)).copied()
}

/// Returns the bars of times, each `width` milliseconds wide; the highest is 120 pixels high.
fn bars(times: &[u64], width: u64) -> Vec<Bar> {
    let mut counts = [0_u64; BARS];
    for time in times {
        let bar = usize::try_from(time / width).unwrap_or(BARS).min(BARS - 1);
        counts[bar] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let bar = |(index, rows): (usize, &u64)| Bar {
        x: index * 24,
        height: (rows * HEIGHT).div_ceil(most),
        rows: *rows,
    };
    counts.iter().enumerate().map(bar).collect()
}

/// The number of rows that ended in each slice of the time.
#[derive(Serialize)]
pub(super) struct Timeline {
    slices: Vec<Slice>,
    /// The time from the first end to the last, and the length of a slice.
    span: String,
    slice: String,
    /// The rows of the highest slice, as text.
    most: String,
}

/// A slice of the timeline: failed rows are drawn above done rows.
#[derive(Serialize)]
struct Slice {
    /// Position in pixels.
    x: usize,
    done: u64,
    failed: u64,
    /// Heights, in pixels.
    done_height: u64,
    failed_height: u64,
}

impl Timeline {
    /// Returns the timeline; `None` if there are no ends, or all are at the same time.
    pub(super) fn of(ends: &[(i64, bool)]) -> Option<Self> {
        let times = ends.iter().map(|(at, _)| *at);
        let (first, last) = (times.clone().min()?, times.max()?);
        let span = u64::try_from(last.checked_sub(first)?).ok().filter(|span| *span > 0)?;
        let width = span / SLICES as u64 + 1;
        let counts = slice_counts(ends, first, width);
        let most = counts.iter().map(|(done, failed)| done + failed).max().unwrap_or(1).max(1);
        let slice = |(index, (done, failed)): (usize, &(u64, u64))| Slice {
            x: index * 12,
            done: *done,
            failed: *failed,
            done_height: (done * HEIGHT).div_ceil(most),
            failed_height: (failed * HEIGHT).div_ceil(most),
        };
        let slices = counts.iter().enumerate().map(slice).collect();
        Some(Self { slices, span: seconds(span), slice: seconds(width), most: grouped(most) })
    }
}

/// Counts the done and the failed rows that ended in each slice, of `width` milliseconds from the `first` end on.
fn slice_counts(ends: &[(i64, bool)], first: i64, width: u64) -> [(u64, u64); SLICES] {
    let mut counts = [(0, 0); SLICES];
    for (at, is_well) in ends {
        let slice = usize::try_from(at.abs_diff(first) / width).unwrap_or(SLICES).min(SLICES - 1);
        if *is_well { counts[slice].0 += 1 } else { counts[slice].1 += 1 }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{Histogram, Timeline, bands, seconds};

    #[test]
    fn durations_are_formatted_by_size() {
        assert_eq!([seconds(7), seconds(1_250), seconds(61_000)], ["7 ms", "1.2 s", "1 min 1 s"]);
    }

    #[test]
    fn bands_fill_the_bar_without_a_gap() {
        let phases = [("a".to_owned(), 1), ("b".to_owned(), 0), ("c".to_owned(), 2)];
        let places: Vec<_> = bands(&phases).iter().map(|band| (band.start, band.width)).collect();
        assert_eq!(places, [(0, 333), (333, 667)]);
        assert!(bands(&[]).is_empty());
    }

    #[test]
    fn every_end_is_in_a_slice() {
        let ends: Vec<(i64, bool)> = (0..1_000).map(|n| (1_700_000_000_000 + n * 7, n % 10 > 0)).collect();
        let timeline = Timeline::of(&ends).unwrap();
        let count = |of: fn(&super::Slice) -> u64| timeline.slices.iter().map(of).sum::<u64>();
        assert_eq!((count(|slice| slice.done), count(|slice| slice.failed)), (900, 100));
        assert_eq!((timeline.slices.len(), timeline.span.as_str()), (48, "6.9 s"));
        assert!(Timeline::of(&[]).is_none() && Timeline::of(&[(5, true)]).is_none());
        assert!(
            Timeline::of(&[(i64::MIN, true), (i64::MAX, false)]).is_none(),
            "a span that overflows has no timeline"
        );
    }

    #[test]
    fn every_call_is_in_a_bar() {
        let histogram = Histogram::of((1..=100).map(|n| n * 10).collect()).unwrap();
        assert_eq!(histogram.bars.iter().map(|bar| bar.rows).sum::<u64>(), 100);
        assert!(histogram.bars.iter().any(|bar| bar.height == 120));
        assert_eq!((histogram.half.as_str(), histogram.ninety.as_str()), ("500 ms", "900 ms"));
        assert!(Histogram::of(Vec::new()).is_none());
    }
}
