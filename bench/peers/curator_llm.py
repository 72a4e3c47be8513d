"""curator: an `LLM` over a data set, with the limits that its guide has one set by hand."""

import importlib.util
import json
import os
import sys
from pathlib import Path

# The counter of tokens would fetch its table: litellm, which comes with curator, has a copy.
LITELLM = Path(importlib.util.find_spec("litellm").origin).parent
os.environ["TIKTOKEN_CACHE_DIR"] = str(LITELLM / "litellm_core_utils" / "tokenizers")

from bespokelabs import curator  # noqa: E402
from job import MODEL, Job  # noqa: E402

# Above what any run here reaches: without a limit curator assumes 200 requests and 100,000 tokens a minute.
UNLIMITED_REQUESTS = 1_000_000
UNLIMITED_TOKENS = 10_000_000_000


class Answers(curator.LLM):
    """One answer for each row."""

    def prompt(self, row):
        return row["prompt"]

    def parse(self, row, response):
        return [{"n": row["n"], "text": response}]


job = Job(sys.argv[1:])
parameters = {
    "base_url": job.base_url,
    "api_key": job.key,
    "max_requests_per_minute": job.requests_per_minute or UNLIMITED_REQUESTS,
    "max_tokens_per_minute": UNLIMITED_TOKENS,
    # What is lost is counted by the suite.
    "require_all_responses": False,
}
if job.concurrency:
    parameters["max_concurrent_requests"] = job.concurrency
llm = Answers(model_name=MODEL, backend="openai", backend_params=parameters)
made = llm([{"n": row, "prompt": job.prompt(row)} for row in job.rows])
made = getattr(made, "dataset", made)
with open(job.out, "w", encoding="utf-8") as out:
    for row in made:
        out.write(json.dumps({"n": row["n"], "text": row["text"]}) + "\n")
