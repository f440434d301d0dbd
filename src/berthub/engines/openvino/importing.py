"""Import openvino without the side effects of its import."""

import importlib
import sys
from typing import Any

__all__ = ["import_openvino"]

_CONVERTERS = "openvino.tools.ovc"


def import_openvino() -> None:
    """Import openvino, unless it is imported already, without its telemetry and its converters.

    Where these are missing openvino does without, and so they are missing while it is imported. The telemetry forks
    (unsafe beside the threads of JAX or PyTorch) and reports to its makers. The converters of other libraries' models
    take longer than all the rest, and are there as soon as they are called for.
    """
    if "openvino" in sys.modules:
        return
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    sys.modules[_CONVERTERS] = None  # type: ignore[assignment]
    try:
        openvino: Any = importlib.import_module("openvino")
    finally:
        del sys.modules[_CONVERTERS]

    def convert_model(*arguments: Any, **options: Any) -> Any:
        openvino.convert_model = importlib.import_module(_CONVERTERS).convert_model
        return openvino.convert_model(*arguments, **options)

    openvino.convert_model = convert_model
