"""Makes the KerasHub presets in tests/data/models/keras_hub_*: tiny backbones with random weights, and their outputs.

    KERAS_BACKEND=torch python tests/support/make_keras_hub.py     # from the repository's root

It needs keras-hub (made with 0.32.0 on Keras 3.15.1 and PyTorch 2.13), which berthub itself does not.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import tokenizers

MODELS = Path(__file__).parent.parent / "data" / "models"
WORDPIECES = MODELS / "tf2_v4" / "assets" / "vocab.txt"
SENTENCEPIECES = MODELS / "albert_v3" / "assets" / "30k-clean.model"
SIZES = {"num_layers": 2, "num_heads": 4, "hidden_dim": 32, "intermediate_dim": 48, "max_sequence_length": 32}
TEXTS = ["The quick brown fox jumps over the lazy dog.", "In 1969, three men went to the Moon!"]
LENGTHS = (24, 17, 5)


def main() -> None:
    """Make every preset anew."""
    bpe = _byte_pairs()
    hub, pieces = keras_hub.models, WORDPIECES.read_text(encoding="utf-8").split()
    spm = keras_hub.models.AlbertTokenizer(proto=SENTENCEPIECES.read_bytes())
    narrow = {**SIZES, "embedding_dim": 16}
    wordpieces = {"vocabulary": pieces, "lowercase": True, "strip_accents": True}
    _make("bert", hub.BertBackbone(vocabulary_size=len(pieces), **SIZES), hub.BertTokenizer(**wordpieces))
    _make("electra", hub.ElectraBackbone(vocab_size=len(pieces), **narrow), hub.ElectraTokenizer(**wordpieces))
    cased = hub.DistilBertTokenizer(vocabulary=pieces, lowercase=False)
    _make("distil_bert", hub.DistilBertBackbone(vocabulary_size=len(pieces), **SIZES), cased)
    groups = {"num_groups": 2, "num_inner_repetitions": 2, **narrow, "num_layers": 4}
    _make("albert", hub.AlbertBackbone(vocabulary_size=spm.vocabulary_size(), **groups), spm)
    _make("roberta", hub.RobertaBackbone(vocabulary_size=bpe.vocabulary_size(), **SIZES), bpe)


def _make(name: str, backbone: Any, tokenizer: Any) -> None:
    folder = MODELS / f"keras_hub_{name}"
    shutil.rmtree(folder, ignore_errors=True)
    random = np.random.default_rng(1)
    # Wide enough that every setting shows in the outputs, biases and norms included.
    backbone.set_weights([_weight(random, weight) for weight in backbone.weights])
    backbone.save_to_preset(str(folder))
    tokenizer.save_to_preset(str(folder))
    golden = {f"a.{key}": value for key, value in _batch(random, backbone).items()}
    for row, text in enumerate(TEXTS):
        golden[f"tokens.{row}"] = np.asarray(tokenizer(text), np.int32)
    np.savez_compressed(folder / "golden.npz", **golden)
    versions = f"keras-hub {keras_hub.__version__}, keras {keras.__version__}, backend {keras.backend.backend()}"
    about = {"saved_with": versions, "made_by": "tests/support/make_keras_hub.py", "weights": "random, seed 1"}
    (folder / "golden.json").write_text(json.dumps({**about, "texts": TEXTS}, indent=1) + "\n")


def _weight(random: np.random.Generator, weight: Any) -> np.ndarray:
    center = 1.0 if weight.path.endswith("gamma") else 0.0
    return (center + 0.2 * random.standard_normal(weight.shape)).astype(np.float32)


def _batch(random: np.random.Generator, backbone: Any) -> dict[str, np.ndarray]:
    size = (len(LENGTHS), max(LENGTHS))
    ids = random.integers(0, backbone.token_embedding.input_dim, size).astype(np.int32)
    mask = (np.arange(size[1]) < np.array(LENGTHS)[:, None]).astype(np.int32)
    types = random.integers(0, 2, size).astype(np.int32) if len(backbone.inputs) == 3 else np.zeros(size, np.int32)
    inputs = {"token_ids": ids, "padding_mask": mask}
    if len(backbone.inputs) == 3:
        inputs["segment_ids"] = types
    outputs = backbone(inputs, training=False)
    if not isinstance(outputs, dict):
        outputs = {"sequence_output": outputs}
    outputs = {key: keras.ops.convert_to_numpy(value) for key, value in outputs.items()}
    return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types, **outputs}


def _byte_pairs() -> Any:
    """A RoBERTa tokenizer, trained on the two texts and this file."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pipeline = tokenizers.Tokenizer(tokenizers.models.BPE())
    pipeline.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    pipeline.train_from_iterator([*TEXTS, Path(__file__).read_text(encoding="utf-8")], trainer)
    model = json.loads(pipeline.to_str())["model"]
    merges = [" ".join(pair) for pair in model["merges"]]
    return keras_hub.models.RobertaTokenizer(vocabulary=model["vocab"], merges=merges)


if __name__ == "__main__":
    main()
