//! The form of [`Turn::time`](crate::Turn::time), which all readers share.

/// Returns seconds from the beginning of a recording as minutes and seconds, from an hour on with hours: `0:07`, `12:41`
/// or `1:02:41`.
pub(crate) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn a_clock_has_hours_only_if_there_are_any() {
        assert_eq!([clock(3), clock(761), clock(3_761)], ["0:03", "12:41", "1:02:41"]);
    }
}
