"""The job of `antiphon-bench suite job`, as far as all Python peers have it in common."""

import asyncio
import json
import os
import sys

MODEL = "gpt-4o-mini"


class Job:
    """What the suite asks for: `BASE-URL ROWS OUT CONCURRENCY REQUESTS-PER-MINUTE` (0 where no limit is known)."""

    def __init__(self, arguments):
        self.base_url, rows, self.out, concurrency, rate = arguments[:5]
        self.concurrency, self.requests_per_minute = int(concurrency), int(rate)
        self.key = os.environ["OPENAI_API_KEY"]
        with open(rows, encoding="utf-8") as lines:
            self.rows = [json.loads(line)["n"] for line in lines]

    def prompt(self, row):
        return f"Write some 500 words about bakery number {row}."

    def messages(self, row):
        return [{"role": "user", "content": self.prompt(row)}]

    async def run(self, answer):
        """Asks about all rows, so many at once; a row whose call raises is left out, as a script would have it."""
        places = asyncio.Semaphore(self.concurrency)
        with open(self.out, "w", encoding="utf-8") as out:

            async def one(row):
                async with places:
                    text = await answer(row)
                out.write(json.dumps({"n": row, "text": text}) + "\n")

            outcomes = await asyncio.gather(*map(one, self.rows), return_exceptions=True)
        causes = {}
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                causes[type(outcome).__name__] = causes.get(type(outcome).__name__, 0) + 1
        print(causes, file=sys.stderr)
