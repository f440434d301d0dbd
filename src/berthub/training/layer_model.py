"""The model that a layer is made from, and the description of it that the layer keeps."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.embedding import UNSAID, Embedding
from berthub.encoding.encoder import Encoder
from berthub.errors import InputError
from berthub.formats import read
from berthub.formats.native import special_pieces
from berthub.networks.network import config_from_dict
from berthub.sources.resolve import resolve

__all__ = ["ModelDescription", "Uncopied", "read_model"]


@dataclass(frozen=True)
class ModelDescription:
    """A model without weights and vocabulary: enough to make a layer whose weights Keras loads.

    `pad` is the id of the padding piece, `special` the special pieces by their roles, and `algorithm` how texts
    become pieces: what is needed to read the vocabulary's files.
    """

    config: EncoderConfig
    pad: int
    special: Mapping[str, str]
    algorithm: str
    embedding: Embedding

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """The description of a model."""
        vocabulary = checkpoint.vocabulary
        return cls(
            checkpoint.config,
            vocabulary.ids[vocabulary.pad],
            special_pieces(vocabulary),
            vocabulary.algorithm,
            checkpoint.embedding,
        )

    def to_dict(self) -> dict[str, Any]:
        """The entries of a layer's `get_config`."""
        return {
            "model": self.config.to_dict(),
            "pad": self.pad,
            "special_pieces": Uncopied(self.special),
            "algorithm": self.algorithm,
            **({"embedding": self.embedding.to_dict(arrays=True)} if self.embedding != UNSAID else {}),
        }

    @classmethod
    def taken_from(cls, config: dict[str, Any]) -> Self:
        """The description in a layer's `config`; its entries are removed there, and the layer's options stay."""
        return cls(
            config_from_dict(config.pop("model")),
            config.pop("pad"),
            config.pop("special_pieces"),
            # Layers were saved before there was another one.
            config.pop("algorithm", "wordpiece"),
            Embedding.from_dict(config.pop("embedding")) if "embedding" in config else UNSAID,
        )


def read_model(
    handle: "str | os.PathLike[str] | Checkpoint | Encoder | None",
    *,
    settings: Mapping[str, Any] | None,
    vocabulary: str | os.PathLike[str] | None,
    sha256: str | Mapping[str, str] | None,
    cache_dir: str | os.PathLike[str] | None,
    offline: bool | None,
) -> Checkpoint:
    """The model that `handle` names, or that it is; the options are those of `berthub.load`."""
    if isinstance(handle, Encoder):
        handle = handle.checkpoint
    if isinstance(handle, Checkpoint):
        return handle
    folder = resolve(handle, sha256=sha256, cache_dir=cache_dir, offline=offline)
    return read(folder, settings=settings, vocabulary=vocabulary)


class Uncopied(dict[str, str]):
    """A dict that refuses to be copied deeply, which Keras does with a configuration for its older format alone."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise InputError(
            'a model with a berthub.KerasLayer is saved as .keras: model.save("model.keras"). Keras\'s older .h5 files '
            "have no place for the vocabulary and the settings of a BERT"
        )
