"""An architecture is known by name where it is written and where formats say what they call it, and nowhere else.

docs/concepts/adding-an-architecture.md lists what a new one touches; this holds the list to be whole.
"""

import re
from pathlib import Path

import berthub
from berthub.networks.network import CONFIGS

_ROOT = Path(berthub.__file__).parent
_KNOW = (
    "networks/*.py",
    "formats/huggingface/architectures/*.py",
    "formats/tensorflow/architectures/*.py",
    # Formats of one file, with their tables.
    "formats/gguf.py",
    "formats/keras_hub.py",
    # Only the number of blocks tells a BERT from an ALBERT there; and what formats add to an ALBERT.
    "formats/tensorflow/model_garden.py",
    "formats/albert.py",
    # What was published on TensorFlow Hub, which is all there will be.
    "cli/published.py",
    # BERT-base is what others are compared with, a small BERT what an installation is tried with; and the public name.
    "cli/estimates.py",
    "cli/doctor_model.py",
    "__init__.py",
)


def test_only_these_files_name_an_architecture() -> None:
    classes = "|".join(config.__name__ for config in CONFIGS.values())
    modules = "|".join(sorted({config.__module__.rpartition(".")[2] for config in CONFIGS.values()}))
    named = re.compile(rf"\b(?:{classes})\b|\bberthub\.networks\.(?:{modules})\b|\"architecture\": \"|architecture == ")
    allowed = {path for pattern in _KNOW for path in _ROOT.glob(pattern)}

    found = {path for path in _ROOT.rglob("*.py") if named.search(path.read_text(encoding="utf-8"))}

    assert found
    assert sorted(str(path.relative_to(_ROOT)) for path in found - allowed) == []


def test_each_allowed_file_is_there_and_names_one() -> None:
    for pattern in _KNOW:
        assert list(_ROOT.glob(pattern)), f"{pattern} matches nothing: take it off the list"


def test_beyond_bert_the_cli_names_none() -> None:
    others = [config.__name__ for config in CONFIGS.values() if config.architecture != "bert"]
    for path in (_ROOT / "cli").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in others if name in text], path
