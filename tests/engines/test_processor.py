import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from berthub.engines.openvino import multiplies_bytes_exactly, processor_has_bfloat16

_PROGRAM = "from berthub.engines.openvino import multiplies_bytes_exactly; print(multiplies_bytes_exactly())"


def _flags() -> set[str]:
    """What the system says of the processor: another judge than the products that were tried."""
    found = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not found.exists():
        pytest.skip("the system does not list the processor's instructions as Linux does on x86-64")
    if "ONEDNN_MAX_CPU_ISA" in os.environ or "EMULATED_PROCESSOR" in os.environ:
        pytest.skip("the system tells of the processor, and the tests run on less")
    match = re.search(r"^flags\s*:(.*)$", found.read_text(), re.MULTILINE)
    assert match
    return set(match[1].split())


def test_sums_of_bytes_are_exact_where_the_processor_has_the_instructions() -> None:
    assert multiplies_bytes_exactly() == bool(_flags() & {"avx512_vnni", "avx_vnni", "amx_int8"})


def test_bfloat16_is_native_where_the_processor_has_the_instructions() -> None:
    assert processor_has_bfloat16() == bool(_flags() & {"avx512_bf16", "amx_bf16"})


@pytest.mark.skipif(platform.machine() != "x86_64", reason="instruction sets of x86-64")
def test_sums_of_bytes_are_not_exact_on_a_lower_instruction_set() -> None:
    lowered = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], env=lowered, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
