"""The Keras side: the layer that can be fine-tuned, and the tasks."""

from berthub.training.backend import import_keras

__all__: list[str] = []

# Before any module here imports Keras, which fixes the backend.
import_keras()
