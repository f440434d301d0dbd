"""What is inferred of a model's settings, and how it is said."""

import shutil
from pathlib import Path

import pytest

from berthub.errors import InferredSettingWarning
from berthub.formats import read
from berthub.formats.settings import Settings
from berthub.vocabulary import Vocabulary

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[Unused1]", "<E1>")


@pytest.mark.parametrize(
    ("capitals", "lower_case", "doubtful"),
    [(0, True, False), (1, True, True), (9, True, True), (10, False, True), (19, False, True), (30, False, False)],
)
def test_case_is_inferred_from_the_share_of_words_with_capitals(
    capitals: int, lower_case: bool, doubtful: bool
) -> None:
    words = [f"Word{number}" if number < capitals else f"word{number}" for number in range(100)]
    settings = Settings()
    settings.put_case(Vocabulary((*_SPECIAL, *words, "42", "\u4f60")))
    assert settings.sources["lower_case"] == f"inferred: {capitals}.00% of the vocabulary's words have capitals"
    assert (f'settings={{"lower_case": {lower_case}}}' in "".join(settings.notes)) is doubtful
    assert settings._values["lower_case"] is lower_case


def test_doubt_is_a_warning_until_the_user_decides(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "google_checkpoint", tmp_path / "model"))
    path = folder / "vocab.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("[unused1]", "Domain"), encoding="utf-8")
    with pytest.warns(InferredSettingWarning, match="lower-cased, so that these words are never found"):
        assert read(folder).config.lower_case is True
    for chosen in (True, False):
        assert read(folder, settings={"lower_case": chosen}).config.lower_case is chosen
