"""Google's own releases of 2018: `bert_config.json`, `vocab.txt` and a name-based TensorFlow checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint, Origin
from berthub.errors import ModelNotFoundError, UnsupportedModelError
from berthub.formats.files import read_json, read_lines
from berthub.formats.renaming import Rule, rename
from berthub.formats.settings import BERT_CONFIG, Settings, look_up
from berthub.formats.tensorbundle import TensorBundle
from berthub.networks.bert import BertConfig
from berthub.vocabulary import Vocabulary

__all__ = ["read_google"]

FORMAT = "Google checkpoint"

# The canonical names are Google's own; a scope may stand before them, and an optimizer's slots behind them.
_RULES: list[Rule] = [
    (r"(?:.*/)?(bert/embeddings/(?:word|position|token_type)_embeddings)", r"\1"),
    (r"(?:.*/)?(bert/embeddings/LayerNorm/(?:gamma|beta))", r"\1"),
    (r"(?:.*/)?(bert/encoder/layer_\d+/[a-z/]*(?:dense|query|key|value)/(?:kernel|bias))", r"\1"),
    (r"(?:.*/)?(bert/encoder/layer_\d+/[a-z/]*LayerNorm/(?:gamma|beta))", r"\1"),
    (r"(?:.*/)?(bert/pooler/dense/(?:kernel|bias))", r"\1"),
]

# `modeling.py` of the release: its gelu is the tanh form.
_ACTIVATIONS = {"gelu": "gelu_tanh", "relu": "relu"}


def read_google(folder: Path, given: Mapping[str, Any] | None = None) -> Checkpoint:
    """The BERT in a folder with `bert_config.json`, `vocab.txt` and one checkpoint."""
    prefix = _checkpoint_prefix(folder)
    bundle = TensorBundle(prefix)
    if "_CHECKPOINTABLE_OBJECT_GRAPH" in bundle:
        raise UnsupportedModelError(
            f"{prefix} is an object-based checkpoint of the Model Garden, which is not read yet"
        )
    renamed, unknown = rename(bundle.keys, _RULES)
    if "bert/embeddings/word_embeddings" not in renamed:
        raise ModelNotFoundError(
            f"{prefix} holds no BERT: no variable is called bert/embeddings/word_embeddings; "
            f"it has {', '.join(sorted(bundle.keys)[:8])}"
        )
    path = folder / "bert_config.json"
    stored = read_json(path)
    vocabulary = Vocabulary(tuple(read_lines(folder / "vocab.txt")))
    settings = Settings(given)
    settings.put(path.name, **{name: stored[key] for key, name in BERT_CONFIG.items() if key in stored})
    if "hidden_act" in stored:
        activation = look_up(_ACTIVATIONS, stored["hidden_act"], setting="hidden_act", source=str(path))
        settings.put(path.name, activation=activation)
    settings.put("the release's modeling.py", layer_norm_eps=1e-12)
    settings.put_case(vocabulary)
    settings.put("the variables", pooler="bert/pooler/dense/kernel" in renamed)
    return Checkpoint(
        config=settings.config(BertConfig, what=str(path)),
        weights={canonical: bundle.array(name) for canonical, name in renamed.items()},
        vocabulary=vocabulary,
        origin=Origin(format=FORMAT, folder=folder, settings=settings.sources, unused=tuple(sorted(unknown))),
    )


def _checkpoint_prefix(folder: Path) -> Path:
    indices = sorted(folder.glob("*.index"))
    if len(indices) != 1:
        found = ", ".join(path.name for path in indices) or "none"
        raise ModelNotFoundError(f"{folder} should hold one checkpoint (*.index); it holds {found}")
    return indices[0].with_suffix("")
