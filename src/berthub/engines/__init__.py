"""Engines: each runs the network of a `Checkpoint` on batches of tokens."""
