"""Read what the files of sentence-transformers say of a model's sentence vectors."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from berthub.checkpoint import Checkpoint
from berthub.choices import SIMILARITIES, Pooling, Similarity
from berthub.containers.files import read_json
from berthub.embedding import CROSS_ENCODER, UNSAID, Embedding
from berthub.errors import CheckpointError, CorruptFileError
from berthub.formats.huggingface.tokenizer import longest_text
from berthub.formats.sentence_transformers.files import (
    ENCODER_FILES,
    MODULES,
    PROMPTS,
    SWITCHES,
    VECTOR,
    WIDTHS,
    Module,
    modes,
    modules,
    shown,
)
from berthub.formats.sentence_transformers.layers import UnreadModuleError, read_layer
from berthub.vector_layers import UnitLength, VectorLayer
from berthub.vocabulary import PIPELINES

__all__ = ["with_embedding"]

# What the settings of the encoder's file say in a plain text encoder. Those of queries are for calls that name a task.
_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}
_ENCODER_SETTINGS: dict[str, Any] = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": _TEXT},
    "module_output_name": "token_embeddings",
}
_ENCODER_IGNORED = frozenset(
    ("max_seq_length", "do_lower_case", "unpad_inputs", "query_length", "document_length", "query_expansion")
)
_INPUT_OF_NORMALIZE = ("module_input_name", "module_output_name")
_SHORTEST = 3


def with_embedding(checkpoint: Checkpoint, *, root: Path) -> Checkpoint:
    """The same checkpoint with what the files of sentence-transformers say, from its folder up to `root`.

    Without such files it comes back as it is. Damaged files raise `CorruptFileError`; files that contradict each other
    or the model, `CheckpointError`.
    """
    place = checkpoint.origin.folder
    above = next((folder for folder in _upwards(place, root) if (folder / MODULES).is_file()), None)
    found = _Findings(place)
    if above is not None and _is_cross_encoder(above / PROMPTS):
        return dataclasses.replace(found.read_encoder_file(checkpoint), embedding=CROSS_ENCODER)
    if above is not None:
        found.read_modules(above, checkpoint.config.hidden_size)
        found.read_prompts(above)
    checkpoint = found.read_encoder_file(checkpoint)
    if found.max_length is None and (place / "tokenizer_config.json").is_file():
        # Then it is the tokenizer's, in sentence-transformers and in transformers.
        length = longest_text(place, checkpoint.config.max_positions)
        if length < checkpoint.config.max_positions:
            found.max_length = length
            found.sources["max_length"] = "tokenizer_config.json"
    embedding = found.embedding()
    if embedding == UNSAID:
        return checkpoint
    origin = checkpoint.origin
    origin = dataclasses.replace(origin, settings={**origin.settings, **found.sources})
    return dataclasses.replace(checkpoint, embedding=embedding, origin=origin)


def _is_cross_encoder(path: Path) -> bool:
    return path.is_file() and read_json(path).get("model_type") == "CrossEncoder"


class _Findings:
    """Settings found so far for the model in `place`, each with the file that it was read from."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._unsupported: list[str] = []
        self._poolings: list[str] = []
        self._layers: list[VectorLayer] = []
        self._layer_folders: set[Path] = set()
        self._prompts: dict[str, str] = {}
        self._default_prompt: str | None = None
        self._include_prompt = True
        self._similarity: str | None = None
        self.max_length: int | None = None
        self.sources: dict[str, str] = {}

    def embedding(self) -> Embedding:
        """All of it."""
        layers = list(self._layers)
        normalize = bool(layers) and isinstance(layers[-1], UnitLength)
        while layers and isinstance(layers[-1], UnitLength):
            layers.pop()
        return Embedding(
            poolings=cast("tuple[Pooling, ...]", tuple(self._poolings)),
            # Of what cannot be computed whole nothing is.
            layers=() if self._unsupported else tuple(layers),
            normalize=normalize,
            max_length=self.max_length,
            prompts=self._prompts,
            default_prompt=self._default_prompt,
            include_prompt=self._include_prompt,
            similarity=cast("Similarity | None", self._similarity),
            unsupported=tuple(dict.fromkeys(self._unsupported)),
        )

    def read_modules(self, above: Path, hidden_size: int) -> None:
        """`modules.json` in the folder `above`, and the settings of its modules."""
        path = above / MODULES
        pooling: Module | None = None
        encoder: Module | None = None
        for module in modules(path):
            match module.name:
                case "Transformer" if encoder is None:
                    encoder = module
                    self._check_encoder(above, module)
                case "Pooling":
                    if pooling is not None:
                        raise CheckpointError(
                            f"{path} contradicts itself: it has two poolings, {pooling} and {module}; remove one"
                        )
                    pooling = module
                    self._read_pooling(above, module, hidden_size)
                case "Normalize":
                    self._read_normalize(above, module)
                    if pooling is None and not self._unsupported:
                        raise CheckpointError(
                            f"{path} contradicts itself: {module} stands before any pooling, so there is nothing to "
                            "scale; put it after the pooling"
                        )
                case "Dense" | "LayerNorm":
                    self._read_layer(above, module, before=pooling is None)
                case "Dropout":
                    # Only in training it does anything.
                    pass
                case _:
                    self._unsupported.append(str(module))
        if encoder is None and not self._unsupported:
            raise CheckpointError(f"{path} names no module of the kind Transformer, so no encoder")
        if pooling is None and not self._unsupported:
            self._unsupported.append(f"vectors without a pooling ({MODULES} has none)")
        self.sources |= {"layers": MODULES, "normalize": MODULES}

    def read_prompts(self, above: Path) -> None:
        """The prompts, and other settings beside `modules.json`."""
        path = above / PROMPTS
        if not path.is_file():
            return
        stored = read_json(path)
        prompts, default = stored.get("prompts") or {}, stored.get("default_prompt_name")
        if not isinstance(prompts, dict) or not all(
            prompt is None or isinstance(prompt, str) for prompt in prompts.values()
        ):
            raise CorruptFileError(f"prompts in {path} should be an object of strings; it is {shown(prompts)}")
        if default is not None:
            if not isinstance(default, str) or default not in prompts:
                raise CheckpointError(
                    f"{path} contradicts itself: default_prompt_name is {shown(default)}, and there are the prompts "
                    f"{shown(', '.join(prompts)) or 'none'}"
                )
            self._default_prompt = default
            self.sources["default_prompt"] = PROMPTS
        self._prompts = {name: prompt or "" for name, prompt in prompts.items()}
        if self._prompts:
            self.sources["prompts"] = PROMPTS
        if (similarity := stored.get("similarity_fn_name")) in SIMILARITIES:
            self._similarity = similarity
            self.sources["similarity"] = PROMPTS
        elif similarity is not None:
            self._unsupported.append(f"the similarity {shown(similarity)} (similarity_fn_name in {PROMPTS})")
        if (kind := stored.get("model_type", "SentenceTransformer")) != "SentenceTransformer":
            self._unsupported.append(f"a model of the type {shown(kind)} ({PROMPTS})")
        if (width := stored.get("truncate_dim")) is not None:
            self._unsupported.append(f"vectors of the first {shown(width)} components (truncate_dim in {PROMPTS})")

    def read_encoder_file(self, checkpoint: Checkpoint) -> Checkpoint:
        """The length of texts; the checkpoint comes back lower-casing, where the file says so and it did not."""
        path = next((self._place / name for name in ENCODER_FILES if (self._place / name).is_file()), None)
        if path is None:
            return checkpoint
        stored = read_json(path)
        length, positions = stored.get("max_seq_length"), checkpoint.config.max_positions
        if length is not None:
            if isinstance(length, bool) or not isinstance(length, int) or length < _SHORTEST:
                raise CorruptFileError(
                    f"max_seq_length in {path} should be a number of tokens from {_SHORTEST}, not {shown(length)}"
                )
            self.max_length = min(length, positions)
            self.sources["max_length"] = path.name + (
                f", which says {length:,}, and the model's positions" if length > positions else ""
            )
        for key, value in stored.items():
            if key not in _ENCODER_IGNORED and value and not _only_trusts_code(value) and not _is_plain(key, value):
                self._unsupported.append(f"the setting {shown(key)} = {shown(value)} of {path.name}")
        lower_case = stored.get("do_lower_case") or False
        if not isinstance(lower_case, bool):
            raise CorruptFileError(f"do_lower_case in {path} should be true or false, not {shown(lower_case)}")
        if not lower_case or checkpoint.config.lower_case:
            return checkpoint
        return self._lower_casing(checkpoint, path)

    def _lower_casing(self, checkpoint: Checkpoint, path: Path) -> Checkpoint:
        config, origin, algorithm = checkpoint.config, checkpoint.origin, checkpoint.vocabulary.algorithm
        if origin.settings.get("lower_case") == "given by the caller":
            return checkpoint
        # sentence-transformers makes the text lower-case first: there a `[MASK]` written in it is one no more, which
        # transformers' tokenization still finds here.
        if algorithm in ("byte_bpe", *PIPELINES) or config.tokenization not in ("google", "transformers"):
            self._unsupported.append(f"texts in lower case before {algorithm} (do_lower_case in {path.name})")
            return checkpoint
        changed: dict[str, Any] = {"lower_case": True}
        if algorithm == "wordpiece" and config.strip_accents is None:
            # Accents stay: None would drop them as soon as texts are lower-cased.
            changed["strip_accents"] = False
        return dataclasses.replace(
            checkpoint,
            config=dataclasses.replace(config, **changed),
            origin=dataclasses.replace(origin, settings={**origin.settings, **dict.fromkeys(changed, path.name)}),
        )

    def _check_encoder(self, above: Path, module: Module) -> None:
        if above / module.path != self._place:
            raise CheckpointError(
                f"{above / MODULES} names {module.path or 'its own folder'} as the encoder's, and the model that can "
                f"be read is in {self._place}: name that folder itself, or put the encoder where the file says"
            )

    def _read_pooling(self, above: Path, module: Module, hidden_size: int) -> None:
        path = above / module.path / "config.json"
        name = f"{module.path}/config.json"
        if not path.is_file():
            raise CorruptFileError(f"{path} is missing, and {MODULES} names it: fetch the whole folder of the model")
        stored = read_json(path)
        named = modes(stored, path)
        if unknown := [mode for mode in named if mode not in SWITCHES.values()]:
            self._unsupported.append(f"the pooling {' and '.join(map(shown, unknown))} ({name})")
        else:
            self._poolings = named
        self.sources |= {"poolings": name, "include_prompt": name}
        for key in WIDTHS:
            if key in stored and stored[key] != hidden_size:
                raise CheckpointError(
                    f"{path} is for vectors of {shown(stored[key])} components ({key}), and the model's have "
                    f"{hidden_size}: they belong to different models"
                )
        includes = stored.get("include_prompt", True)
        if not isinstance(includes, bool):
            raise CorruptFileError(f"include_prompt in {path} should be true or false, not {shown(includes)}")
        self._include_prompt = includes
        known = {*WIDTHS, *SWITCHES, "pooling_mode", "include_prompt"}
        self._unsupported += [
            f"the setting {shown(key)} = {shown(value)} of {name}"
            for key, value in stored.items()
            if key not in known and value
        ]

    def _read_layer(self, above: Path, module: Module, *, before: bool) -> None:
        if before and not self._unsupported:
            self._unsupported.append(f"{module} before the pooling")
            return
        folder = (above / module.path).resolve()
        if folder in self._layer_folders:
            # Files of half precision grow when they are read, and would do so once more with each entry.
            raise CorruptFileError(f"{above / MODULES} names {module} twice: each layer has a folder of its own")
        self._layer_folders.add(folder)
        try:
            self._layers.append(read_layer(above, module))
        except UnreadModuleError as error:
            self._unsupported.append(str(error))

    def _read_normalize(self, above: Path, module: Module) -> None:
        path = above / module.path / "config.json"
        # Until version 5 it had no file.
        stored = read_json(path) if module.path and path.is_file() else {}
        for key, value in stored.items():
            if value and not (key in _INPUT_OF_NORMALIZE and value == VECTOR):
                self._unsupported.append(f"the setting {shown(key)} = {shown(value)} of {module.path}/config.json")
        self._layers.append(UnitLength())


def _upwards(place: Path, root: Path) -> Iterator[Path]:
    for folder in (place, *place.parents):
        yield folder
        if folder == root:
            return


def _is_plain(key: str, value: Any) -> bool:
    return key in _ENCODER_SETTINGS and value == _ENCODER_SETTINGS[key]


def _only_trusts_code(value: Any) -> bool:
    """Whether the arguments only allow the author's own code to run, which berthub does not need."""
    return isinstance(value, dict) and set(value) == {"trust_remote_code"}
