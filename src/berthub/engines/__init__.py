"""A `Checkpoint` becomes something that runs batches."""

import sys

if "openvino" not in sys.modules:
    # openvino imports its telemetry, which forks (unsafe beside the threads of JAX or PyTorch) and reports to its
    # makers. Where that package is missing openvino does without, and so it is missing here.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
