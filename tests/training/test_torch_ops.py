import keras
import numpy as np
import pytest

if keras.config.backend() != "torch":
    pytest.skip("these operations are PyTorch's", allow_module_level=True)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    import torch

    from berthub.training.torch_ops import TrainingOps

    ops = TrainingOps(torch.float32, torch.Generator().manual_seed(3))
    x = ops.dropout(torch.ones(1001, 999), 0.1)
    assert abs(float((x == 0).float().mean()) - 0.1) < 2e-3
    np.testing.assert_allclose(x.unique().numpy(), [0, 1 / 0.9], rtol=1e-6)
    # Neighbours are drawn apart.
    kept = (x != 0).float().flatten() - 0.9
    assert all(abs(float((kept[:-step] * kept[step:]).mean())) < 1e-3 for step in (1, 2, 3, 4, 8))
