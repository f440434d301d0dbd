import subprocess
import sys

import pytest

import berthub as hub
from berthub import errors
from support.needs import why_skipped


def test_all_is_sorted_and_there() -> None:
    assert hub.__all__ == sorted(hub.__all__)
    for name in hub.__all__:
        value = getattr(hub, name)
        home = getattr(value, "__module__", value.__name__)
        # What stands for a class whose library is not installed is at home in the package itself.
        assert home.startswith("berthub.") or (home == "berthub" and why_skipped("keras")), name
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
        assert issubclass(getattr(errors, name), UserWarning if name.endswith("Warning") else hub.BerthubError)
    assert str(errors.OutputNotComputedError("plain text")) == "plain text"


def test_dir_shows_public_names_alone() -> None:
    assert {name for name in dir(hub) if not name.startswith("__")} == set(hub.__all__)


_LOOKING = """
import importlib.abc, inspect, io, pydoc, rlcompleter, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in {missing!r} else find_spec(name, *more)
import berthub as hub
members = dict(inspect.getmembers(hub))
assert set(hub.__all__) <= set(members)
assert "load" in pydoc.plaintext.document(hub)
completer = rlcompleter.Completer({{"hub": hub}})
completed = [completer.complete("hub.", state) for state in range(len(hub.__all__))]
assert any("KerasLayer" in name for name in completed), completed
from berthub import *
uses = [lambda: KerasLayer("x"), lambda: TextClassifier("x"), lambda: TextClassifier.load, lambda: Hyperparameters()]
for use in [*uses, lambda: hub.sklearn.BertFeatures()]:
    try:
        use()
    except hub.BerthubError as error:
        assert isinstance(error, ImportError) and "pip install" in str(error), error
    else:
        raise AssertionError("nothing was raised")
print("fine")
"""


@pytest.mark.parametrize("missing", [["keras", "sklearn", "torch", "tensorflow", "jax", "seqeval", "matplotlib"]])
def test_looking_at_all_names_needs_no_extras(missing: list[str]) -> None:
    code = _LOOKING.format(missing=missing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr
