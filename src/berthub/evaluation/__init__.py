"""Evaluate predictions: the scores of each task, and pictures of them."""
