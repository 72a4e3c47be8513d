//! The load of vLLM, from its metrics in Prometheus' text format
//! (<https://docs.vllm.ai/en/latest/usage/metrics/>).
//!
//! ```text
//! vllm:num_requests_running{engine="0",model_name="m"} 12.0
//! vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
//! ```
//!
//! The limit itself (`--max-num-seqs`) is not among them. While calls wait, the number of those that run is what the engine can
//! process with their lengths.

/// Returns the number of running calls if others wait, summed over the engines; `None` if none waits, or for other metrics.
pub(super) fn running_while_others_wait(metrics: &str) -> Option<u32> {
    let waiting = sum_of(metrics, "vllm:num_requests_waiting")?;
    let running = sum_of(metrics, "vllm:num_requests_running")?;
    (waiting > 0).then_some(running.max(1))
}

/// Returns the sum of the samples of a gauge; `None` if there are none.
fn sum_of(metrics: &str, name: &str) -> Option<u32> {
    let sample = |line: &str| {
        let rest = line.strip_prefix(name)?;
        // Another metric may begin with the same name.
        let value = if rest.starts_with('{') { rest.rsplit_once('}')?.1 } else { rest.strip_prefix(' ')? };
        let whole = value.split_whitespace().next()?.split('.').next()?;
        whole.parse::<u32>().ok()
    };
    metrics.lines().filter_map(sample).reduce(u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::running_while_others_wait;

    #[test]
    fn running_calls_are_the_limit_only_while_others_wait() {
        let of = |running: &str, waiting: &str| {
            let metrics = format!(
                "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{{engine=\"0\"}} {running}\n\
                 vllm:num_requests_running{{engine=\"1\"}} 2.0\nvllm:num_requests_waiting_total 9.0\n\
                 vllm:num_requests_waiting{{engine=\"0\"}} {waiting}\n"
            );
            running_while_others_wait(&metrics)
        };
        assert_eq!([of("12.0", "3.0"), of("12.0", "0.0"), of("NaN", "1.0")], [Some(14), None, Some(2)]);
        assert_eq!(running_while_others_wait("<html>"), None);
    }
}
