import json

import numpy as np
import pytest

from berthub.errors import InputError
from berthub.training.hyperparameters import Hyperparameters


def test_the_rate_rises_then_falls_and_is_never_zero() -> None:
    rates = [Hyperparameters(warmup=0.1).rate(step, 50, peak=2.0) for step in range(50)]
    np.testing.assert_allclose(rates[:5], [0.4, 0.8, 1.2, 1.6, 2.0])
    assert max(rates) == 2.0
    np.testing.assert_allclose(np.diff(rates[5:]), -2.0 / 45)
    assert rates[-1] == pytest.approx(2.0 / 45)


@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 1), (0.0, 7), (1.0, 7), (1.0, 1), (0.1, 1), (0.1, 3)])
def test_every_step_has_a_rate(warmup: float, steps: int) -> None:
    rates = [Hyperparameters(warmup=warmup).rate(step, steps, peak=1.0) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert max(rates) == 1.0


def test_numpys_numbers_will_do() -> None:
    made = Hyperparameters(epochs=np.int64(4), learning_rate=np.float32(0.5), warmup=0)  # type: ignore[arg-type]
    assert json.loads(json.dumps(made.to_dict()))["epochs"] == 4
    assert (made.learning_rate, made.warmup) == (0.5, 0.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1, not 0"),
        ({"epochs": 2.0}, "epochs must be a whole number from 1, not 2.0"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"epochs": None}, "epochs must be a whole number"),
        ({"batch_size": "32"}, "batch_size must be a whole number from 1, not '32'"),
        ({"patience": 0}, "patience must be"),
        ({"checkpoint_steps": -1}, "checkpoint_steps must be"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number from 0 to 1, not nan"),
        ({"learning_rate": 2}, "learning_rate must be a number from 0 to 1, not 2"),
        ({"warmup": "0.1"}, "warmup must be"),
        ({"weight_decay": -0.1}, "weight_decay must be"),
        ({"clip_norm": 0}, "clip_norm must be more than 0"),
        ({"precision": "float16"}, "precision must be one of auto, bfloat16, float32, not 'float16'"),
        ({"lr": 1e-3, "epoch": 2}, "lr, epoch: not known; the hyperparameters are epochs, batch_size, learning_rate"),
    ],
)
def test_what_makes_no_sense_is_told(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Hyperparameters.of(given)
    assert message in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputError, match=r"epochs must .*; warmup must .*; precision must "):
        Hyperparameters.of({"epochs": 0, "warmup": 3, "precision": "half"})
