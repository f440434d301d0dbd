"""What TensorFlow wrote: SavedModels, TF1 hub modules, and checkpoints by name and by object. Read, never run."""
