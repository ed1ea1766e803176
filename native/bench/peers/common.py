"""What the peers share: the job they are given, the model they train, and how they report their steps.

A peer is called with one argument, a JSON object (kit/job.ts). It reports by lines on standard output that begin with "@bench "
and hold a JSON object: {"step": n, "time": seconds since 1970, "loss": x} at the end of every step.
"""

import json
import os
import sys
import time

job = json.loads(sys.argv[1])
if job["threads"] > 0:
    os.environ["OMP_NUM_THREADS"] = str(job["threads"])
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_TELEMETRY="1")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402

if job["threads"] > 0:
    torch.set_num_threads(job["threads"])
torch.manual_seed(job["seed"])


def report(**fact):
    print("@bench " + json.dumps(fact), flush=True)


def records():
    with open(job["data"], encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def tokenizer():
    return AutoTokenizer.from_pretrained(job["model"])


def model():
    """The weights in float32; frozen ones (LoRA) in the precision of the computation, as people load them."""
    frozen_bf16 = job["precision"] == "bf16" and job["method"] == "lora"
    dtype = torch.bfloat16 if frozen_bf16 else torch.float32
    return AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype, attn_implementation="sdpa")


def lora():
    from peft import LoraConfig

    if job["method"] != "lora":
        return None
    return LoraConfig(
        r=job["lora_r"], lora_alpha=job["lora_alpha"], lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def arguments():
    """What both Trainer and SFTTrainer are told."""
    return dict(
        output_dir=job["output_dir"],
        use_cpu=True,
        bf16=job["precision"] == "bf16",
        per_device_train_batch_size=job["batch_size"],
        gradient_accumulation_steps=job["accumulation"],
        max_steps=job["steps"],
        learning_rate=job["learning_rate"],
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        activation_checkpointing=job["gradient_checkpointing"],
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=job["seed"],
    )


class Steps(TrainerCallback):
    """Times and losses of the steps. The loss is told after the step's end, by the log."""

    ended = 0.0

    def on_step_end(self, args, state, control, **kwargs):
        self.ended = time.time()

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and "loss" in logs:
            report(step=state.global_step, time=self.ended, loss=float(logs["loss"]))
