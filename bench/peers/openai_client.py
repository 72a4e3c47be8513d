"""openai's own client: `AsyncOpenAI` with a semaphore and its default retries, over HTTPX2 or `DefaultAioHttpClient`."""

import asyncio
import sys

from job import MODEL, Job
from openai import AsyncOpenAI, DefaultAioHttpClient


async def main():
    job = Job(sys.argv[2:])
    transport = {"aiohttp": DefaultAioHttpClient, "httpx": lambda: None}[sys.argv[1]]()
    async with AsyncOpenAI(api_key=job.key, base_url=job.base_url, http_client=transport) as client:

        async def answer(row):
            completion = await client.chat.completions.create(model=MODEL, messages=job.messages(row))
            return completion.choices[0].message.content

        await job.run(answer)


asyncio.run(main())
