"""OpenVINO: the fast engine for processors, and the only place that imports it."""

from berthub.engines.openvino.importing import import_openvino

import_openvino()

from berthub.engines.openvino.engine import OpenVinoEngine  # noqa: E402
from berthub.engines.openvino.processor import multiplies_bytes_exactly, processor_has_bfloat16  # noqa: E402

__all__ = ["OpenVinoEngine", "multiplies_bytes_exactly", "processor_has_bfloat16"]
