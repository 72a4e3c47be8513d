//! Engines on the user's own machine: their prices, their slots, and the context of their models.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon_tests::{Received, Reply, Server};
use serde_json::{Value, json};

use crate::map::report;
use crate::program::{Lab, Ran, json_file};

/// The context length with which the model of the scripted Ollama was trained.
const TRAINED: u64 = 32_768;

/// An answer of `/api/chat` whose prompt had so many tokens.
fn said(text: &str, prompt_tokens: u64) -> Reply {
    let line = json!({
        "model": "m", "message": { "role": "assistant", "content": text }, "done": true, "done_reason": "stop",
        "prompt_eval_count": prompt_tokens, "eval_count": 5,
    });
    Reply::new(200, "application/x-ndjson", &format!("{line}\n"))
}

/// A scripted Ollama, which answers a chat by `chat`.
fn ollama(chat: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Server {
    let info = json!({ "model_info": { "general.architecture": "x", "x.context_length": TRAINED } });
    ollama_of(info, chat)
}

/// A scripted Ollama that answers a request for a model's facts with `info`.
fn ollama_of(info: Value, chat: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Server {
    Server::answering(move |asked| match asked.line.as_str() {
        "GET /api/version" => Reply::json(200, &json!({ "version": "0.30.0" })),
        "GET /api/tags" => Reply::json(200, &json!({ "models": [{ "name": "m", "model": "m" }] })),
        "GET /api/ps" => Reply::json(200, &json!({ "models": [] })),
        "POST /api/show" => Reply::json(200, &info),
        "POST /api/chat" => chat(asked),
        _ => Reply::json(404, &json!({ "error": "not found" })),
    })
}

/// A lab with one row for each length in bytes of its text, and the entry of an Ollama.
fn lab(server: &Server, lengths: &[usize], more: &str) -> Lab {
    let lab = Lab::new();
    let word = "town of the north ";
    let row = |(n, length): (usize, &usize)| {
        json!({ "n": n, "text": word.repeat(length / word.len() + 1) }).to_string() + "\n"
    };
    lab.file("rows.jsonl", lengths.iter().enumerate().map(row).collect::<String>());
    lab.file("r.toml", "prompt = \"{{ n }}: {{ text }}\"\n[parameters]\nmax_tokens = 64\n");
    lab.file("antiphon.toml", format!("[providers.ollama]\nbase_url = \"{}\"\n{more}", server.url("")));
    lab
}

fn map(lab: &Lab, more: &str) -> Ran {
    lab.run(&format!("map rows.jsonl -r r.toml --provider ollama --model m --progress none --json {more}"))
}

/// The bodies of the chats that a server was asked for.
fn chats(server: &Server) -> Vec<Value> {
    let asked = server.requests().into_iter().filter(|asked| asked.line == "POST /api/chat");
    asked.map(|asked| asked.body).collect()
}

fn contexts(server: &Server) -> Vec<Option<u64>> {
    chats(server).iter().map(|body| body["options"]["num_ctx"].as_u64()).collect()
}

const PRICE: &str = "input = 1000.0\noutput = 1000.0\n";

#[test]
fn a_configured_price_counts_for_an_engine_on_this_machine() {
    for of in ["ollama.m", "ollama.\"m:latest\"", "ollama.\"*\""] {
        let server = ollama(|_| said("fine", 5));
        let lab = lab(&server, &[10; 20], &format!("[prices.{of}]\n{PRICE}"));
        let plan = report(&map(&lab, "--dry-run"));
        assert!(plan["cost_usd_micros"][1].as_u64() > Some(0), "{of}: {plan}");
        let ran = map(&lab, "--max-cost 0.25 --max-concurrency 1");
        ran.ends_with(6, &["is used up"]);
        let report = report(&ran);
        let cost = report["cost_usd_micros"].as_u64().unwrap();
        assert!((1..=250_000).contains(&cost), "{of}: {report}");
        assert_eq!(cost, chats(&server).len() as u64 * 10_000, "{of}");
    }
}

#[test]
fn a_price_is_that_of_the_entry_and_else_that_of_its_kind() {
    let cost = |prices: &str| {
        let server = ollama(|_| said("fine", 5));
        let lab = lab(&server, &[10], "");
        let mine =
            format!("[providers.mine]\nkind = \"ollama\"\nbase_url = \"{}\"\n{prices}", server.url(""));
        lab.file("antiphon.toml", mine);
        let ran = lab.run("map rows.jsonl -r r.toml --provider mine --model m --progress none --json --yes");
        report(&ran)["cost_usd_micros"].as_u64()
    };
    assert_eq!(cost(&format!("[prices.ollama.m]\n{PRICE}")), Some(10_000));
    let both = format!("[prices.ollama.m]\n{PRICE}[prices.mine.m]\ninput = 2000.0\noutput = 2000.0\n");
    assert_eq!(cost(&both), Some(20_000));
    assert_eq!(cost(""), Some(0));
}

#[test]
fn a_configured_price_holds_at_whatever_address() {
    let server = Server::start([Reply::chat("fine", "stop")]);
    let lab = Lab::new().with("OPENAI_API_KEY", "k").with("OPENAI_BASE_URL", &server.url("/v1"));
    lab.file("rows.jsonl", "{\"n\": 1}\n");
    lab.file("r.toml", "prompt = \"{{ n }}\"\n[parameters]\nmax_tokens = 64\n");
    let run = |model: &str| {
        let ran = lab.run(&format!(
            "map rows.jsonl -r r.toml --provider openai --model {model} --progress none --json --fresh --yes"
        ));
        report(&ran)["cost_usd_micros"].as_u64()
    };
    assert_eq!(run("gpt-4o-mini"), None, "the shipped price is that of the vendor's own address");
    lab.file("antiphon.toml", "[prices.openai.gpt-4o-mini]\ninput = 1.0\noutput = 1.0\n");
    assert_eq!(run("gpt-4o-mini-2024-07-18"), Some(1_200));
}

/// An engine that batches: a call takes the shorter the more calls are in its slots, so that each of them pays, whatever the machine
/// of the test does beside it; and calls beyond the slots wait, as with OLLAMA_NUM_PARALLEL.
struct Batching {
    slots: usize,
    places: antiphon_tests::Slots,
    busy: AtomicUsize,
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Batching {
    fn new(slots: usize) -> Self {
        let [busy, inside, most] = [0; 3].map(AtomicUsize::new);
        Self { slots, places: antiphon_tests::Slots::new(slots), busy, inside, most }
    }

    fn call(&self) {
        self.most.fetch_max(self.inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.places.within(|| {
            let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
            std::thread::sleep(Duration::from_millis((25 * self.slots * self.slots / (busy * busy)) as u64));
            self.busy.fetch_sub(1, Ordering::SeqCst);
        });
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn an_engine_is_not_flooded_whose_slots_are_not_known() {
    for slots in [1_usize, 4] {
        let engine = Arc::new(Batching::new(slots));
        let of_server = engine.clone();
        let server = ollama(move |_| {
            of_server.call();
            said("fine", 5)
        });
        let lab = lab(&server, &[10; 96], "");
        map(&lab, "").ends_with(0, &[]);
        let most = engine.most.load(Ordering::SeqCst);
        assert!(most <= 2 * slots + 6, "{most} calls at a time for {slots} slots");
        assert!(most >= slots, "{most} calls at a time leave slots idle");
    }
}

#[test]
fn the_context_follows_the_prompt_in_steps_and_does_not_shrink() {
    let server = ollama(|asked| said("fine", asked.bytes.len() as u64 / 4));
    let lab = lab(&server, &[100, 20_000, 21_000, 40_000, 100], "");
    map(&lab, "--max-concurrency 1").ends_with(0, &[]);
    assert_eq!(contexts(&server), [None, Some(8_192), Some(8_192), Some(16_384), Some(16_384)]);
    let shown = server.requests().iter().filter(|asked| asked.line == "POST /api/show").count();
    assert!(shown <= 2, "{shown}");
}

#[test]
fn a_prompt_that_does_not_fit_the_model_is_not_sent() {
    let server = ollama(|asked| said("fine", asked.bytes.len() as u64 / 4));
    let lab = lab(&server, &[100, 400_000], "");
    let ran = map(&lab, "");
    ran.ends_with(4, &["32768", "tokens"]);
    assert_eq!(chats(&server).len(), 1);
    // A context that was set is the limit, too, and the message names the setting.
    let lab = self::lab(&server, &[60_000], "context = 4096\n");
    map(&lab, "").ends_with(5, &["4096", "context"]);
    assert_eq!(chats(&server).len(), 1);
}

#[test]
fn a_context_that_is_set_is_no_larger_than_that_of_the_training() {
    let server = ollama(|_| said("fine", 300));
    let lab = lab(&server, &[100, 200, 300], "context = 100000\n");
    let ran = map(&lab, "--max-concurrency 1");
    ran.ends_with(0, &["context is 100000 in [providers.ollama], and m was trained with 32768 tokens"]);
    assert_eq!(ran.stderr.matches("was trained with").count(), 1, "{}", ran.stderr);
    assert_eq!(contexts(&server), [Some(TRAINED); 3]);
    let shown = server.requests().iter().filter(|asked| asked.line == "POST /api/show").count();
    assert!(shown <= 2, "{shown}");
    // A server that does not know it is asked once.
    let silent = ollama_of(json!({}), |_| said("fine", 300));
    let lab = self::lab(&silent, &[100, 200, 300], "context = 100000\n");
    map(&lab, "--max-concurrency 1").ends_with(0, &[]);
    assert_eq!(contexts(&silent), [Some(100_000); 3]);
    let shown = silent.requests().iter().filter(|asked| asked.line == "POST /api/show").count();
    assert_eq!(shown, 1);
    // The check against the context is that of the model.
    let lab = self::lab(&server, &[400_000], "context = 1000000\n");
    map(&lab, "").ends_with(5, &["32768", "larger context"]);
    assert_eq!(chats(&server).len(), 3);
}

#[test]
fn mistakes_with_the_context_are_found_when_the_file_is_read() {
    let server = ollama(|_| said("fine", 300));
    for (entry, expected) in [
        ("context = 0\n", "antiphon.toml:3: context is 0: it must be at least 1 token"),
        (
            "extra_body = { options = { num_ctx = 512 } }\n",
            "antiphon.toml:3: extra_body cannot set options.num_ctx: this program sets it itself. Leave it out, or use context",
        ),
        (
            "[providers.ollama.extra_body.options]\nnum_predict = 9\n",
            "antiphon.toml:3: extra_body cannot set",
        ),
    ] {
        let lab = lab(&server, &[100], entry);
        for more in ["", "--dry-run"] {
            map(&lab, more).ends_with(3, &[expected]);
        }
        assert_eq!(server.requests().len(), 0);
    }
}

#[test]
fn a_prompt_that_the_server_cut_is_reported() {
    let server = ollama(|_| said("fine", 300));
    let lab = lab(&server, &[30_000], "");
    let ran = map(&lab, "");
    ran.ends_with(0, &["counted 300 tokens", "num_ctx"]);
    let report = report(&ran);
    assert_eq!(report["accepted"], 1, "the answer was paid for, and is kept");
    assert!(report["warnings"][0]["message"].as_str().unwrap().contains("300 tokens"), "{report}");
}

#[test]
fn strict_runs_do_not_take_an_answer_to_a_part_of_the_prompt() {
    let server = ollama(|_| said("fine", 300));
    let lab = lab(&server, &[30_000], "");
    let recipe = "prompt = \"{{ text }}\"\nstrict = true\n[parameters]\nmax_tokens = 64\n";
    lab.file("r.toml", recipe);
    let ran = map(&lab, "");
    ran.ends_with(5, &["the answer is to a part of the prompt", "num_ctx"]);
    assert_eq!(chats(&server).len(), 1, "no retry would help");
    // Of personas, evidence decides: a part of the interviews has less of it.
    let server = ollama(|_| said(&crate::program::answer(), 20));
    let lab = self::lab(&server, &[], "");
    lab.file("in/p3.txt", "P3: I sleep badly in this street, and I want it quiet.\n".repeat(100));
    let generate = |more: &str| {
        lab.run(&format!("generate in --count 1 --provider ollama --model m --progress none {more}"))
    };
    generate("--evidence mark").ends_with(0, &["counted 20 tokens"]);
    let report = json_file(&lab.only_run().join("run.json"));
    assert_eq!(report["warnings"][0]["kind"], "prompt_cut", "{report}");
    generate("--evidence strict --fresh").ends_with(5, &["the answer is to a part of the prompt"]);
}

#[test]
fn tokens_that_a_server_had_in_its_cache_are_no_cut() {
    // An engine that counts only new tokens: the second prompt begins as the first one did.
    let calls = AtomicUsize::new(0);
    let server = ollama(move |asked| {
        let is_first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        said("fine", if is_first { asked.bytes.len() as u64 / 4 } else { 12 })
    });
    let lab = lab(&server, &[], "");
    let text = "town of the north ".repeat(2_000);
    lab.file("rows.jsonl", "{\"n\": 1}\n{\"n\": 2}\n");
    lab.file("r.toml", format!("prompt = \"{text} {{{{ n }}}}\"\n[parameters]\nmax_tokens = 64\n"));
    let ran = map(&lab, "--max-concurrency 1");
    ran.ends_with(0, &[]);
    assert!(!ran.stderr.contains("counted"), "{}", ran.stderr);
    assert_eq!(report(&ran)["warnings"], json!([]));
}

/// A scripted llama.cpp server with two slots of 2,048 tokens each.
fn llamacpp() -> Server {
    Server::answering(|asked| match asked.line.as_str() {
        "GET /props" => Reply::json(
            200,
            &json!({ "total_slots": 2, "default_generation_settings": { "n_ctx": 2_048 }, "model_alias": "m" }),
        ),
        "GET /v1/models" => Reply::json(200, &json!({ "data": [{ "id": "m" }] })),
        _ => Reply::chat("fine", "stop"),
    })
}

#[test]
fn slots_bound_the_calls_and_more_concurrency_is_said_once_to_queue() {
    let server = llamacpp();
    let lab = Lab::new();
    lab.file("rows.jsonl", (0..20).map(|n| format!("{{\"n\": {n}}}\n")).collect::<String>());
    lab.file("r.toml", "prompt = \"{{ n }}\"\n[parameters]\nmax_tokens = 64\n");
    lab.file("antiphon.toml", format!("[providers.llamacpp]\nbase_url = \"{}\"\n", server.url("/v1")));
    let ran = lab.run("map rows.jsonl -r r.toml --provider llamacpp --model m --max-concurrency 16");
    ran.ends_with(0, &["2 slots"]);
    assert_eq!(ran.stderr.matches("2 slots").count(), 1, "{}", ran.stderr);
    assert!(server.max_in_flight() <= 2, "{}", server.max_in_flight());
}

#[test]
fn a_prompt_that_does_not_fit_a_slot_is_not_sent() {
    let server = llamacpp();
    let lab = Lab::new();
    lab.file("rows.jsonl", json!({ "text": "town of the north ".repeat(3_000) }).to_string());
    lab.file("r.toml", "prompt = \"{{ text }}\"\n[parameters]\nmax_tokens = 64\n");
    lab.file("antiphon.toml", format!("[providers.llamacpp]\nbase_url = \"{}\"\n", server.url("/v1")));
    let ran = lab.run("map rows.jsonl -r r.toml --provider llamacpp --model m");
    ran.ends_with(5, &["2048", "--ctx-size"]);
    assert!(server.requests().iter().all(|asked| !asked.line.contains("chat")));
}

/// A scripted vLLM with a context of 2,048 tokens, and these metrics.
fn vllm(metrics: &'static str) -> Server {
    Server::answering(move |asked| match asked.line.as_str() {
        "GET /v1/models" => Reply::json(200, &json!({ "data": [{ "id": "m", "max_model_len": 2_048 }] })),
        "GET /metrics" => Reply::new(200, "text/plain; version=0.0.4", metrics),
        _ => Reply::chat("fine", "stop"),
    })
}

#[test]
fn concurrency_beyond_what_vllm_runs_at_once_is_said_once_to_queue() {
    let busy = "vllm:num_requests_running{engine=\"0\"} 3.0\nvllm:num_requests_waiting{engine=\"0\"} 2.0\n";
    let idle = "vllm:num_requests_running 0.0\nvllm:num_requests_waiting 0.0\n\
                vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"512\"} 1.0\n";
    for (metrics, most, said) in [
        (busy, 16, Some("vllm runs 3 calls at the moment, and others wait: of 16 concurrent calls")),
        (busy, 3, None),
        (
            idle,
            16,
            Some(
                "the cache of vllm has room for 4 calls of the full context at once: of 16 concurrent calls",
            ),
        ),
        (idle, 4, None),
        ("", 16, None),
    ] {
        let server = vllm(metrics);
        let lab = Lab::new();
        lab.file("rows.jsonl", (0..4).map(|n| format!("{{\"n\": {n}}}\n")).collect::<String>());
        lab.file("r.toml", "prompt = \"{{ n }}\"\n[parameters]\nmax_tokens = 64\n");
        lab.file("antiphon.toml", format!("[providers.vllm]\nbase_url = \"{}\"\n", server.url("/v1")));
        let ran =
            lab.run(&format!("map rows.jsonl -r r.toml --provider vllm --model m --max-concurrency {most}"));
        ran.ends_with(0, said.as_slice());
        let times = ran.stderr.matches("only wait in its queue").count();
        assert_eq!(times, usize::from(said.is_some()), "{most}: {}", ran.stderr);
    }
}

#[test]
fn a_prompt_that_does_not_fit_the_context_of_vllm_is_not_sent() {
    let server = vllm("");
    let lab = Lab::new();
    lab.file("rows.jsonl", json!({ "text": "town of the north ".repeat(3_000) }).to_string());
    lab.file("r.toml", "prompt = \"{{ text }}\"\n[parameters]\nmax_tokens = 64\n");
    lab.file("antiphon.toml", format!("[providers.vllm]\nbase_url = \"{}\"\n", server.url("/v1")));
    lab.run("map rows.jsonl -r r.toml --provider vllm --model m").ends_with(5, &["2048", "--max-model-len"]);
    assert!(server.requests().iter().all(|asked| !asked.line.contains("chat")));
}
