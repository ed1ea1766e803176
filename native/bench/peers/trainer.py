"""Hugging Face Trainer with PEFT, batches padded to their longest record."""

from common import Steps, arguments, job, lora, model, records, tokenizer  # first: it sets the threads

from datasets import Dataset
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

words = tokenizer()


def tokens(record):
    prompt = words(record["prompt"])["input_ids"]
    completion = words(record["completion"] + words.eos_token)["input_ids"]
    ids = (prompt + completion)[: job["max_length"]]
    labels = ([-100] * len(prompt) + completion)[: job["max_length"]]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}


network = model()
if job["method"] == "lora":
    from peft import get_peft_model

    network = get_peft_model(network, lora())
trainer = Trainer(
    model=network,
    args=TrainingArguments(**arguments()),
    train_dataset=Dataset.from_list([tokens(record) for record in records()]),
    data_collator=DataCollatorForSeq2Seq(words, padding=True, label_pad_token_id=-100),
    callbacks=[Steps()],
)
trainer.train()
