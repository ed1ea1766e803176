"""Makes the reference tensors that the engine is compared with, by transformers, peft and torch, in fp32 on the CPU.

Every family is a tiny random model. Sequences are run one at a time, so that no padding or packing of the reference can
differ from the engine's flat batches. Writes one folder a family under test/fixtures/reference/:

  config.json, model*.safetensors   the model, as transformers saves it
  adapter/                          a LoRA adapter with random B, as peft saves it
  reference.safetensors             batches, logits, per-token figures, gradients, 20-step trajectories (all F32)
  bf16.json                         how far transformers itself is from these in bf16, and how its gradients turn: what our bf16 is measured by

Run by `npm run reference -- --make`, or: python test/reference/make_fixtures.py. The same versions give the same bytes.
"""

import copy
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

OUT = Path(__file__).resolve().parents[1] / "fixtures" / "reference"
VOCABULARY = 96
STEPS = 20
LEARNING_RATES = [3e-3 * min((step + 1) / 4, (STEPS - step) / STEPS) for step in range(STEPS)]
MAX_GRAD_NORM = 1.0
WEIGHT_DECAY = 0.01
ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

SHAPE = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=64, pad_token_id=None, bos_token_id=1, eos_token_id=2)
# Heads of size 8 have four wavelengths: with a base this small they fall into every range that the scalings tell apart.
LONG = SHAPE | dict(max_position_embeddings=256)
PLAIN = dict(rope_type="default", rope_theta=10000.0)

FAMILIES = {
    "llama2": (LlamaForCausalLM, LlamaConfig(**SHAPE, num_key_value_heads=4, tie_word_embeddings=False, rope_parameters=PLAIN)),
    "llama3-tied": (LlamaForCausalLM, LlamaConfig(
        **LONG, num_key_value_heads=2, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=64))),
    "llama-biases-linear-rope": (LlamaForCausalLM, LlamaConfig(
        **SHAPE, num_key_value_heads=1, attention_bias=True, mlp_bias=True, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0))),
    "mistral-window": (MistralForCausalLM, MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=5, rope_parameters=PLAIN)),
    "qwen2-tied-window": (Qwen2ForCausalLM, Qwen2Config(
        **SHAPE, num_key_value_heads=2, tie_word_embeddings=True, use_sliding_window=True, sliding_window=6, max_window_layers=1,
        rope_parameters=PLAIN)),
    "qwen2-untied-yarn": (Qwen2ForCausalLM, Qwen2Config(
        **LONG, num_key_value_heads=2, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="yarn", rope_theta=100.0, factor=4.0, beta_fast=2.0, beta_slow=0.5,
                             original_max_position_embeddings=64))),
    "qwen3-tied": (Qwen3ForCausalLM, Qwen3Config(**SHAPE, num_key_value_heads=2, head_dim=12, tie_word_embeddings=True,
                                                 rope_parameters=PLAIN)),
    "qwen3-untied-sharded": (Qwen3ForCausalLM, Qwen3Config(**SHAPE, num_key_value_heads=1, head_dim=16, tie_word_embeddings=False,
                                                           rope_parameters=PLAIN)),
    "qwen2-bf16": (Qwen2ForCausalLM, Qwen2Config(**SHAPE, num_key_value_heads=4, tie_word_embeddings=False, rope_parameters=PLAIN)),
}


def make_batches(generator):
    """Four microbatches of uneven size; lengths include 1, 2 and one longer than the others."""
    lengths = [[9, 1, 14], [2, 23], [5], [40, 3, 7, 2]]
    batches = []
    for group in lengths:
        tokens, offsets, targets, every, completion, mixed = [], [0], [], [], [], []
        for length in group:
            sequence = torch.randint(0, VOCABULARY, (length,), generator=generator).tolist()
            tokens += sequence
            targets += sequence[1:] + [0]
            last = [1.0] * (length - 1) + [0.0]
            every += last
            completion += [weight if i >= length // 2 else 0.0 for i, weight in enumerate(last)]
            mixed += [weight * (0.25 + (i % 3) * 0.5) if i % 4 else 0.0 for i, weight in enumerate(last)]
            offsets.append(len(tokens))
        batches.append(dict(tokens=tokens, offsets=offsets, targets=targets, all=every, completion=completion, mixed=mixed))
    return batches


def logits_of(model, batch):
    rows = []
    for start, end in zip(batch["offsets"], batch["offsets"][1:]):
        rows.append(model(input_ids=torch.tensor([batch["tokens"][start:end]]), use_cache=False).logits[0])
    return torch.cat(rows)


def token_losses(logits, batch):
    return torch.nn.functional.cross_entropy(logits.float(), torch.tensor(batch["targets"]), reduction="none")


def weighted_sum(model, batch, kind):
    weights = torch.tensor(batch[kind])
    return (token_losses(logits_of(model, batch), batch) * weights).sum(), weights.sum()


def gradient_name(name):
    """peft's module names to the names of the file that it saves."""
    return name.replace(".default", "")


def trajectory(model, batches, kind, accumulate):
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    # As Hugging Face's Trainer groups them: neither norms nor biases decay.
    decay = [p for p in trained.values() if p.dim() == 2]
    rest = [p for p in trained.values() if p.dim() != 2]
    optimizer = torch.optim.AdamW([dict(params=decay, weight_decay=WEIGHT_DECAY), dict(params=rest, weight_decay=0.0)], lr=0.0)
    losses, norms = [], []
    for step in range(STEPS):
        chosen = batches if accumulate else [batches[step % len(batches)]]
        total = sum(sum(batch[kind]) for batch in chosen)
        loss_sum = 0.0
        for batch in chosen:
            loss, _ = weighted_sum(model, batch, kind)
            (loss / total).backward()
            loss_sum += loss.item()
        losses.append(loss_sum / total)
        norms.append(torch.nn.utils.clip_grad_norm_(list(trained.values()), MAX_GRAD_NORM).item())
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATES[step]
        optimizer.step()
        optimizer.zero_grad()
    finals = {gradient_name(name): p.detach().clone() for name, p in trained.items()}
    with torch.no_grad():  # shows that the last update was right too
        after, weight = weighted_sum(model, batches[3], "all")
    return torch.tensor(losses), torch.tensor(norms), finals, (after / weight)[None]


def randomize(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1 + 0.1 * noise if "norm" in name else 0.1 * noise if name.endswith("bias") else 0.15 * noise)


def distance(actual, expected):
    return ((actual.float() - expected).norm() / expected.norm()).item()


def bf16_distances(model, weights, batches, exact):
    """Relative errors of bf16 against fp32: under autocast with fp32 weights (Trainer's `bf16=True`), and of a model all in bf16."""
    found = {}
    for label, whole in (("autocast", False), ("whole", True)):
        model.load_state_dict(weights)
        half = copy.deepcopy(model).to(torch.bfloat16) if whole else model
        # Autocast's cache of rounded weights would outlive the optimizer's steps.
        with torch.autocast("cpu", torch.bfloat16, enabled=not whole, cache_enabled=False):
            with torch.no_grad():
                logits = distance(logits_of(half, batches[3]), exact["logits"])
            weighted_sum(half, batches[3], "mixed")[0].backward()
            gradients = {key: distance(p.grad, exact[f"gradient.{key}"]) for key, p in half.named_parameters()}
            half.zero_grad()
            losses, _, _, _ = trajectory(half, batches, "all", False)
        differences = (losses - exact["all.losses"]).abs()
        found[label] = dict(logits=logits, gradients=gradients, losses=differences.tolist())
    model.load_state_dict(weights)
    return found


def drawn_batches():
    """What native/test/model/precision_test.cpp draws by the same rule."""
    state, batches = 12345, []
    for _ in range(24):
        tokens, offsets, weights = [], [0], []
        for length in (13, 22, 5, 17):
            for i in range(length):
                state = (1103515245 * state + 12345) % 2**31
                tokens.append((state >> 16) % VOCABULARY)
                weights.append(1.0 if i + 1 < length else 0.0)
            offsets.append(len(tokens))
        batches.append(dict(tokens=tokens, offsets=offsets, targets=tokens[1:] + [0], all=weights))
    return batches


def bf16_cosines(model):
    """Cosines between the gradients in bf16 (autocast, with the attention that transformers takes by itself) and in fp32, each tensor's mean
    over many batches: in one batch, chance decides which of two ways of rounding comes closer."""
    batches, sums = drawn_batches(), {}
    model.set_attn_implementation("sdpa")
    for batch in batches:
        gradients = []
        for half in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False):
                weighted_sum(model, batch, "all")[0].backward()
            gradients.append({key: p.grad.double().flatten() for key, p in model.named_parameters()})
            model.zero_grad()
        for key, exact in gradients[0].items():
            cosine = torch.dot(gradients[1][key], exact) / gradients[1][key].norm() / exact.norm()
            sums[key] = sums.get(key, 0.0) + cosine.item() / len(batches)
    model.set_attn_implementation("eager")
    return sums


def make(name, model_class, config, seed):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    generator = torch.Generator().manual_seed(seed)
    config._attn_implementation = "eager"
    model = model_class(config).float().eval()
    randomize(model, generator)
    stored = model
    if name.endswith("bf16"):
        # Weights that bf16 holds exactly, stored as bf16 and computed with in fp32 (tables of positions are never rounded).
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(p.to(torch.bfloat16).float())
        stored = copy.deepcopy(model).to(torch.bfloat16)
    stored.save_pretrained(folder, max_shard_size="40KB" if name.endswith("sharded") else "5GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    batches = make_batches(generator)
    out = {}
    for i, batch in enumerate(batches):
        for key, value in batch.items():
            out[f"batch.{i}.{key}"] = torch.tensor(value, dtype=torch.float32)
        with torch.no_grad():
            logits = logits_of(model, batch)
            log_p = torch.log_softmax(logits.double(), dim=-1)
            out[f"batch.{i}.loss"] = token_losses(logits, batch)
            out[f"batch.{i}.entropy"] = -(log_p.exp() * log_p).sum(-1).float()
            out[f"batch.{i}.correct"] = (logits.argmax(-1) == torch.tensor(batch["targets"])).float()
        if i == 3:
            out["logits"] = logits
    loss, _ = weighted_sum(model, batches[3], "mixed")
    loss.backward()
    for key, p in model.named_parameters():
        out[f"gradient.{key}"] = p.grad.clone()
    model.zero_grad()

    for kind, accumulate in (("all", False), ("completion", False), ("all", True)):
        model.load_state_dict(weights)
        losses, norms, finals, after = trajectory(model, batches, kind, accumulate)
        label = "accumulate" if accumulate else kind
        out[f"{label}.losses"], out[f"{label}.norms"], out[f"{label}.after"] = losses, norms, after
        if label == "all":
            out.update({f"final.{key}": value for key, value in finals.items()})

    bf16 = bf16_distances(model, weights, batches, out) | dict(cosines=bf16_cosines(model))
    text = json.dumps(bf16, indent=1, sort_keys=True)
    (folder / "bf16.json").write_text(text + "\n")
    targets = ["q_proj", "v_proj"] if name == "mistral-window" else ALL_LINEAR
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=targets, task_type="CAUSAL_LM"))
    with torch.no_grad():
        for key, p in adapted.named_parameters():
            if "lora_" in key:  # peft's own start comes from torch's global generator, and leaves B zero
                p.copy_((0.05 if "lora_B" in key else 0.1) * torch.randn(p.shape, generator=generator))
    adapted.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    adapter_config = folder / "adapter" / "adapter_config.json"
    settings = json.loads(adapter_config.read_text())
    settings["base_model_name_or_path"] = ".."
    settings["target_modules"] = sorted(settings["target_modules"])
    adapter_config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    loss, _ = weighted_sum(adapted, batches[3], "mixed")
    loss.backward()
    for key, p in adapted.named_parameters():
        if p.requires_grad:
            out[f"lora.gradient.{gradient_name(key)}"] = p.grad.clone()
    adapted.zero_grad()
    losses, norms, finals, after = trajectory(adapted, batches, "completion", False)
    out["lora.losses"], out["lora.norms"], out["lora.after"] = losses, norms, after
    out.update({f"lora.final.{key}": value for key, value in finals.items()})
    out["learning_rates"] = torch.tensor(LEARNING_RATES)
    save_file({key: value.contiguous().float() for key, value in out.items()}, folder / "reference.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for number, (family, (kind, settings)) in enumerate(FAMILIES.items()):
        make(family, kind, settings, 1000 + number)
        print(family, sum(f.stat().st_size for f in (OUT / family).rglob("*") if f.is_file()) // 1024, "KB")
