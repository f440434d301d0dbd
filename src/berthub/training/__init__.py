"""The Keras side: the layer that can be fine-tuned, and the tasks."""
