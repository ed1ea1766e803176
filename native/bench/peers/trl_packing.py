"""TRL's SFTTrainer, records packed into rows of `max_length` (best fit), one row a microbatch: other steps than the others'."""

from common import Steps, arguments, job, lora, model, records, tokenizer  # first: it sets the threads

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

trainer = SFTTrainer(
    model=model(),
    args=SFTConfig(**arguments(), packing=True, max_length=job["max_length"]),
    train_dataset=Dataset.from_list(records()),
    processing_class=tokenizer(),
    peft_config=lora(),
    callbacks=[Steps()],
)
trainer.train()
