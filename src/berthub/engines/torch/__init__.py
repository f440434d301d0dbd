"""Networks on PyTorch: the operations, with padding or without. Its modules import PyTorch; nothing else here does."""
