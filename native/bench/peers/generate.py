"""`generate` of transformers on a batch of prompts, greedy, fp32: the peer of trials/generate.ts.

Called with one argument, a JSON object: {"model": folder, "prompts": file with a JSON list of lists of token ids, "new": most new tokens,
"stops": token ids, "threads": 0 for all}. Prints {"seconds": x, "cpu": y, "answers": [[ids], ...]}; x is that of one call after a short
one, y what it took of all cores together.
"""

import json
import os
import sys
import time

job = json.loads(sys.argv[1])
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_TELEMETRY="1")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

if job["threads"] > 0:
    torch.set_num_threads(job["threads"])
network = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32, attn_implementation="sdpa").eval()
with open(job["prompts"], encoding="utf-8") as file:
    prompts = json.load(file)
longest = max(map(len, prompts))
ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])


def generate(tokens):
    with torch.no_grad():
        return network.generate(
            ids, attention_mask=mask, max_new_tokens=tokens, do_sample=False, pad_token_id=0, eos_token_id=job["stops"] or None
        )


generate(2)
start, before = time.perf_counter(), time.process_time()
out = generate(job["new"])
seconds, cpu = time.perf_counter() - start, time.process_time() - before
answers = []
for tokens in out[:, longest:].tolist():
    end = next((i + 1 for i, token in enumerate(tokens) if token in set(job["stops"])), len(tokens))
    answers.append(tokens[:end])
print(json.dumps({"seconds": seconds, "cpu": cpu, "answers": answers}), flush=True)
