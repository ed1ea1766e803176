"""Makes the answers that the engine's generation is compared with: by `generate` of transformers, greedy, fp32, on the CPU.

For every family of make_fixtures.py, with and without its adapter, one batch of prompts, padded on the left as that function wants them:
long, short, some with a common beginning, two alike. Writes generation.json into each folder under test/fixtures/reference/:

  prompts, max_new_tokens, stop         `stop` is a token that some of the answers contain
  model, adapter                        answers and the log probability of each token: `free` without, `stopped` with that stop token

Run by `npm run reference -- --make`, or: python test/reference/make_generation.py.
"""

import json
import random
from collections import Counter

import torch
from make_fixtures import FAMILIES, OUT, VOCABULARY
from peft import PeftModel
from transformers import AutoModelForCausalLM

NEW = 20
LEAST_GAP = 1e-5  # between the two likeliest tokens, so that rounding cannot choose


def make_prompts():
    choose = random.Random(11)
    words = lambda count: [choose.randrange(3, VOCABULARY) for _ in range(count)]
    common = words(24)
    prompts = [words(7), common + words(5), words(1), common + words(1), words(41), common + words(9), common[:13] + words(4)]
    return prompts + [list(prompts[1]), words(2), list(common)]


def answers(model, prompts, stop):
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    with torch.no_grad():
        out = model.generate(ids, attention_mask=mask, max_new_tokens=NEW, do_sample=False, pad_token_id=0, eos_token_id=stop,
                             return_dict_in_generate=True, output_scores=True)
    found = []
    for row, tokens in enumerate(out.sequences[:, longest:].tolist()):
        count = tokens.index(stop) + 1 if stop in tokens else len(tokens)
        scores = [out.scores[i][row] for i in range(count)]
        if stop is None:
            for score in scores:
                first, second = score.topk(2).values.tolist()
                assert first - second > LEAST_GAP, "a tie: choose other prompts"
        logs = [round(score.log_softmax(-1)[token].item(), 6) for score, token in zip(scores, tokens)]
        found.append(dict(tokens=tokens[:count], log_probabilities=logs))
    return found


def main():
    torch.set_num_threads(1)
    prompts = make_prompts()
    for name in FAMILIES:
        folder = OUT / name
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        free = answers(model, prompts, None)
        stop = Counter(answer["tokens"][5] for answer in free).most_common(1)[0][0]
        record = dict(prompts=prompts, max_new_tokens=NEW, stop=stop, model=dict(free=free, stopped=answers(model, prompts, stop)))
        adapted = PeftModel.from_pretrained(model, folder / "adapter").eval()
        record["adapter"] = dict(free=answers(adapted, prompts, None), stopped=answers(adapted, prompts, stop))
        (folder / "generation.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
        lengths = [len(a["tokens"]) for a in record["model"]["stopped"]]
        print(f"{name}: stop {stop}, lengths {lengths}, different answers {len({tuple(a['tokens']) for a in free})}")


if __name__ == "__main__":
    main()
