"""Create an engine by its name."""

from typing import get_args

from berthub.check import check_choice
from berthub.checkpoint import Checkpoint
from berthub.choices import EngineName, Precision
from berthub.engines.engine import Engine
from berthub.errors import InputError

__all__ = ["check_engine", "check_threads", "create_engine"]


def create_engine(
    checkpoint: Checkpoint,
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
) -> Engine:
    """The engine called `engine`; "auto" is OpenVINO.

    `precision` "auto" means bfloat16 where the processor computes in it natively and the engine can, else float32;
    "int8" is for a checkpoint with a quantization. OpenVINO computes with `threads` threads, None being one for each
    core; NumPy's threads are those of its BLAS library, which the environment sets.
    """
    check_engine(engine, precision)
    check_threads(threads)
    if engine == "numpy":
        from berthub.engines.numpy import NumpyEngine

        return NumpyEngine(checkpoint)
    from berthub.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(checkpoint, precision=precision, threads=threads)


def check_threads(threads: int | None) -> None:
    """`InputError` for anything but a whole number of threads from 1, or None."""
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads must be a whole number from 1, or None for one on each core, not {threads!r}")


def check_engine(engine: EngineName, precision: Precision) -> None:
    """`InputError` for options that no model allows, or not this processor; checked before anything is read."""
    check_choice("engine", engine, get_args(EngineName))
    check_choice("precision", precision, get_args(Precision))
    if engine == "numpy" and precision not in ("auto", "float32"):
        raise InputError('engine="numpy" computes in float32 only; use precision="float32", or engine="openvino"')
    if precision == "int8":
        from berthub.engines.openvino import multiplies_bytes_exactly

        if not multiplies_bytes_exactly():
            raise InputError(
                'precision="int8" is not offered on this processor: it adds products of bytes in 16 bits, which '
                "overflow, and takes longer than in float32. int8 needs AVX-512 VNNI, AVX-VNNI, AMX, or Arm's dot "
                'product instructions; use precision="auto" or "float32"'
            )
