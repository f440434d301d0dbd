"""Keras finds the layers of berthub in its registry, whichever of the two is imported first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_KERAS_3 = """
__version__ = "3.15.1"
class saving:
    registry = {}
    get_custom_objects = staticmethod(lambda: saving.registry)
"""
_ORDERS = [
    "import berthub, keras",
    "import keras, berthub",
    "import berthub, keras.other",
    "from keras import saving\nimport berthub",
]


def _run(folder: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(folder)}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The file of a package `keras` that stands in for the real one."""
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "other.py").write_text("")
    return tmp_path / "keras" / "__init__.py"


@pytest.mark.parametrize("order", _ORDERS)
def test_the_order_of_imports_does_not_matter(package: Path, order: str) -> None:
    package.write_text(_KERAS_3)
    shown = _run(
        package.parent.parent,
        f"{order}\nimport sys, keras\nprint(*keras.saving.registry, 'berthub.training' in sys.modules)",
    )
    assert shown == "berthub>KerasLayer berthub>PreprocessingLayer False"


def test_looking_for_keras_is_not_importing_it(package: Path) -> None:
    package.write_text(_KERAS_3)
    code = (
        "import berthub, importlib.util, inspect, sys\n"
        "spec = importlib.util.find_spec('keras'); assert 'keras' not in sys.modules\n"
        "import keras; assert keras.saving.registry; print(inspect.getsource(keras)[1:12])"
    )
    assert _run(package.parent.parent, code) == "__version__"


@pytest.mark.parametrize(
    "source", ['__version__ = "2.15.0"', '__version__ = "nightly"', "", _KERAS_3.replace("saving", "s")]
)
@pytest.mark.parametrize("order", _ORDERS[:2])
def test_another_keras_is_left_alone(package: Path, source: str, order: str) -> None:
    package.write_text(source)
    assert _run(package.parent.parent, f"{order}\nprint('fine')") == "fine"


def test_keras_gets_a_backend_that_is_installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package.write_text(f"{_KERAS_3}\nimport os\nchosen = os.environ.get('KERAS_BACKEND')")
    home = package.parent.parent / "home"
    home.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    code = (
        "import importlib.util\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: name if name in {!r} else None if name in {!r} else find(name)\n"
        "import berthub, keras; print(keras.chosen)"
    )
    every = ["tensorflow", "jax", "torch"]
    folder = package.parent.parent
    assert _run(folder, code.format(["torch"], every)) == "torch"
    assert _run(folder, code.format(["torch", "jax"], every)) == "jax"
    assert _run(folder, code.format([], every)) == "None"
    (home / "keras.json").write_text('{"backend": "tensorflow"}')
    assert _run(folder, code.format(["torch"], every)) == "torch"
    assert _run(folder, code.format(every, [])) == "None"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert _run(folder, code.format(["torch"], every)) == "jax"


def test_a_broken_keras_raises_its_own_error(package: Path) -> None:
    package.write_text("raise OSError('broken')")
    code = "import berthub\ntry:\n    import keras\nexcept OSError as error:\n    print(error)"
    assert _run(package.parent.parent, code) == "broken"


def test_without_keras(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:] = [path for path in sys.path if not path.endswith('site-packages')]\n"
        f"sys.path.append({str(Path(__file__).parent.parent / 'src')!r})\n"
        "import berthub\ntry:\n    import keras\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    assert _run(tmp_path, code) == "No module named 'keras'"
