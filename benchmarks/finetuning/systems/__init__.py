"""The systems that are measured, in the order of the table. A system's library is imported when it is loaded."""

from benchmarks.finetuning.systems.berthub import Berthub
from benchmarks.finetuning.systems.keras_fixed import BerthubLayer, TensorFlowHubLayer
from benchmarks.finetuning.systems.probe import Probe
from benchmarks.finetuning.systems.system import System
from benchmarks.finetuning.systems.transformers import Transformers

__all__ = ["SYSTEMS", "System"]

_SYSTEMS: tuple[System, ...] = (
    TensorFlowHubLayer(),
    BerthubLayer(),
    Transformers(bfloat16=False),
    Transformers(bfloat16=True),
    Transformers(bfloat16=False, paired=True),
    Transformers(bfloat16=False, paired=True, own_head=True),
    Transformers(bfloat16=True, paired=True),
    Berthub(),
    Berthub(precision="float32"),
    *(Berthub(backend) for backend in ("torch", "tensorflow", "jax")),
    Probe(),
)
SYSTEMS: dict[str, System] = {system.name: system for system in _SYSTEMS}
