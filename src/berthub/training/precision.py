"""Choose the precision of training: bfloat16 where this machine computes in it, else float32."""

import keras

from berthub.engines.openvino import processor_has_bfloat16
from berthub.training.hyperparameters import TrainingPrecision

__all__ = ["training_policy"]


def training_policy(precision: TrainingPrecision) -> str:
    """The Keras dtype policy for `precision`; "auto" is bfloat16 where the device that trains computes in it."""
    if precision == "auto":
        precision = "bfloat16" if _has_bfloat16() else "float32"
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def _has_bfloat16() -> bool:
    match keras.config.backend():
        case "torch":
            import torch

            if torch.cuda.is_available():
                # Native from compute capability 8.0 on; before it is emulated, slowly.
                return bool(torch.cuda.get_device_capability() >= (8, 0))
            if torch.backends.mps.is_available():
                return False
        case "jax":
            import jax

            device = jax.devices()[0]
            if device.platform != "cpu":
                capability = getattr(device, "compute_capability", None)
                return bool(device.platform == "tpu" or (capability is not None and float(capability) >= 8))
        case "tensorflow":
            import tensorflow as tf

            devices = tf.config.list_physical_devices("GPU")
            if devices:
                capability = tf.config.experimental.get_device_details(devices[0]).get("compute_capability")
                return bool(capability is not None and capability >= (8, 0))
    return processor_has_bfloat16()
