"""How good predictions are: the scores of each task, and pictures of them."""
