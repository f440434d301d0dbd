import subprocess
import sys

import pytest

import berthub as hub
from berthub import errors


def test_all_is_sorted_and_there() -> None:
    assert hub.__all__ == sorted(hub.__all__)
    for name in hub.__all__:
        value = getattr(hub, name)
        assert getattr(value, "__module__", value.__name__).startswith("berthub.")
    assert set(hub.__all__) <= set(dir(hub))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hub.nothing


def test_the_import_loads_nothing_heavy() -> None:
    heavy = ("openvino", "numpy", "keras", "tensorflow", "torch", "tokenizers", "pyarrow", "requests", "kagglehub",
             "huggingface_hub", "google", "safetensors", "socket", "ssl", "http")  # fmt: skip
    code = f"import sys, berthub; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    assert errors.__all__ == sorted(errors.__all__)
    for name in errors.__all__:
        assert name in (errors.__doc__ or "")
        if name != "TruncationWarning":
            assert issubclass(getattr(errors, name), hub.BerthubError)
    assert str(errors.OutputNotComputedError("plain text")) == "plain text"
