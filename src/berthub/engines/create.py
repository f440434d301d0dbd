"""The choice of an engine by its name."""

from typing import get_args

from berthub.checkpoint import Checkpoint
from berthub.engines.engine import Engine, EngineName, Precision
from berthub.errors import InputError

__all__ = ["create_engine"]


def create_engine(checkpoint: Checkpoint, *, engine: EngineName = "auto", precision: Precision = "auto") -> Engine:
    """The engine called `engine`; "auto" is OpenVINO.

    `precision` "auto" means bfloat16 where the processor computes in it natively and the engine can, else float32;
    "int8" is for a checkpoint with a quantization.
    """
    if engine not in get_args(EngineName):
        raise InputError(f"engine={engine!r} is not known; use one of {', '.join(get_args(EngineName))}")
    if precision not in get_args(Precision):
        raise InputError(f"precision={precision!r} is not known; use one of {', '.join(get_args(Precision))}")
    if engine == "numpy":
        from berthub.engines.numpy import NumpyEngine

        return NumpyEngine(checkpoint, precision=precision)
    from berthub.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(checkpoint, precision=precision)
