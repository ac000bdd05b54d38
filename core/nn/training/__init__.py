"""The training loop: batches, evaluation, stop rules, mixup, bucketing by length."""
