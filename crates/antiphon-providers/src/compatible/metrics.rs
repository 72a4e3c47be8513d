//! The load of vLLM, and the size of its cache, from its metrics in Prometheus' text format
//! (<https://docs.vllm.ai/en/latest/usage/metrics/>).
//!
//! ```text
//! vllm:num_requests_running{engine="0",model_name="m"} 12.0
//! vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
//! vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="27896"} 1.0
//! ```
//!
//! The limit itself (`--max-num-seqs`) is not among them, and no other endpoint has it outside of the server's development mode. While
//! calls wait, the number of those that run is what the engine can process with their lengths. The cache bounds it from below: it
//! has room for this many calls of the full context, as the server itself computes it when it starts.

/// The load and the cache of a server, as far as its metrics have them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EngineLoad {
    /// The number of running calls if others wait, summed over the engines; `None` if none waits, or for other metrics.
    pub(super) running_while_others_wait: Option<u32>,
    /// The tokens for which the cache has room, summed over the engines.
    pub(super) cache_tokens: Option<u64>,
}

impl EngineLoad {
    /// Reads metrics.
    pub(super) fn of(metrics: &str) -> Self {
        let sum = |name| gauges(metrics, name).map(|(_, value)| value).reduce(u32::saturating_add);
        let waiting = sum("vllm:num_requests_waiting").unwrap_or(0);
        let running = sum("vllm:num_requests_running").filter(|_| waiting > 0);
        let caches = gauges(metrics, "vllm:cache_config_info").filter_map(|(labels, _)| {
            label(labels, "block_size")?.checked_mul(label(labels, "num_gpu_blocks")?)
        });
        Self {
            running_while_others_wait: running.map(|running| running.max(1)),
            cache_tokens: caches.reduce(u64::saturating_add).filter(|tokens| *tokens > 0),
        }
    }
}

/// Returns the samples of a gauge: the labels of each, and its value as a whole number.
fn gauges<'m>(metrics: &'m str, name: &str) -> impl Iterator<Item = (&'m str, u32)> {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        // Another metric may begin with the same name.
        let (labels, value) =
            if rest.starts_with('{') { rest.rsplit_once('}')? } else { ("", rest.strip_prefix(' ')?) };
        let whole = value.split_whitespace().next()?.split('.').next()?;
        Some((labels, whole.parse().ok()?))
    })
}

/// Returns a number in a label.
fn label(labels: &str, name: &str) -> Option<u64> {
    let (_, value) = labels.split_once(&format!("{name}=\""))?;
    value.split('"').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::EngineLoad;

    #[test]
    fn running_calls_are_the_limit_only_while_others_wait() {
        let of = |running: &str, waiting: &str| {
            let metrics = format!(
                "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{{engine=\"0\"}} {running}\n\
                 vllm:num_requests_running{{engine=\"1\"}} 2.0\nvllm:num_requests_waiting_total 9.0\n\
                 vllm:num_requests_waiting{{engine=\"0\"}} {waiting}\n"
            );
            EngineLoad::of(&metrics).running_while_others_wait
        };
        assert_eq!([of("12.0", "3.0"), of("12.0", "0.0"), of("NaN", "1.0")], [Some(14), None, Some(2)]);
        assert_eq!(EngineLoad::of("<html>"), EngineLoad::default());
    }

    #[test]
    fn the_cache_is_that_of_all_engines() {
        let of = |metrics: &str| EngineLoad::of(metrics).cache_tokens;
        let one =
            "vllm:cache_config_info{block_size=\"16\",cache_dtype=\"auto\",num_gpu_blocks=\"100\"} 1.0\n";
        assert_eq!(of(one), Some(1_600));
        assert_eq!(of(&format!("{one}{}", one.replace("16", "32"))), Some(4_800));
        assert_eq!(of("vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"None\"} 1.0"), None);
    }
}
