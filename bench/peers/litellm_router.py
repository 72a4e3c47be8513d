"""litellm: its `Router` with `num_retries` and a semaphore, as in the load test of its cookbook."""

import asyncio
import sys

from job import MODEL, Job
from litellm import Router


async def main():
    job = Job(sys.argv[1:])
    parameters = {"model": f"openai/{MODEL}", "api_key": job.key, "api_base": job.base_url}
    router = Router(model_list=[{"model_name": MODEL, "litellm_params": parameters}], num_retries=3)

    async def answer(row):
        completion = await router.acompletion(model=MODEL, messages=job.messages(row))
        return completion.choices[0].message.content

    await job.run(answer)


asyncio.run(main())
