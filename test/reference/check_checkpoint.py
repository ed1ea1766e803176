#!/usr/bin/env python3
"""Shows that a checkpoint loads in transformers (full models) or PEFT (adapters), and answers as the engine does.

    python test/reference/check_checkpoint.py CHECKPOINT ["a prompt" ...]

Needs `torch`, `transformers` and `peft` (any virtual environment), and the built program (`dist/cli.js`, or the file that
SFT_LAB_PROGRAM names). Lets `sft-lab generate --json` answer the prompts greedily, then has the Python libraries compute the log
probability of every token of these answers: they must agree within 1e-3, and each token must be the most likely one.
"""

import json
import os
import pathlib
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE = 1e-3


def load(folder: pathlib.Path):
    """The model as its users load it: dtype and class come from the folder alone."""
    adapter = folder / "adapter_config.json"
    if not adapter.exists():
        return AutoModelForCausalLM.from_pretrained(folder)
    from peft import PeftModel

    base = json.loads(adapter.read_text())["base_model_name_or_path"]
    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder)


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    prompts = sys.argv[2:] or ["Hello, who are you?", "What is 2 + 2?"]
    root = pathlib.Path(__file__).resolve().parents[2]
    program = os.environ.get("SFT_LAB_PROGRAM", str(root / "dist" / "cli.js"))
    arguments = [part for prompt in prompts for part in ("--prompt", prompt)]
    answered = subprocess.run(
        ["node", program, "generate", str(folder), *arguments, "--max-new-tokens", "24", "--device", "cpu", "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    records = [json.loads(line) for line in answered.stdout.splitlines()]

    model = load(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    dtypes = {str(parameter.dtype) for parameter in model.parameters()}
    print(f"{type(model).__name__}: {sum(p.numel() for p in model.parameters()):,} parameters, {', '.join(sorted(dtypes))}")
    worst, other = 0.0, 0
    for prompt, record in zip(prompts, records, strict=True):
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
        )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        answer = torch.tensor([record["tokens"]])
        with torch.no_grad():
            logits = model(torch.cat([ids, answer], dim=1)).logits[0, ids.shape[1] - 1 : -1]
        log_probabilities = torch.log_softmax(logits.float(), dim=-1)
        found = log_probabilities.gather(1, answer[0, :, None])[:, 0]
        worst = max(worst, (found - torch.tensor(record["logProbabilities"])).abs().max().item())
        other += int((log_probabilities.max(dim=-1).values - found > TOLERANCE).sum())
        print(f"  {prompt!r} -> {record['answer']!r}")
    good = worst <= TOLERANCE and other == 0
    print(f"log probabilities differ by {worst:.2e} at most; {other} tokens are not the most likely: {'agrees' if good else 'DIFFERS'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
