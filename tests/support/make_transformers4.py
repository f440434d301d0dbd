"""Makes what transformers 5 cannot write: tests/data/models/tf_bert*, flax_bert*, and tests/data/foreign_names.jsonl.

    TF_USE_LEGACY_KERAS=1 python tests/support/make_transformers4.py     # from the repository's root

It needs transformers 4 with TensorFlow and Flax (made with 4.44.2, tensorflow-cpu 2.16.2, tf-keras 2.16.0, flax 0.8.5,
jax 0.4.30), in an environment of its own. The folders hold tiny models with random weights, and their outputs; the
file of names says for each class of model what its weights are called in each kind of file, with their shapes.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import flax.serialization
import h5py
import numpy as np
import transformers
from flax.traverse_util import flatten_dict, unflatten_dict

DATA = Path(__file__).parent.parent / "data"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(15))]
BERT = {
    "vocab_size": len(PIECES),
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 10,
}
DISTIL = {"vocab_size": 20, "dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 12, "max_position_embeddings": 10}
CONFIGS = {
    "Bert": BERT,
    "Albert": {**BERT, "embedding_size": 4, "num_hidden_layers": 2, "num_hidden_groups": 2},
    "DistilBert": DISTIL,
    "Electra": {**BERT, "embedding_size": 4},
    "Roberta": {**BERT, "pad_token_id": 1},
    "MobileBert": {**BERT, "embedding_size": 4, "intra_bottleneck_size": 6, "num_feedforward_networks": 2},
    "DebertaV2": {
        **BERT,
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_buckets": 4,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "MPNet": {**BERT, "pad_token_id": 1},
    "XLMRoberta": {**BERT, "pad_token_id": 1},
    "Camembert": {**BERT, "pad_token_id": 1},
}
KINDS = ("ForMaskedLM", "ForSequenceClassification")
IDS = np.array([[2, 5, 6, 7, 8, 9, 3], [2, 10, 11, 3, 0, 0, 0]], np.int32)
MASK = (IDS > 0).astype(np.int32)
TYPES = np.array([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 0]], np.int32)


def main() -> None:
    """Make everything anew."""
    for prefix in ("TF", "Flax"):
        model = _model(prefix, "Bert", "Model")
        inputs = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": TYPES}
        outputs = model(**inputs)
        for sharded in (False, True):
            _save(model, DATA / "models" / f"{prefix.lower()}_bert{'_sharded' * sharded}", outputs, sharded)
    lines = []
    for prefix in ("TF", "Flax"):
        for title, config in CONFIGS.items():
            for kind in KINDS:
                if hasattr(transformers, f"{prefix}{title}{kind}"):
                    with tempfile.TemporaryDirectory() as scratch:
                        _model(prefix, title, kind).save_pretrained(scratch)
                        about = {"by": prefix, "title": title, "kind": kind, "config": config}
                        lines.append(json.dumps({**about, "names": _names(Path(scratch))}))
    (DATA / "foreign_names.jsonl").write_text("\n".join(lines) + "\n")


def _model(prefix: str, title: str, kind: str) -> Any:
    config = getattr(transformers, f"{title}Config")(**CONFIGS[title])
    model = getattr(transformers, f"{prefix}{title}{kind}")(config)
    random = np.random.default_rng(1)

    def drawn(name: str, array: Any) -> np.ndarray:
        center = 1.0 if name.endswith(("gamma:0", "scale")) else 0.0
        return (center + 0.2 * random.standard_normal(array.shape)).astype(np.float32)

    if prefix == "TF":
        model(model.dummy_inputs)
        model.set_weights([drawn(weight.name, weight) for weight in model.weights])
    else:
        flat = flatten_dict(model.params, sep="/")
        model.params = unflatten_dict({name: drawn(name, array) for name, array in flat.items()}, sep="/")
    return model


def _save(model: Any, folder: Path, outputs: Any, sharded: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, max_shard_size="2KB" if sharded else "1GB")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    np.savez_compressed(
        folder / "golden.npz",
        **{"a.input_word_ids": IDS, "a.input_mask": MASK, "a.input_type_ids": TYPES},
        **{"a.sequence_output": outputs.last_hidden_state, "a.pooled_output": outputs.pooler_output},
    )
    versions = f"transformers {transformers.__version__}, {type(model).__name__}"
    about = {"saved_with": versions, "made_by": "tests/support/make_transformers4.py", "weights": "random, seed 1"}
    (folder / "golden.json").write_text(json.dumps(about, indent=1) + "\n")


def _names(folder: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    if (path := folder / "tf_model.h5").is_file():
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item: found.update({name: list(item.shape)}) if isinstance(item, h5py.Dataset) else None
            )
        return found
    tree = flax.serialization.msgpack_restore((folder / "flax_model.msgpack").read_bytes())
    return {name: list(array.shape) for name, array in flatten_dict(tree, sep="/").items()}


if __name__ == "__main__":
    main()
