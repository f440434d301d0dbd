import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from berthub.engines.openvino.pages import given_back
from berthub.formats import read

_PROGRAM = """
import sys
import berthub.engines.openvino
assert "openvino.tools.ovc" not in sys.modules
assert sys.modules["openvino_telemetry"] is None
import openvino
stand_in = openvino.convert_model
try:
    openvino.convert_model("there is no such file")
except Exception as error:
    print(type(error).__name__)
assert openvino.convert_model is not stand_in
"""


def test_openvino_comes_without_telemetry_and_with_converters_when_they_are_called() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert "AttributeError" not in done.stdout
    assert done.stdout.strip(), "converting nothing is an error of the converters"


@pytest.mark.parametrize("name", ["hf_bert", "tf2_v4", "google_checkpoint"])
def test_pages_that_are_given_back_hold_the_same_weights(models: Path, name: str) -> None:
    checkpoint = read(models / name)
    before = {name: weight.copy() for name, weight in checkpoint.weights.items()}
    with given_back(checkpoint.weights):
        pass
    for name, weight in checkpoint.weights.items():
        np.testing.assert_array_equal(weight, before[name])
        # What is given back must not hold anything that the file does not.
        assert not weight.flags.writeable
