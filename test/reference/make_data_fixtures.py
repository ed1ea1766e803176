"""Makes the tokenizers and the reference tokens of `test/fixtures/tokenizers` and `test/fixtures/data`.

Run from the repository root in an environment with `requirements.txt` installed:

    python test/reference/make_data_fixtures.py

Tokenizers: small BPE vocabularies trained on text made here, with the pre-tokenizers, normalizers, post-processors and added tokens
of the real families (Qwen2/3, Llama 3, Llama 2). Reference: for each pair of template and conversation, what transformers'
`apply_chat_template` renders and tokenises, and the mask. Where the template marks `{% generation %}` blocks the mask is
transformers' own; elsewhere it comes from one regular expression per family, which names headers and end-of-turn tokens outright:
knowledge that the product's code does not have.
"""

import json
import random
import re
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[1] / "fixtures"
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)


def corpus():
    """Seeded sentences with the marks, numbers and scripts that the conversations use."""
    rng = random.Random(7)
    names = "Ada Grace Alan Edsger Barbara Zoë José Søren Müller".split()
    things = "ticket parcel invoice refund password account printer theorem recipe river".split()
    verbs = "sends finds opens checks loses answers counts writes breaks mends".split()
    lines = []
    for _ in range(3000):
        lines.append(
            f"{rng.choice(names)} {rng.choice(verbs)} the {rng.choice(things)} and {rng.choice(verbs)} "
            f"{rng.randint(2, 1999)} of {rng.choice(things)}s, isn't it? Let's see: {rng.randint(1, 99)} + {rng.randint(1, 99)}."
        )
    lines += ["system user assistant tool model\n", "def add(a, b):\n    return a + b\n", "Größe, naïve café, 東京タワー, привет, 🙂👍🏽"] * 20
    return lines


def save(name, tokenizer, **special):
    folder = ROOT / "tokenizers" / name
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **special)


def byte_level(regex, vocab, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(regex), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def qwen():
    tokenizer = byte_level(QWEN, 900)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    plain = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in plain])
    return save("qwen", tokenizer, bos_token=None, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def llama3():
    tokenizer = byte_level(LLAMA3, 900, ignore_merges=True)
    tokenizer.add_special_tokens(
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    )
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(add_prefix_space=True, trim_offsets=False, use_regex=True),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A",
                pair="<|begin_of_text|> $A <|begin_of_text|> $B",
                special_tokens=[("<|begin_of_text|>", begin)],
            ),
        ]
    )
    return save("llama3", tokenizer, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")


def llama2():
    """SentencePiece as converted: no pre-tokenizer, a space put before each text, bytes for what the vocabulary lacks."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    trained.train_from_iterator(
        (line.replace("東", "").replace("🙂", "") for line in corpus()),
        trainers.BpeTrainer(vocab_size=640, show_progress=False),
    )
    model = json.loads(trained.to_str())["model"]
    bare = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    words = [word for word, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    vocab = {word: index for index, word in enumerate(bare + words)}
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False, special=True) for text in ("<unk>", "<s>", "</s>")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocab["<s>"])]
    )
    return save("llama2", tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


CHATML = r"<\|im_start\|>assistant\n(.*?<\|im_end\|>)"
HEADER = r"<\|start_header_id\|>assistant<\|end_header_id\|>\n\n(.*?<\|eot_id\|>)"
INST = r"\[/INST\](.*?</s>)"
# template: (tokenizer, the assistant's part; None: as {% generation %} says)
PAIRS = {
    "chatml": ("qwen", CHATML),
    "qwen2.5": ("qwen", CHATML),
    "qwen3": ("qwen", CHATML),
    "chatml-generation": ("qwen", None),
    "generation-spaces": ("qwen", None),
    "llama3": ("llama3", HEADER),
    "llama3-generation": ("llama3", None),
    "llama2": ("llama2", INST),
    "mistral-v0.1": ("llama2", INST),
    "mistral-v0.3": ("llama2", INST),
}


def conversations():
    user = lambda text: {"role": "user", "content": text}
    says = lambda text, **more: {"role": "assistant", "content": text, **more}
    system = {"role": "system", "content": "You are terse."}
    call = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Zoë's 東京", "days": 2}}}
    return {
        "single": [user("What is 2 + 2?"), says("4")],
        "system": [system, user("Where is my parcel?"), says("On its way.")],
        "turns": [user("Hi"), says("Hello!"), user("And 17 + 25?"), says("42"), user("Thanks"), says("Hi")],
        "system-turns": [system, user("Hi"), says("Hello!"), user("Bye"), says("Bye.")],
        "same-answers": [user("a"), says("a"), user("a"), says("a")],
        "trimmed": [user("  spaced \n"), says(" \n an answer with edges \n\n")],
        "newline-first": [user("code"), says("\ndef add(a, b):\n    return a + b\n")],
        "empty-answer": [user("say nothing"), says("")],
        "scripts": [user("東京タワー?"), says("привет 🙂👍🏽 Größe, e\u0301 and \u00e9.")],
        "thinking": [user("2+3?"), says("<think>\n2 and 3 are 5.\n</think>\n\n5")],
        "thinking-turns": [
            user("2+3?"),
            says("<think>\nfive\n</think>\n\n5"),
            user("and 4?"),
            says("<think>\nnine\n</think>\n\n9"),
        ],
        "reasoning-field": [user("2+3?"), says("5", reasoning_content="2 and 3 are 5.")],
        "looks-like-markup": [user("[INST] <think>"), says("assistant\n<|im_start|> is a token, [INST] is not")],
        "tools": [
            user("weather?"),
            says("", tool_calls=[call]),
            {"role": "tool", "content": "sunny"},
            says("It is sunny."),
        ],
        "tools-said": [user("weather?"), says("Let me look.", tool_calls=[call]), {"role": "tool", "content": "12°"}, says("12°")],
    }


def reference(template, tokenizer, pattern, messages):
    common = {"chat_template": template, "tokenize": True, "return_dict": True}
    whole = tokenizer.apply_chat_template(messages, return_assistant_tokens_mask=pattern is None, **common)
    text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
    prompt = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, **common)["input_ids"]
    ids = whole["input_ids"]
    if pattern is None:
        mask = whole["assistant_masks"]
    else:
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        assert encoded["input_ids"] == ids
        spans = [match.span(1) for match in re.finditer(pattern, text, re.S)]
        mask = [
            int(any(start <= a < end or a < start < b for start, end in spans)) for a, b in encoded["offset_mapping"]
        ]
    return {"text": text, "ids": ids, "mask": "".join(map(str, mask)), "prompt": prompt}


def main():
    tokenizers = {"qwen": qwen(), "llama3": llama3(), "llama2": llama2()}
    cases = []
    for template, (name, pattern) in PAIRS.items():
        source = (ROOT / "data" / "templates" / f"{template}.jinja").read_text()
        for conversation, messages in conversations().items():
            tooled = conversation.startswith("tools")
            if tooled and template not in ("qwen2.5", "qwen3"):
                continue
            try:
                result = reference(source, tokenizers[name], pattern, messages)
            except Exception as error:  # what the template refuses, the product has to refuse too
                if "roles" not in str(error) and "supported" not in str(error):
                    raise
                cases.append({"template": template, "tokenizer": name, "conversation": conversation, "refused": str(error)})
                continue
            cases.append({"template": template, "tokenizer": name, "conversation": conversation, **result})
    body = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    talks = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in conversations().items())
    (ROOT / "data" / "reference.json").write_text(f'{{"conversations": {{\n{talks}\n}}, "cases": [\n{body}\n]}}\n')
    texts = [" ".join(corpus()[:3]), "  two  spaces\n\n\nand\tlines\r\nend ", "e\u0301\u00e9 \u1112\u1161\u11ab", "12345 3.14", "", "🙂👍🏽東京"]
    encoded = {
        name: [{"text": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"]} for text in texts]
        for name, tokenizer in tokenizers.items()
    }
    (ROOT / "data" / "encoded.json").write_text(json.dumps(encoded, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
