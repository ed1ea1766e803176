"""Makes `test/fixtures/tables`: one small data set in every file kind, and what Python reads in each.

Run from the repository root in an environment with `requirements-tables.txt` installed:

    python test/reference/make_table_fixtures.py

`expected.json` is the records as they were before they were written: the files are written by pandas, pyarrow, openpyxl and
Hugging Face datasets, so whoever reads them back as these records reads what those packages mean.
"""

import gzip
import json
import shutil
from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from datasets import ClassLabel, Dataset, Features, Sequence, Value

ROOT = Path(__file__).resolve().parents[1] / "fixtures" / "tables"
TEXTS = ["plain", 'quote " and, comma', "two\nlines", "tab\there", "東京タワー", "🙂👍🏽", " spaced ", "<b>&amp;</b>", "é", "0012"]


def flat():
    return [
        {"prompt": f"{TEXTS[i % len(TEXTS)]} {i}", "completion": TEXTS[(i * 3 + 1) % len(TEXTS)], "label": "yes" if i % 3 else "no"}
        for i in range(57)
    ]


def nested():
    rows = []
    for i in range(523):
        turns = [{"role": "user", "content": f"question {i} {TEXTS[i % len(TEXTS)]}"}]
        for k in range(i % 4):
            turns.append({"role": "assistant", "content": f"answer {i}.{k} " + "word " * (i % 17)})
            if k + 1 < i % 4:
                turns.append({"role": "user", "content": "" if k == 1 else "go on"})
        if i % 41 == 0:
            turns = []
        rows.append(
            {
                "id": i,
                "messages": None if i % 97 == 96 else turns,
                "tags": [f"t{j}" for j in range(i % 3)],
                "scores": [[float(j), None] for j in range(i % 2)],
                "meta": None if i % 5 == 4 else {"source": f"s{i % 7}", "weight": i / 4},
            }
        )
    return rows


TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("messages", pa.list_(TURN)),
        ("tags", pa.list_(pa.string())),
        ("scores", pa.list_(pa.list_(pa.float64()))),
        ("meta", pa.struct([("source", pa.string()), ("weight", pa.float32())])),
    ]
)


def main():
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir(parents=True)
    rows, deep = flat(), nested()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    (ROOT / "flat.jsonl").write_bytes(lines)
    half = lines.index(b"\n", len(lines) // 2) + 1
    # Two members one after another are one file, as `cat a.gz b.gz` makes.
    (ROOT / "flat.jsonl.gz").write_bytes(gzip.compress(lines[:half], mtime=0) + gzip.compress(lines[half:], mtime=0))
    (ROOT / "flat.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(lines))
    frame = pd.DataFrame(rows)
    frame.to_csv(ROOT / "flat.csv", index=False)
    frame.to_csv(ROOT / "flat.tsv", index=False, sep="\t", lineterminator="\r\n")
    frame.to_csv(ROOT / "flat.semicolon.csv", index=False, sep=";", encoding="utf-8-sig")
    (ROOT / "flat.csv.gz").write_bytes(gzip.compress((ROOT / "flat.csv").read_bytes(), mtime=0))
    frame.to_excel(ROOT / "flat.xlsx", index=False)
    frame.to_parquet(ROOT / "flat.parquet", index=False)

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["prompt", "completion", "when", "ok", "n"])
    sheet.append(["sum", "=1+1", datetime(2024, 2, 29, 12, 30), True, 1.5])
    sheet.append(["day", "text", datetime(1999, 12, 31), False, -7])
    sheet.append([None, None, None, None, None])
    sheet.append(["last", "bell \\x07".replace("\\x07", "_x0007_"), None, None, 3])
    book.save(ROOT / "kinds.xlsx")

    table = pa.Table.from_pylist(deep, schema=SCHEMA)
    small = {"row_group_size": 200, "data_page_size": 700, "write_batch_size": 16}
    for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
        pq.write_table(table, ROOT / f"nested.{codec}.parquet", compression=codec, **small)
    pq.write_table(table, ROOT / "nested.v2.parquet", data_page_version="2.0", **small)
    pq.write_table(table, ROOT / "nested.index.parquet", write_page_index=True, use_dictionary=False, **small)

    features = Features(
        {
            "id": Value("int64"),
            "messages": [{"role": Value("string"), "content": Value("string")}],
            "tags": Sequence(Value("string")),
            "label": ClassLabel(names=["no", "yes"]),
        }
    )
    chosen = [{key: row[key] for key in ("id", "messages", "tags")} | {"label": row["id"] % 2} for row in deep if row["messages"] is not None]
    dataset = Dataset.from_list(chosen, features=features)
    dataset.save_to_disk(ROOT / "datasets", num_shards=2)
    for name in ["datasets"]:
        # Fingerprints differ from run to run.
        state = json.loads((ROOT / name / "state.json").read_text())
        state["_fingerprint"] = "0" * 16
        (ROOT / name / "state.json").write_text(json.dumps(state, indent=2) + "\n")
    dataset.to_parquet(ROOT / "datasets.parquet", batch_size=100)
    with pa.OSFile(str(ROOT / "file.arrow"), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_table(table, max_chunksize=100)

    expected = {
        "flat": rows,
        "nested": table.to_pylist(),
        "datasets": [row | {"label": ["no", "yes"][row["label"]]} for row in chosen],
    }
    (ROOT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False))


main()
