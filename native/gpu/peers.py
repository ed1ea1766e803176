"""Peers of the GPU bench: Hugging Face Trainer (with PEFT), on the records, weights and steps that we are given.

    python3 peers.py JOBS

JOBS has a line for each job, done one after the other in this process, so that PyTorch is started once:

    {"stage": "train", "model": "0.5b", "kind": "full", "side": "padded" | "best" | "compiled" | "joined", "limit": SECONDS,
     "job": {"model": FOLDER, "records": FILE, "device": "cuda", "lora": 0, "batch": 8, "accumulation": 1, "steps": 8, "warmup": 3}}
    {"stage": "generate", ..., "job": {"model": FOLDER, "records": FILE, "device": "cuda", "count": 64, "new": 128}}

padded: as people run it, batches padded to their longest record. best: records flattened into one sequence, whose positions keep them apart
(no padding), FlashAttention where it is installed, Liger's kernels where they are. compiled: the same with torch.compile, where records are of
one length. joined: as best, with all of a step in one microbatch, which is the job's to say. Prints for each job a line of run.sh's results, which is the line without limit and job, and with a result; before them the versions of
what is compared with.
"""

import contextlib
import gc
import importlib.metadata
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time

started = float(os.environ.get("SFT_LAB_STARTED", time.time()))  # of this process; the first step of its first job is measured from here
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_TELEMETRY="1")


def installed(name):
    return importlib.util.find_spec(name) is not None


def versions():
    names = ["torch", "transformers", "peft", "accelerate", "trl", "liger-kernel", "flash-attn"]
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def read(job):
    with open(job["records"], encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def example(record):
    tokens, prompt = record["tokens"], record["prompt"]
    labels = [-100] * prompt + tokens[prompt:]
    return {"input_ids": tokens, "labels": labels}


def padded(examples):
    import torch

    longest = max(len(one["input_ids"]) for one in examples)

    def pad(name, value):
        return torch.tensor([one[name] + [value] * (longest - len(one[name])) for one in examples])

    mask = [[1] * len(one["input_ids"]) + [0] * (longest - len(one["input_ids"])) for one in examples]
    return {"input_ids": pad("input_ids", 0), "labels": pad("labels", -100), "attention_mask": torch.tensor(mask)}


def flattened(examples):
    import torch

    ids, labels, positions = [], [], []
    for one in examples:
        ids += one["input_ids"]
        labels += [-100] + one["labels"][1:]
        positions += range(len(one["input_ids"]))
    return {"input_ids": torch.tensor([ids]), "labels": torch.tensor([labels]), "position_ids": torch.tensor([positions])}


def train(job, settings):
    import torch
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    cuda = job["device"] != "cpu"
    records = [example(record) for record in read(job)]
    same = len({len(one["input_ids"]) for one in records}) == 1
    lora = job.get("lora", 0)
    if settings == "compiled" and not same:
        return {"skipped": "records of many lengths would be compiled for each"}
    flash = settings != "padded" and cuda and installed("flash_attn")
    liger = settings != "padded" and cuda and installed("liger_kernel")
    network = AutoModelForCausalLM.from_pretrained(
        job["model"],
        dtype=torch.bfloat16 if lora else torch.float32,
        attn_implementation="flash_attention_2" if flash else "sdpa",
    )
    network.config.use_cache = False
    if lora:
        from peft import LoraConfig, get_peft_model

        network = get_peft_model(
            network, LoraConfig(r=lora, lora_alpha=2 * lora, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
        )
    marks, losses = [], []

    class Steps(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if cuda:
                torch.cuda.synchronize()
            marks.append(time.time())

        def on_log(self, args, state, control, logs=None, **kwargs):
            if logs and "loss" in logs:
                losses.append(float(logs["loss"]))

    class InOrder(Trainer):
        def _get_train_sampler(self, *args, **kwargs):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    with tempfile.TemporaryDirectory() as folder:
        trainer = InOrder(
            model=network,
            args=TrainingArguments(
                output_dir=folder,
                use_cpu=not cuda,
                bf16=True,
                per_device_train_batch_size=job["batch"],
                gradient_accumulation_steps=job["accumulation"],
                max_steps=job["warmup"] + job["steps"],
                learning_rate=1e-4,
                lr_scheduler_type="constant",
                weight_decay=0.0,
                max_grad_norm=1.0,
                optim="adamw_torch_fused",
                torch_compile=settings == "compiled",
                use_liger_kernel=liger,
                remove_unused_columns=False,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=1,
            ),
            train_dataset=records,
            # Records of one length have nothing to pad, and the plain batch is what attention is fastest on.
            data_collator=padded if settings == "padded" or same else flattened,
            callbacks=[Steps()],
        )
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        trainer.train()
    seconds = (marks[-1] - marks[job["warmup"] - 1]) / job["steps"]
    each = job["batch"] * job["accumulation"]
    first = job["warmup"] * each
    tokens = sum(len(records[i % len(records)]["input_ids"]) for i in range(first, first + job["steps"] * each)) / job["steps"]
    return {
        "step_seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "peak_bytes": torch.cuda.max_memory_allocated() if cuda else 0,
        "first_step": marks[0],
        "losses": losses,
        "flash_attention": flash,
        "liger": liger,
    }


def generate(job):
    import torch
    from transformers import AutoModelForCausalLM

    device = torch.device(job["device"])
    network = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.bfloat16, attn_implementation="sdpa").to(device).eval()
    with open(job["records"], encoding="utf-8") as file:
        prompts = json.load(file)[: job["count"]]
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(one)) + one for one in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts], device=device)

    def run(count):
        with torch.no_grad():
            network.generate(
                ids, attention_mask=mask, max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0, eos_token_id=None
            )
        if device.type == "cuda":
            torch.cuda.synchronize()

    run(2)
    start = time.perf_counter()
    run(job["new"])
    return {"seconds": time.perf_counter() - start}


def run(line):
    import torch

    def late(*_):
        raise TimeoutError(f"took longer than {line['limit']} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(int(line["limit"]))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return train(line["job"], line["side"]) if line["stage"] == "train" else generate(line["job"])
    except Exception as error:  # the bench goes on without this one, and says why
        return {"failed": f"{type(error).__name__}: {error}"[:300]}
    finally:
        signal.alarm(0)
        gc.collect()
        torch._dynamo.reset()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def main():
    print(json.dumps({"stage": "versions", "model": "-", "kind": "-", "side": "peers", "result": versions()}), flush=True)
    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = [json.loads(line) for line in file]
    for index, line in enumerate(jobs):
        result = run(line)
        first = result.pop("first_step", None)
        if index == 0 and first is not None:
            result["start_to_first_step"] = first - started
        print(json.dumps({name: line[name] for name in ("stage", "model", "kind", "side")} | {"result": result}), flush=True)


main()
