"""Makes `test/fixtures/bpe`: byte-level BPE tokenizers with the pre-tokenizers of GPT-2, Llama 3 and Qwen, SentencePiece's BPE behind
`Metaspace` as Mistral v0.3 and newer Llama-2-like models have it, a corpus of many scripts, emoji, code and what invalid UTF-8 is read
as, and the ids that the Python package `tokenizers` gives it.

Run from the repository root in an environment with `requirements.txt` installed:

    python test/reference/make_bpe_fixtures.py
"""

import base64
import gzip
import json
import random
import re
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parents[1] / "fixtures" / "bpe"
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
# Ranges of letters of many scripts, old enough to be letters in every version of Unicode in use.
SCRIPTS = [
    (0x61, 0x7A), (0x61, 0x7A), (0x61, 0x7A), (0xE0, 0xF6), (0x100, 0x17F), (0x3B1, 0x3C9), (0x430, 0x44F), (0x561, 0x586),
    (0x5D0, 0x5EA), (0x627, 0x63A), (0x905, 0x939), (0x985, 0x98C), (0xE01, 0xE30), (0x10D0, 0x10F0), (0x1100, 0x1112),
    (0x1E00, 0x1E99), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x10400, 0x1044F),
    (0x1D400, 0x1D454), (0x20000, 0x2A6D6),
]
EMOJI = ["🙂", "👍🏽", "👩‍👩‍👧‍👦", "🇯🇵", "❤️", "🏳️‍🌈", "☃", "①", "½", "²", "٣", "Ⅷ", "𝟙"]
SPACES = [" ", " ", " ", " ", "  ", "\t", "\n", "\r\n", "\n\n", "   ", "\u00a0", "\u2003", "\u3000", "\u200b", "\x0b", "\x85", "\u2028", "\ufeff", "\u180e", "\u1680"]
MARKS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["…", "—", "“", "”", "¿", "«", "\u0301", "\u0308", "\u064b", "\u0e31", "\ufffd", "\x00", "\x1b"]
SHORT = ["'s", "'S", "'t", "'RE", "'ve", "'m", "'Ll", "'d", "’s", "'x", "'ſ", "it's", "WE'LL", "don't"]
CODE = [
    "def f(x, y=1):\n    return x**2 + y  # comment\n",
    "for (let i = 0; i < n; i++) {\n\tsum += a[i] ?? 0;\n}\n",
    "SELECT * FROM t WHERE a >= 10 AND b != 'x';",
    "<div class=\"a b\">&amp;</div>\r\n",
    "\\frac{a_1}{b^{2}} \\cdot \\sum_{i=0}^{n}",
    "https://example.org/a/b?c=d&e=%20f#g",
]


def document(rng):
    parts = []
    for _ in range(rng.randint(1, 120)):
        kind = rng.random()
        if kind < 0.5:
            low, high = rng.choice(SCRIPTS)
            word = "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 9)))
            parts.append(rng.choice([word, word.title(), word.upper()]))
        elif kind < 0.58:
            parts.append(str(rng.randint(0, 10 ** rng.randint(1, 12))))
        elif kind < 0.66:
            parts.append("".join(rng.choice(MARKS) for _ in range(rng.randint(1, 5))))
        elif kind < 0.71:
            parts.append(rng.choice(EMOJI) * rng.randint(1, 3))
        elif kind < 0.76:
            parts.append(rng.choice(SHORT))
        elif kind < 0.79:
            parts.append(rng.choice(CODE))
        elif kind < 0.81:
            parts.append(bytes(rng.randrange(256) for _ in range(rng.randint(1, 12))).decode("utf-8", "replace"))
        elif kind < 0.815:
            parts.append(base64.b64encode(rng.randbytes(rng.randint(10, 400))).decode())
        elif kind < 0.82:
            parts.append(rng.choice(["a", "ab", "東", " ", "\n", "=", "-", "9"]) * rng.randint(20, 700))
        else:
            parts.append("the quick brown fox of words that come often".split()[rng.randrange(9)])
        if rng.random() < 0.85:
            parts.append(rng.choice(SPACES))
    return "".join(parts)


def train(texts, regex, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    if regex is None:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        split = pre_tokenizers.Split(Regex(regex), behavior="isolated", invert=False)
        bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=3000, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def spaced(texts, prepend_scheme, split):
    """SentencePiece's BPE: a space is a character, bytes stand for what the vocabulary lacks; no merge takes digits or line ends."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    trainer = trainers.BpeTrainer(vocab_size=3000, limit_alphabet=900, show_progress=False)
    trained.train_from_iterator((re.sub(r"[0-9\r\n]", " ", text) for text in texts), trainer)
    model = json.loads(trained.to_str())["model"]
    runs = [("▁", "▁"), ("▁▁", "▁▁"), ("▁▁▁▁", "▁▁▁▁")]
    words = sorted(model["vocab"], key=model["vocab"].get) + ["".join(run) for run in runs] + list("0123456789")
    bare = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    vocab = {word: index for index, word in enumerate(dict.fromkeys(bare + words))}
    merges = runs + [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=prepend_scheme, split=split)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode(), mtime=0))


def main():
    rng = random.Random(11)
    texts = [document(rng) for _ in range(350)]
    write(ROOT / "corpus.json.gz", texts)
    qwen = train(texts[:250], QWEN)
    qwen.normalizer = normalizers.NFC()
    for name, tokenizer in {
        "gpt2": train(texts[:250], None),
        "llama3": train(texts[:250], LLAMA3, ignore_merges=True),
        "qwen": qwen,
    }.items():
        tokenizer.add_special_tokens(["<|endoftext|>"])
        write(ROOT / f"{name}.tokenizer.json.gz", json.loads(tokenizer.to_str()))
        write(ROOT / f"{name}.ids.json.gz", [one.ids for one in tokenizer.encode_batch(texts, add_special_tokens=False)])
        print(name, sum(len(one.ids) for one in tokenizer.encode_batch(texts, add_special_tokens=False)), "ids")
    # Some begin with a space, some hold special tokens: what comes before a text depends on both.
    mixed = [" " + text if i % 7 == 0 else text for i, text in enumerate(texts[:120])]
    mixed = [text.replace(" the ", "</s>the", 1).replace("fox", "<s> fox", 1) for text in mixed]
    write(ROOT / "spaced.json.gz", mixed)
    for name, tokenizer in {
        "mistral": spaced(texts[:250], "first", False),
        "metaspace": spaced(texts[:250], "always", True),
    }.items():
        write(ROOT / f"{name}.tokenizer.json.gz", json.loads(tokenizer.to_str()))
        ids = [one.ids for one in tokenizer.encode_batch(mixed, add_special_tokens=False)]
        write(ROOT / f"{name}.ids.json.gz", ids)
        print(name, sum(map(len, ids)), "ids")


main()
