"""The forward passes, each written once, over a small vocabulary of operations that every backend implements."""
