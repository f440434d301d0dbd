"""The gradients of architectures with rotary positions are those of transformers, with padding and without."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.formats import read
from support.transformers_models import inputs, randomize, transformers

torch: Any = pytest.importorskip("torch")

from berthub.engines.torch.ragged import Ragged  # noqa: E402
from berthub.networks.outputs import Output, build  # noqa: E402
from berthub.training.torch_ops import TrainingOps  # noqa: E402

_SIZES = {"vocab_size": 40, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 36, "pad_token_id": 0}
_MODERN = {"num_hidden_layers": 4, "local_attention": 4, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2}
_CONFIGS: dict[str, dict[str, Any]] = {
    "ModernBert": {**_MODERN, "sep_token_id": 3},
    "NomicBert": {"num_hidden_layers": 2},
    "Gte": {"num_hidden_layers": 2, "type_vocab_size": 2},
}


def _loss(states: Any, inside: Any) -> Any:
    # No mean and no square, which the last norm would hold constant.
    return 10 * (states[inside] ** 3).mean()


@pytest.mark.parametrize("title", _CONFIGS)
def test_the_gradients_are_those_of_transformers(tmp_path: Path, title: str) -> None:
    settings = {**_SIZES, "max_position_embeddings": 20, **_CONFIGS[title]}
    model = randomize(
        getattr(transformers, f"{title}Model")(getattr(transformers, f"{title}Config")(**settings))
    ).eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    checkpoint = read(tmp_path)
    batch = {name: torch.from_numpy(array).long() for name, array in inputs(checkpoint).items()}
    ids, mask, types = batch.values()
    inside = mask.bool()
    named = {"token_type_ids": types} if checkpoint.config.type_vocab_size > 1 else {}
    _loss(model(input_ids=ids, attention_mask=mask, **named).last_hidden_state, inside).backward()
    expected = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}

    for places in (None, Ragged.of_mask(mask)):
        weights = {
            name: torch.tensor(np.array(weight), requires_grad=True) for name, weight in checkpoint.weights.items()
        }
        given = [ids, types] if places is None else [places.take(ids), places.take(types)]
        (states,) = build(
            TrainingOps(torch.float32, None, ragged=places),
            checkpoint.config,
            weights,
            [Output().resolved(checkpoint.config)],
            ids=given[0],
            mask=mask,
            type_ids=given[1],
        )
        _loss(states if places is None else places.pad(states), inside).backward()
        found = {name: weight.grad.to_dense().numpy() for name, weight in weights.items()}
        # Every value of a gradient, whatever the weight is called there and how it lies.
        ours, theirs = (
            np.sort(np.concatenate([array.ravel() for array in each.values()])) for each in (found, expected)
        )
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
        table = next(
            array
            for name, array in expected.items()
            if name.endswith(("tok_embeddings.weight", "word_embeddings.weight"))
        )
        np.testing.assert_allclose(
            found["bert/embeddings/word_embeddings"][1:], table[1:], rtol=0, atol=1e-5 * np.abs(table).max()
        )
