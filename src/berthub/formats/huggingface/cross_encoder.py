"""Read and write what sentence-transformers says of a cross-encoder, a model that scores pairs of texts.

Since version 6 it lies in `config_sentence_transformers.json` beside `modules.json`; versions 4 and 5 had it under
`sentence_transformers` in `config.json`, older ones under a key of its own there.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from berthub.containers.files import read_json, read_json_list
from berthub.errors import CorruptFileError, UnsupportedModelError
from berthub.formats.sentence_transformers.files import ENCODER_FILES, MODULES, PROMPTS
from berthub.head import OutputActivation, Task

__all__ = ["NO_CROSS_ENCODER", "CrossEncoderFiles", "described_activation", "read_cross_encoder", "write_cross_encoder"]

# The file of the encoder, which sentence-transformers calls Transformer.
_TRANSFORMER = ENCODER_FILES[0]
_SECTION, _OLD_KEY, _ACTIVATION = "sentence_transformers", "sbert_ce_default_activation_function", "activation_fn"
_KIND = "CrossEncoder"
_SHORTEST = 3
_LONGEST_SHOWN = 60
# PyTorch's classes, without the packages that they are in.
_ACTIVATIONS: dict[str, Literal["identity", "sigmoid", "tanh", "softmax"]] = {
    "Identity": "identity",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Tanh": "tanh",
}
_WRITTEN = {
    "identity": "torch.nn.modules.linear.Identity",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "tanh": "torch.nn.modules.activation.Tanh",
}
# What the file of the transformer says in a plain cross-encoder; those of queries are for calls that name a task.
_PLAIN = {
    "transformer_task": "sequence-classification",
    "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
    "module_output_name": "scores",
}
_READ_ELSEWHERE = frozenset(("max_seq_length", "do_lower_case", "unpad_inputs"))


@dataclass(frozen=True)
class CrossEncoderFiles:
    """What the files say: whether it is a cross-encoder, its activation (None: the usual one), and its longest pair."""

    found: bool = False
    named: Literal["identity", "sigmoid", "tanh", "softmax"] | None = None
    max_length: int | None = None

    @property
    def activation(self) -> OutputActivation | None:
        """What is made of a single output; None where no file says it."""
        if self.named == "softmax":
            raise UnsupportedModelError(
                "the cross-encoder has one output, and its activation is a softmax, which is always 1: choose another "
                f"{_ACTIVATION} in {PROMPTS}"
            )
        # sentence-transformers' default.
        return (self.named or "sigmoid") if self.found else None

    def task(self, count: int, named: Task | None) -> Task:
        """The task of a head with so many outputs, of which `problem_type` named one, or none."""
        if count == 1:
            return "regress" if self.found or named is None else named
        if self.named == "tanh" or (self.named == "sigmoid" and named == "classify"):
            raise UnsupportedModelError(
                f"the cross-encoder has {count} outputs, and its activation is {self.named}: labels of which one "
                f"applies have Identity or Softmax; choose another {_ACTIVATION} in {PROMPTS}"
            )
        return named or ("multi_label" if self.named == "sigmoid" else "classify")


NO_CROSS_ENCODER = CrossEncoderFiles()


def read_cross_encoder(folder: Path, stored: Mapping[str, Any]) -> CrossEncoderFiles:
    """What the files in a model's folder say; `stored` is its `config.json`.

    `UnsupportedModelError` for what changes the scores and berthub does not have: further modules, a prompt.
    """
    path = folder / PROMPTS
    beside = read_json(path) if path.is_file() else {}
    section = stored.get(_SECTION)
    newest = beside.get("model_type") == _KIND
    if not newest and not isinstance(section, dict) and _OLD_KEY not in stored:
        return NO_CROSS_ENCODER
    names = [
        beside.get(_ACTIVATION) if newest else None,
        section.get(_ACTIVATION) if isinstance(section, dict) else None,
        stored.get(_OLD_KEY),
    ]
    if newest:
        _refuse_prompt(beside, path)
    if newest and (refused := [*_other_modules(folder / MODULES)]):
        raise UnsupportedModelError(
            f"{folder / MODULES} names modules that berthub does not have in a cross-encoder: {', '.join(refused)}"
        )
    named = next((name for name in names if name is not None), None)
    return CrossEncoderFiles(True, _activation(named, folder), _max_length(folder / _TRANSFORMER, newest=newest))


def write_cross_encoder(activation: OutputActivation | None, folder: Path) -> None:
    """Write the files that version 6 has beside the model of a cross-encoder."""
    kind = "sentence_transformers.base.modules.transformer.Transformer"
    written: dict[str, Any] = {
        MODULES: [{"idx": 0, "name": "0", "path": "", "type": kind}],
        _TRANSFORMER: _PLAIN,
        PROMPTS: {
            _ACTIVATION: _WRITTEN[activation or "identity"],
            "default_prompt_name": None,
            "model_type": _KIND,
            "prompts": {},
        },
    }
    for name, value in written.items():
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def described_activation(activation: OutputActivation | None) -> dict[str, Any]:
    """The activation in the terms of `config.json`, as all versions from 4 on read it."""
    return {} if activation is None else {_SECTION: {_ACTIVATION: _WRITTEN[activation]}}


def _activation(name: Any, folder: Path) -> Literal["identity", "sigmoid", "tanh", "softmax"] | None:
    if name is None:
        return None
    if not isinstance(name, str):
        raise CorruptFileError(f"{_ACTIVATION} of the cross-encoder in {folder} should be a string; it is {name!r:.60}")
    package, _, kind = name.rpartition(".")
    if package.partition(".")[0] != "torch":
        # The author's own code, which sentence-transformers does not run either unless it is told to.
        return None
    if kind not in _ACTIVATIONS:
        raise UnsupportedModelError(
            f"the cross-encoder in {folder} has the activation {name[:_LONGEST_SHOWN]}; supported are "
            f"{', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[kind]


def _refuse_prompt(beside: Mapping[str, Any], path: Path) -> None:
    prompts, default = beside.get("prompts") or {}, beside.get("default_prompt_name")
    if not isinstance(prompts, dict):
        raise CorruptFileError(f"prompts in {path} should be an object of strings; it is {prompts!r:.60}")
    if default is not None and (prompt := prompts.get(default)):
        raise UnsupportedModelError(
            f"{path} has a prompt for every pair, {str(prompt)[:_LONGEST_SHOWN]!r} (default_prompt_name), which "
            "berthub does not put before pairs: set default_prompt_name to null, and write it before the queries"
        )


def _other_modules(path: Path) -> Iterator[str]:
    for index, entry in enumerate(read_json_list(path) if path.is_file() else []):
        kind = entry.get("type") if isinstance(entry, dict) else None
        place = entry.get("path", "") if isinstance(entry, dict) else None
        if (
            index
            or place
            or not str(kind).startswith("sentence_transformers.")
            or not str(kind).endswith(".Transformer")
        ):
            yield f"{str(kind)[:_LONGEST_SHOWN]}" + (f" in {place!r:.{_LONGEST_SHOWN}}" if place else "")


def _max_length(path: Path, *, newest: bool) -> int | None:
    """The longest pair that the transformer's file names; None where it names none."""
    if not path.is_file():
        return None
    stored = read_json(path)
    for key, value in stored.items():
        if newest and value and key not in _READ_ELSEWHERE and value != _PLAIN.get(key):
            raise UnsupportedModelError(
                f"{path} sets {key[:_LONGEST_SHOWN]} to {value!r:.60}, which berthub does not have in a cross-encoder"
            )
    length = stored.get("max_seq_length")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < _SHORTEST):
        raise CorruptFileError(
            f"max_seq_length in {path} should be a number of tokens from {_SHORTEST}, not {length!r}"
        )
    return length
