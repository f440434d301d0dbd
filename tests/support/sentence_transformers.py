"""Folders as sentence-transformers keeps them: a small BERT, and the files that say what its sentence vectors are."""

import json
import shutil
from pathlib import Path
from typing import Any

TYPES = "sentence_transformers.models."
SWITCHES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")


def pooling(mode: str, **others: Any) -> dict[str, Any]:
    """The settings of a pooling as versions 2 to 4 wrote them; `mode` is the name of the switch."""
    return {"word_embedding_dimension": 32, **{f"pooling_mode_{name}": name == mode for name in SWITCHES}, **others}


def add(folder: Path, name: str, value: Any) -> None:
    """Write a JSON file into the folder, or take it away."""
    path = folder / name
    if value is None:
        path.unlink()
        return
    path.parent.mkdir(exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def modules(*listed: tuple[str, str]) -> list[dict[str, Any]]:
    """`modules.json` of types, those of sentence-transformers without their package, and folders."""
    return [
        {"idx": index, "name": str(index), "path": path, "type": kind if "." in kind else TYPES + kind}
        for index, (kind, path) in enumerate(listed)
    ]


def make(
    models: Path, to: Path, settings: dict[str, Any], *, normalize: bool = False, encoder: str = "", **files: Any
) -> Path:
    """A folder with the small BERT, in the subfolder `encoder`, and a pooling of these settings.

    `files` are those of the encoder's settings, `sentence_bert_config`, and of the prompts,
    `config_sentence_transformers`.
    """
    shutil.copytree(models / "hf_bert", to / encoder, dirs_exist_ok=True)
    listed = [
        ("Transformer", encoder),
        ("Pooling", "1_Pooling"),
        *([("Normalize", "2_Normalize")] if normalize else []),
    ]
    add(to, "modules.json", modules(*listed))
    add(to, "1_Pooling/config.json", settings)
    for name, value in files.items():
        add(to / encoder if name == "sentence_bert_config" else to, f"{name}.json", value)
    return to


def cased(folder: Path) -> None:
    """Make the tokenizer of a Hugging Face folder keep the case of texts."""
    path = folder / "tokenizer_config.json"
    add(folder, path.name, {**json.loads(path.read_text()), "do_lower_case": False})
