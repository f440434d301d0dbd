"""`berthub.export`: write a model in the format that another library reads."""

import dataclasses
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from berthub.atomic import check_new_folder
from berthub.check import check_choice
from berthub.checkpoint import Checkpoint
from berthub.choices import TOKENIZATIONS, ExportFormat
from berthub.embedding import UNSAID, Embedding
from berthub.encoding.encoder import Encoder
from berthub.errors import InputError, MissingDependencyError, UnsupportedModelError
from berthub.formats import read
from berthub.formats.native import write_native
from berthub.networks.network import weight_shapes
from berthub.sources.resolve import resolve

if TYPE_CHECKING:
    from berthub.training.keras_layer import KerasLayer

__all__ = ["FORMATS", "export"]


def export(
    model: "str | os.PathLike[str] | Checkpoint | Encoder | KerasLayer | None",
    path: str | os.PathLike[str],
    *,
    to: ExportFormat,
    encoder_only: bool = False,
    settings: Mapping[str, Any] | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
    sha256: str | Mapping[str, str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
) -> Path:
    """Write a model in the format `to`, and return the path.

    `model` is what `berthub.load` takes (with its `settings`, `vocabulary`, `sha256`, `cache_dir` and `offline`), or a
    `Checkpoint`, an `Encoder` or a `KerasLayer`. `path` is a folder, new or empty; for keras a new file that ends in
    `.keras`. The weights are written bit for bit. Nothing is left at `path` if anything fails: what the system
    refuses is a `WriteError`.

    What the model's files say of its sentence vectors (pooling, normalization, length) is written, too. google cannot
    hold that, and huggingface cannot hold what berthub does not compute; with `encoder_only` they leave it out.

    A model's heads are written, too, unless `encoder_only`. native, huggingface and onnx (as the output `logits`) can
    hold the head of a fine-tuned model; the other formats raise `UnsupportedModelError`, as google and
    huggingface do for what Google's code and transformers cannot compute. `MissingDependencyError` says what has
    to be installed: savedmodel is written by TensorFlow, keras by Keras, onnx by the onnx library, the others by
    berthub.
    """
    check_choice("to", to, FORMATS)
    writer, target = FORMATS[to], Path(path).absolute()
    if writer.library is not None and importlib.util.find_spec(writer.library) is None:
        raise MissingDependencyError(
            f"{to} is written with {writer.library}, which is not installed: pip install {writer.install}"
        )
    _check_target(target, suffix=writer.suffix)
    if model is None or isinstance(model, str | os.PathLike):
        folder = resolve(model, sha256=sha256, cache_dir=cache_dir, offline=offline)
        model = read(folder, settings=settings, vocabulary=vocabulary)
    checkpoint = _without_heads(_checkpoint(model)) if encoder_only else _checkpoint(model)
    if checkpoint.head is not None and not writer.takes_heads:
        raise UnsupportedModelError(
            f"the model was fine-tuned ({checkpoint.head.task}), and {to} has no place for its head: write the "
            "encoder alone (encoder_only=True, --encoder-only), or one of "
            + ", ".join(name for name, other in FORMATS.items() if other.takes_heads)
        )
    if checkpoint.config.tokenization not in writer.tokenizations:
        raise UnsupportedModelError(
            f"{to} has no place for tokenization={checkpoint.config.tokenization!r}, and whatever reads it would "
            'tokenize texts otherwise: export the model with tokenization "google", or one of '
            + ", ".join(name for name, other in FORMATS.items() if "tf_text" in other.tokenizations)
        )
    if not writer.holds(checkpoint.embedding):
        if not encoder_only:
            raise UnsupportedModelError(
                f"the model's files say how sentence vectors are made ({checkpoint.embedding.described}), and {to} "
                "has no place for that: write the encoder alone (encoder_only=True, --encoder-only), or one of "
                + ", ".join(name for name, other in FORMATS.items() if other.holds(checkpoint.embedding))
            )
        checkpoint = dataclasses.replace(checkpoint, embedding=UNSAID)
    writer.write(checkpoint, target)
    return Path(path)


def _checkpoint(model: Any) -> Checkpoint:
    if isinstance(model, Checkpoint):
        return model
    if isinstance(model, Encoder):
        return model.checkpoint
    # Not by its class, whose import takes Keras: a caller that has a layer has imported it.
    if callable(method := getattr(model, "checkpoint", None)):
        checkpoint = method()
        if isinstance(checkpoint, Checkpoint):
            return checkpoint
    raise InputError(
        f"a {type(model).__name__} cannot be exported; accepted: a handle or folder, a Checkpoint, an Encoder, "
        "a KerasLayer"
    )


def _without_heads(checkpoint: Checkpoint) -> Checkpoint:
    config = dataclasses.replace(checkpoint.config, mlm=False)
    weights = {name: checkpoint.weights[name] for name in weight_shapes(config)}
    return dataclasses.replace(checkpoint, config=config, weights=weights, head=None)


def _check_target(target: Path, *, suffix: str) -> None:
    """Raise `InputError` where nothing may be written, before a model is fetched."""
    if not suffix:
        check_new_folder(target)
    elif target.suffix != suffix:
        raise InputError(f"{target} should be a file that ends in {suffix}")
    elif target.exists():
        raise InputError(f"{target} exists: choose another name, or remove it first")


def _write_google(checkpoint: Checkpoint, path: Path) -> None:
    from berthub.formats.tensorflow.google_writer import write_google

    write_google(checkpoint, path)


def _write_huggingface(checkpoint: Checkpoint, path: Path) -> None:
    from berthub.formats.huggingface.writer import write_huggingface

    write_huggingface(checkpoint, path)


def _write_keras(checkpoint: Checkpoint, path: Path) -> None:
    from berthub.training.keras_model import write_keras_model

    write_keras_model(checkpoint, path)


def _write_onnx(checkpoint: Checkpoint, path: Path) -> None:
    from berthub.formats.onnx.writer import write_onnx

    write_onnx(checkpoint, path)


def _write_savedmodel(checkpoint: Checkpoint, path: Path) -> None:
    from berthub.training.saved_model import export_saved_model

    export_saved_model(checkpoint, path)


@dataclass(frozen=True, kw_only=True)
class FormatWriter:
    """How a format is written, and what it can hold.

    `library` is what the writer needs, and `install` what pip is to install for it. `suffix` is that of a file; a
    format without one is a folder. A format may hold the head of a fine-tuned model (`takes_heads`), the
    `tokenizations` of some implementations, and what is said of sentence vectors: all of it, what berthub
    computes, or none.
    """

    write: Callable[[Checkpoint, Path], None]
    library: str | None = None
    install: str = ""
    suffix: str = ""
    takes_heads: bool = False
    tokenizations: tuple[str, ...] = TOKENIZATIONS
    keeps_embedding: Literal["all", "computed", "none"] = "all"

    def holds(self, embedding: Embedding) -> bool:
        """Whether the format can hold all of this."""
        if embedding == UNSAID or self.keeps_embedding == "all":
            return True
        return self.keeps_embedding == "computed" and (not embedding.unsupported or embedding.is_cross_encoder)


FORMATS: dict[ExportFormat, FormatWriter] = {
    "google": FormatWriter(write=_write_google, tokenizations=("google", "transformers"), keeps_embedding="none"),
    "huggingface": FormatWriter(
        write=_write_huggingface,
        takes_heads=True,
        tokenizations=("google", "transformers"),
        keeps_embedding="computed",
    ),
    "keras": FormatWriter(write=_write_keras, library="keras", install="'berthub[keras]'", suffix=".keras"),
    "native": FormatWriter(write=write_native, takes_heads=True),
    "onnx": FormatWriter(write=_write_onnx, library="onnx", install="'berthub[onnx]'", takes_heads=True),
    "savedmodel": FormatWriter(write=_write_savedmodel, library="tensorflow", install="tensorflow"),
}
"""The formats by their names."""
