"""Read and write the files of sentence-transformers, which say how a model makes one vector of a text.

`modules.json` lists the modules that a text passes, in their order, each with a folder of its own settings: as a rule
the encoder, a pooling, and a normalization. `sentence_bert_config.json` lies in the encoder's folder and has the
length of texts, `config_sentence_transformers.json` beside `modules.json` has the prompts. What their versions from 2
to 6 write is read; what berthub does not compute is named in `Embedding.unsupported`.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, cast

from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.containers.files import read_json, read_json_list
from berthub.embedding import UNSAID, Embedding
from berthub.errors import CheckpointError, CorruptFileError, UnsupportedModelError
from berthub.formats.huggingface.tokenizer import longest_text

__all__ = ["with_embedding", "write_embedding"]

_MODULES = "modules.json"
_PROMPTS = "config_sentence_transformers.json"
# Old versions named the file after the architecture. The first that is there counts, as in theirs.
_ENCODER_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
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
# Until version 5 a pooling had a switch for each kind; since then it has one name, or several.
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_POOLINGS = ("cls", "max", "mean")
_WIDTHS = ("word_embedding_dimension", "embedding_dimension")
_INPUT_OF_NORMALIZE = ("module_input_name", "module_output_name")
_VECTOR = "sentence_embedding"

_SHORTEST = 3
_LONGEST_SHOWN = 60


def with_embedding(checkpoint: Checkpoint, *, root: Path) -> Checkpoint:
    """The same checkpoint with what the files of sentence-transformers say, from its folder up to `root`.

    Without such files it comes back as it is. Damaged files raise `CorruptFileError`; files that contradict each other
    or the model, `CheckpointError`.
    """
    place = checkpoint.origin.folder
    above = next((folder for folder in _upwards(place, root) if (folder / _MODULES).is_file()), None)
    found = _Findings(place)
    if above is not None:
        found.read_modules(above, checkpoint.config.hidden_size)
        found.read_prompts(above)
    checkpoint = found.read_encoder_file(checkpoint)
    if found.max_length is None and above is not None:
        # Then it is the tokenizer's, in sentence-transformers, too.
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


def write_embedding(embedding: Embedding, folder: Path, *, hidden_size: int) -> None:
    """Write the files into the folder of a model, as far as `embedding` says anything.

    `UnsupportedModelError` for what the files could say and berthub does not have, such as a dense layer's weights.
    """
    if embedding.unsupported or embedding.pooling == "pooled":
        what = embedding.missing or "the pooler's output"
        raise UnsupportedModelError(
            f"the sentence vectors of this model take {what}, which berthub cannot write for sentence-transformers: "
            "write the encoder alone (encoder_only=True, --encoder-only), or export the model to native"
        )
    if embedding.max_length is not None:
        _write(folder / _ENCODER_FILES[0], {"max_seq_length": embedding.max_length, "do_lower_case": False})
    if embedding.pooling is None:
        return
    modules = ["Transformer", "Pooling", *(["Normalize"] if embedding.normalize else [])]
    places = ["", *(f"{index}_{module}" for index, module in enumerate(modules) if index)]
    for place in filter(None, places):
        (folder / place).mkdir()
    switches = {key: pooling == embedding.pooling for key, pooling in _SWITCHES.items()}
    _write(folder / places[1] / "config.json", {_WIDTHS[0]: hidden_size, **switches})
    # The names of all versions from 2 on.
    listed = [
        {"idx": index, "name": str(index), "path": place, "type": f"sentence_transformers.models.{module}"}
        for index, (place, module) in enumerate(zip(places, modules, strict=True))
    ]
    _write(folder / _MODULES, listed)


@dataclasses.dataclass(frozen=True)
class _Module:
    """An entry of `modules.json`: the class of the module, and the folder of its settings."""

    kind: str
    path: str

    @property
    def name(self) -> str:
        """The class's short name in sentence-transformers; other classes keep their whole name."""
        ours = self.kind.startswith("sentence_transformers.")
        return self.kind.rpartition(".")[2] if ours else self.kind

    def __str__(self) -> str:
        return f"the module {_shown(self.kind)}" + (f" in {_shown(self.path)}" if self.path else "")


class _Findings:
    """Settings found so far for the model in `place`, each with the file that it was read from."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._unsupported: list[str] = []
        self._pooling: str | None = None
        self._normalize = False
        self._leaves_out_prompt = False
        self.max_length: int | None = None
        self.sources: dict[str, str] = {}

    def embedding(self) -> Embedding:
        """All of it."""
        return Embedding(
            pooling=cast("Pooling | None", self._pooling),
            normalize=self._normalize,
            max_length=self.max_length,
            unsupported=tuple(dict.fromkeys(self._unsupported)),
        )

    def read_modules(self, above: Path, hidden_size: int) -> None:
        """`modules.json` in the folder `above`, and the settings of its modules."""
        path = above / _MODULES
        pooling: _Module | None = None
        encoder: _Module | None = None
        for module in _modules(path):
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
                case "Dropout":
                    # Only in training it does anything.
                    pass
                case _:
                    self._unsupported.append(str(module))
        if encoder is None and not self._unsupported:
            raise CheckpointError(f"{path} names no module of the kind Transformer, so no encoder")
        if pooling is None and not self._unsupported:
            self._unsupported.append(f"vectors without a pooling ({_MODULES} has none)")
        self.sources["normalize"] = _MODULES

    def read_prompts(self, above: Path) -> None:
        """The prompt that goes before every text, and other settings beside `modules.json`."""
        path = above / _PROMPTS
        if not path.is_file():
            return
        stored = read_json(path)
        prompts, default = stored.get("prompts") or {}, stored.get("default_prompt_name")
        if not isinstance(prompts, dict) or not all(
            prompt is None or isinstance(prompt, str) for prompt in prompts.values()
        ):
            raise CorruptFileError(f"prompts in {path} should be an object of strings; it is {_shown(prompts)}")
        if default is not None:
            if not isinstance(default, str) or default not in prompts:
                raise CheckpointError(
                    f"{path} contradicts itself: default_prompt_name is {_shown(default)}, and there are the prompts "
                    f"{_shown(', '.join(prompts)) or 'none'}"
                )
            if prompts[default]:
                self._unsupported.append(
                    f"the prompt {_shown(repr(prompts[default]))} before every text (default_prompt_name in {_PROMPTS})"
                    + (" and a pooling without it (include_prompt)" if self._leaves_out_prompt else "")
                )
        if (kind := stored.get("model_type", "SentenceTransformer")) != "SentenceTransformer":
            self._unsupported.append(f"a model of the type {_shown(kind)} ({_PROMPTS})")
        if (width := stored.get("truncate_dim")) is not None:
            self._unsupported.append(f"vectors of the first {_shown(width)} components (truncate_dim in {_PROMPTS})")

    def read_encoder_file(self, checkpoint: Checkpoint) -> Checkpoint:
        """The length of texts; the checkpoint comes back lower-casing, where the file says so and it did not."""
        path = next((self._place / name for name in _ENCODER_FILES if (self._place / name).is_file()), None)
        if path is None:
            return checkpoint
        stored = read_json(path)
        length, positions = stored.get("max_seq_length"), checkpoint.config.max_positions
        if length is not None:
            if isinstance(length, bool) or not isinstance(length, int) or length < _SHORTEST:
                raise CorruptFileError(
                    f"max_seq_length in {path} should be a number of tokens from {_SHORTEST}, not {_shown(length)}"
                )
            self.max_length = min(length, positions)
            self.sources["max_length"] = path.name + (
                f", which says {length:,}, and the model's positions" if length > positions else ""
            )
        for key, value in stored.items():
            if key not in _ENCODER_IGNORED and value and not _only_trusts_code(value) and not _is_plain(key, value):
                self._unsupported.append(f"the setting {_shown(key)} = {_shown(value)} of {path.name}")
        lower_case = stored.get("do_lower_case") or False
        if not isinstance(lower_case, bool):
            raise CorruptFileError(f"do_lower_case in {path} should be true or false, not {_shown(lower_case)}")
        if not lower_case or checkpoint.config.lower_case:
            return checkpoint
        return self._lower_casing(checkpoint, path)

    def _lower_casing(self, checkpoint: Checkpoint, path: Path) -> Checkpoint:
        config, origin, algorithm = checkpoint.config, checkpoint.origin, checkpoint.vocabulary.algorithm
        if origin.settings.get("lower_case") == "given by the caller":
            return checkpoint
        # sentence-transformers makes the text lower-case first: there a `[MASK]` written in it is one no more, which
        # transformers' tokenization still finds here.
        if algorithm == "byte_bpe" or config.tokenization not in ("google", "transformers"):
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

    def _check_encoder(self, above: Path, module: _Module) -> None:
        if above / module.path != self._place:
            raise CheckpointError(
                f"{above / _MODULES} names {module.path or 'its own folder'} as the encoder's, and the model that can "
                f"be read is in {self._place}: name that folder itself, or put the encoder where the file says"
            )

    def _read_pooling(self, above: Path, module: _Module, hidden_size: int) -> None:
        path = above / module.path / "config.json"
        name = f"{module.path}/config.json"
        if not path.is_file():
            raise CorruptFileError(f"{path} is missing, and {_MODULES} names it: fetch the whole folder of the model")
        stored = read_json(path)
        modes = _modes(stored, path)
        if len(modes) > 1:
            self._unsupported.append(f"the poolings {' and '.join(map(_shown, modes))}, joined ({name})")
        elif modes[0] not in _POOLINGS:
            self._unsupported.append(f"the pooling {_shown(modes[0])} ({name})")
        else:
            self._pooling = modes[0]
        self.sources["pooling"] = name
        for key in _WIDTHS:
            if key in stored and stored[key] != hidden_size:
                raise CheckpointError(
                    f"{path} is for vectors of {_shown(stored[key])} components ({key}), and the model's have "
                    f"{hidden_size}: they belong to different models"
                )
        includes = stored.get("include_prompt", True)
        if not isinstance(includes, bool):
            raise CorruptFileError(f"include_prompt in {path} should be true or false, not {_shown(includes)}")
        self._leaves_out_prompt = not includes
        known = {*_WIDTHS, *_SWITCHES, "pooling_mode", "include_prompt"}
        self._unsupported += [
            f"the setting {_shown(key)} = {_shown(value)} of {name}"
            for key, value in stored.items()
            if key not in known and value
        ]

    def _read_normalize(self, above: Path, module: _Module) -> None:
        path = above / module.path / "config.json"
        # Until version 5 it had no file.
        stored = read_json(path) if module.path and path.is_file() else {}
        for key, value in stored.items():
            if value and not (key in _INPUT_OF_NORMALIZE and value == _VECTOR):
                self._unsupported.append(f"the setting {_shown(key)} = {_shown(value)} of {module.path}/config.json")
        self._normalize = True


def _upwards(place: Path, root: Path) -> Iterator[Path]:
    for folder in (place, *place.parents):
        yield folder
        if folder == root:
            return


def _modules(path: Path) -> list[_Module]:
    modules = []
    for index, entry in enumerate(read_json_list(path)):
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("path", "type")):
            raise CorruptFileError(
                f"entry {index} of {path} should be an object with the strings path and type; it is {_shown(entry)}"
            )
        module = _Module(entry["type"], entry["path"])
        # As both systems read it: a model is copied from one to the other.
        readings = (PurePosixPath(module.path), PureWindowsPath(module.path))
        if any(reading.is_absolute() or reading.anchor or ".." in reading.parts for reading in readings) or (
            "\0" in module.path
        ):
            raise CorruptFileError(
                f"entry {index} of {path} names the folder {_shown(module.path)}, which is not inside its own"
            )
        modules.append(module)
    if not modules:
        raise CorruptFileError(f"{path} lists no module")
    return modules


def _modes(stored: Mapping[str, Any], path: Path) -> list[str]:
    """The kinds of pooling that the settings of a pooling name, in the order in which their vectors are joined."""
    for key in _SWITCHES:
        if not isinstance(stored.get(key, False), bool):
            raise CorruptFileError(f"{key} in {path} should be true or false, not {_shown(stored[key])}")
    switched = [mode for key, mode in _SWITCHES.items() if stored.get(key)]
    if "pooling_mode" not in stored:
        # With all switches off, or none, sentence-transformers takes the mean.
        return switched or ["mean"]
    named = stored["pooling_mode"]
    modes = [named] if isinstance(named, str) else named
    if not isinstance(modes, list) or not modes or not all(isinstance(mode, str) for mode in modes):
        raise CorruptFileError(f"pooling_mode in {path} should be a name, or a list of some; it is {_shown(named)}")
    if switched and sorted(switched) != sorted(modes):
        raise CheckpointError(
            f"{path} contradicts itself: pooling_mode is {_shown(named)}, and its switches say {', '.join(switched)}"
        )
    return modes


def _is_plain(key: str, value: Any) -> bool:
    return key in _ENCODER_SETTINGS and value == _ENCODER_SETTINGS[key]


def _only_trusts_code(value: Any) -> bool:
    """Whether the arguments only allow the author's own code to run, which berthub does not need."""
    return isinstance(value, dict) and set(value) == {"trust_remote_code"}


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _shown(value: object) -> str:
    shown = str(value)
    return shown if len(shown) <= _LONGEST_SHOWN else shown[: _LONGEST_SHOWN - 3] + "..."
