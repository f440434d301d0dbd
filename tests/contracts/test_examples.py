"""The programs in `examples/` run as they stand there, with a tiny model behind their handle, on Keras's backend."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.needs import needs, why_skipped

pytestmark = needs("keras")
_EXAMPLES = Path(__file__).parent.parent.parent / "examples"
# return_tensors -> the library that it needs.
_FRAMEWORKS = {"tf": "tensorflow", "np": "numpy", "pt": "torch", "jax": "jax"}


@pytest.fixture(autouse=True)
def _tiny_model(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from berthub.training.backend import import_keras

    import_keras()
    for home in ("tokenization.tokenizer", "training.layer_kinds", "training.layer_model"):
        monkeypatch.setattr(f"berthub.{home}.resolve", lambda handle=None, **options: models / "tf2_v4")


def _run(name: str, framework: str = "tf") -> dict[str, Any]:
    """What the program leaves behind, with the tensors of another library where its own is not asked for."""
    if reason := why_skipped(_FRAMEWORKS[framework]):
        pytest.skip(reason)
    path = _EXAMPLES / f"{name}.py"
    program = path.read_text(encoding="utf-8").replace('return_tensors="tf"', f'return_tensors="{framework}"')
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(program, str(path), "exec"), names)
    return names


@pytest.mark.parametrize("framework", _FRAMEWORKS)
def test_token_encodings(framework: str) -> None:
    names = _run("token_encodings", framework)
    assert tuple(names["token_encodings"].shape) == (2, names["encoded"]["input_ids"].shape[1], 32)


@pytest.mark.parametrize("framework", ["tf", "np"])
def test_pooled_encodings(framework: str) -> None:
    assert tuple(_run("pooled_encodings", framework)["pooled_encodings"].shape) == (2, 32)


def test_fine_tuning(capsys: pytest.CaptureFixture[str]) -> None:
    names = _run("fine_tuning")
    assert "Trainable params" in capsys.readouterr().out
    history = names["model"].history.history
    assert np.isfinite(history["loss"]).all()
    assert sorted(history) == ["accuracy", "loss"]
