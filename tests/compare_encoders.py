"""Compare encoders of real size with transformers, on every engine: python tests/compare_encoders.py [NAME ...]

A folder is made for each architecture, with random weights of every kind and a small vocabulary, and read by
transformers and by berthub: 200 texts, and pairs of them. `--trained FOLDER` compares a sentence-transformers folder.
What is printed is the largest difference in all token vectors, as a share of the largest value.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent))

import berthub as hub
from berthub.engines.create import create_engine
from berthub.formats import read
from berthub.networks.outputs import Output, build
from support.pipelines import texts, write_tokenizer

_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
_ROBERTA = {**_BASE, "type_vocab_size": 1, "max_position_embeddings": 514, "layer_norm_eps": 1e-5, "pad_token_id": 1}
_RELATIVE = {"relative_attention": True, "max_position_embeddings": 512, "position_buckets": 256}
# The settings of microsoft/deberta-v3-base and microsoft/deberta-v2-xlarge, but for the sizes.
_V3 = {
    "position_biased_input": False,
    "pos_att_type": "p2c|c2p",
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "max_relative_positions": -1,
}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mpnet": ("MPNet", "mpnet_json", {**_BASE, "max_position_embeddings": 514, "layer_norm_eps": 1e-5}),
    "xlm_roberta": ("XLMRoberta", "xlm_roberta_json", _ROBERTA),
    "camembert": ("Camembert", "camembert_model", _ROBERTA),
    "deberta_v3": ("DebertaV2", "deberta_json", {**_BASE, **_RELATIVE, **_V3}),
    "deberta_v2": (
        "DebertaV2",
        "deberta_model",
        {**_BASE, **_RELATIVE, **_V3, "conv_kernel_size": 3, "conv_act": "gelu"},
    ),
    "deberta_apart": (
        "DebertaV2",
        "deberta_json",
        {**_BASE, **_RELATIVE, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 2, "position_buckets": -1},
    ),
}


def make(name: str, folder: Path, **sizes: int) -> Any:
    """transformers' model of that name, with every weight at random, in a folder with its tokenizer."""
    title, kind, settings = MODELS[name]
    write_tokenizer(kind, folder, model_max_length=sizes.pop("model_max_length", 512))
    count = len(transformers.AutoTokenizer.from_pretrained(folder, config=_config(title)()))
    model = getattr(transformers, f"{title}Model")(_config(title)(**{**settings, "vocab_size": count, **sizes}))
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw) * 0.02)
    model.save_pretrained(folder)
    return model.eval()


def _config(title: str) -> Any:
    return getattr(transformers, f"{title}Config")


def theirs(folder: Path, given: list[Any]) -> tuple[list[Any], list[Any]]:
    """transformers' ids and token vectors, one text or pair at a time."""
    tokenizer, model = (kind.from_pretrained(folder) for kind in (transformers.AutoTokenizer, transformers.AutoModel))
    ids, vectors = [], []
    with torch.no_grad():
        for text in given:
            parts = text if isinstance(text, tuple) else (text,)
            tokens = tokenizer(*parts, truncation=True, return_tensors="pt")
            ids.append(tokens["input_ids"][0].tolist())
            vectors.append(model.eval()(**tokens).last_hidden_state[0].numpy())
    return ids, vectors


def ours(folder: Path, given: list[Any], engine: str) -> tuple[list[Any], list[Any]]:
    """berthub's, all at once."""
    checkpoint = read(folder)
    tokenizer = hub.Tokenizer.from_checkpoint(checkpoint)
    tokens = tokenizer.tokens(given)
    ids = [row.tolist() for row in np.split(tokens.ids, tokens.row_splits[1:-1])]
    if engine in ("numpy", "openvino"):
        made = create_engine(checkpoint, engine=engine, precision="float32")
        encoded = hub.Encoder(checkpoint, tokenizer, made).encode(given)
        return ids, [row[: len(own)] for row, own in zip(encoded["sequence_output"], ids, strict=True)]
    width = max(map(len, ids))
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids], np.int32)
    pad = checkpoint.vocabulary.ids[checkpoint.vocabulary.pad]
    padded = np.array([row + [pad] * (width - len(row)) for row in ids], np.int32)
    types = np.zeros_like(mask)
    types[mask != 0] = tokens.type_ids
    return ids, _others(checkpoint, engine, padded, mask, types, folder)


def _others(checkpoint: Any, engine: str, ids: Any, mask: Any, types: Any, folder: Path) -> list[Any]:
    lengths = mask.sum(1)
    if engine == "onnx":
        import onnxruntime

        from berthub.formats.onnx.writer import write_onnx

        write_onnx(checkpoint, folder / "onnx")
        session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
        names = ("input_ids", "attention_mask", "token_type_ids")
        given = dict(zip(names, (array.astype(np.int64) for array in (ids, mask, types)), strict=True))
        known = {each.name for each in session.get_inputs()}
        found = session.run(["sequence_output"], {name: array for name, array in given.items() if name in known})[0]
    elif engine == "keras":
        inputs = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
        layer = hub.KerasLayer(checkpoint, output_key="sequence_output")
        import keras

        found = keras.ops.convert_to_numpy(layer(inputs))
    else:
        from berthub.engines.torch.ops import TorchOps
        from berthub.engines.torch.ragged import Ragged

        tensors = {name: torch.from_numpy(array) for name, array in (("ids", ids), ("mask", mask), ("type_ids", types))}
        places = Ragged.of_mask(tensors["mask"]) if engine == "ragged" else None
        if places is not None:
            tensors |= {name: places.take(tensors[name]) for name in ("ids", "type_ids")}
        weights = {name: torch.from_numpy(np.array(array)) for name, array in checkpoint.weights.items()}
        output = Output(-1).resolved(checkpoint.config)
        with torch.inference_mode():
            (vectors,) = build(TorchOps(torch.float32, ragged=places), checkpoint.config, weights, [output], **tensors)
        found = (vectors if places is None else places.pad(vectors)).numpy()
    return [row[:length] for row, length in zip(found, lengths, strict=True)]


def difference(left: list[Any], right: list[Any]) -> float:
    """The largest difference as a share of the largest value."""
    scale = max(float(np.abs(row).max()) for row in right)
    return max(float(np.abs(a - b).max()) for a, b in zip(left, right, strict=True)) / scale


def main() -> None:
    """Print a line for each architecture and engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*MODELS])
    parser.add_argument("--trained", type=Path)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--few", type=int, default=24, help="texts for the engines that are slow")
    options = parser.parse_args()
    if options.trained is not None:
        compare_sentences(options.trained, texts(options.texts))
        return
    for name in options.names:
        with tempfile.TemporaryDirectory() as place:
            make(name, Path(place))
            # In transformers' RoBERTa and MPNet the piece of padding within a text takes no position; here it does.
            given: list[Any] = [text for text in texts(options.texts) if "<pad>" not in text]
            given += [*zip(given[:20], reversed(given[20:40]), strict=True)]
            begin = time.perf_counter()
            ids, expected = theirs(Path(place), given)
            print(f"{name}: {len(given)} texts, transformers {time.perf_counter() - begin:.0f} s", flush=True)
            few = [*range(12, 12 + options.few - 4), *range(len(given) - 4, len(given))]
            for engine in ("openvino", "torch", "ragged", "keras", "onnx", "numpy"):
                chosen = [*range(len(given))] if engine == "openvino" else few
                begin = time.perf_counter()
                own_ids, found = ours(Path(place), [given[at] for at in chosen], engine)
                same = own_ids == [ids[at] for at in chosen]
                share = difference(found, [expected[at] for at in chosen])
                seconds = time.perf_counter() - begin
                print(
                    f"  {engine:9} {len(chosen):4} texts  ids equal: {same}  {share:.1e}  {seconds:.0f} s", flush=True
                )


def compare_sentences(folder: Path, given: list[str]) -> None:
    """Compare the vectors of a sentence-transformers folder."""
    import sentence_transformers

    expected = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(given)
    for engine in ("openvino", "numpy"):
        chosen = given if engine == "openvino" else given[:20]
        found = hub.load(folder, engine=engine, precision="float32").embed(chosen)
        share = difference([*found], [*expected[: len(chosen)]])
        print(f"{folder.name} {engine:9} {len(chosen)} texts  {share:.1e}", flush=True)


if __name__ == "__main__":
    main()
