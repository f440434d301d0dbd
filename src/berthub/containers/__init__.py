"""Read and write files of arrays and messages: read strictly, as they may be hostile, and mapped, not copied."""
