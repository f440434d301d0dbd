"""Read TensorFlow's formats: SavedModels, TF1 hub modules, checkpoints by name and by object. Nothing is run."""
