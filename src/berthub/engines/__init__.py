"""A `Checkpoint` becomes something that runs batches."""
