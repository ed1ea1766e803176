"""TRL's SFTTrainer, the records of a microbatch laid end to end without padding."""

from common import Steps, arguments, lora, model, records, tokenizer  # first: it sets the threads

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

trainer = SFTTrainer(
    model=model(),
    args=SFTConfig(**arguments(), padding_free=True, max_length=None),
    train_dataset=Dataset.from_list(records()),
    processing_class=tokenizer(),
    peft_config=lora(),
    callbacks=[Steps()],
)
trainer.train()
