"""Write a Hugging Face BERT as TF Hub published them, by the Model Garden's own exporter.

`python -m benchmarks.export_saved_model FOLDER OUTPUT`. The encoder is the one that TF Hub's BERTs were built with
(`official.nlp.modeling.networks.BertEncoder`, tanh GELU), wrapped by `export_tfhub_lib`; only its weights are
replaced. Needs `tf-models-official` (see README.md).
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

_NAMES = {
    "word_embeddings/embeddings": "embeddings.word_embeddings.weight",
    "position_embedding/embeddings": "embeddings.position_embeddings.weight",
    "type_embeddings/embeddings": "embeddings.token_type_embeddings.weight",
    "embeddings/layer_norm/gamma": "embeddings.LayerNorm.weight",
    "embeddings/layer_norm/beta": "embeddings.LayerNorm.bias",
    "pooler_transform/kernel": "pooler.dense.weight",
    "pooler_transform/bias": "pooler.dense.bias",
}
_PARTS = {
    "self_attention/query": "attention.self.query",
    "self_attention/key": "attention.self.key",
    "self_attention/value": "attention.self.value",
    "self_attention/attention_output": "attention.output.dense",
    "self_attention_layer_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}
_SUFFIXES = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}
_LAYER = re.compile(r"transformer/layer_(\d+)/(.+)/(kernel|bias|gamma|beta)$")


def export(folder: Path, output: Path) -> None:
    import tensorflow as tf
    from official.nlp.configs import encoders
    from official.nlp.tools import export_tfhub_lib
    from safetensors.numpy import load_file

    given = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = encoders.EncoderConfig(
        type="bert",
        bert=encoders.BertEncoderConfig(
            vocab_size=given["vocab_size"],
            hidden_size=given["hidden_size"],
            num_layers=given["num_hidden_layers"],
            num_attention_heads=given["num_attention_heads"],
            intermediate_size=given["intermediate_size"],
            max_position_embeddings=given["max_position_embeddings"],
            type_vocab_size=given["type_vocab_size"],
        ),
    )
    core, encoder = export_tfhub_lib._create_model(encoder_config=config, with_mlm=False)
    weights = load_file(folder / "model.safetensors")
    for variable in encoder.variables:
        variable.assign(_value(variable, weights))
    core.vocab_file = tf.saved_model.Asset(str(folder / "vocab.txt"))
    core.do_lower_case = tf.Variable(True, trainable=False)
    core.save(str(output), include_optimizer=False, save_format="tf")


def _value(variable: Any, weights: dict[str, Any]) -> Any:
    name = variable.name.removesuffix(":0")
    if layer := _LAYER.search(name):
        source = f"encoder.layer.{layer[1]}.{_PARTS[layer[2]]}.{_SUFFIXES[layer[3]]}"
    else:
        source = next(source for target, source in _NAMES.items() if name.endswith(target))
    array = weights[source]
    if name.endswith("kernel"):
        array = array.T
    # Attention keeps heads as an axis of its own; the memory is the same.
    return array.reshape(variable.shape)


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
