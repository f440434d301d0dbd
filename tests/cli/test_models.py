import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from berthub.cli.estimates import parameters_by_part
from berthub.cli.published import config_of
from berthub.errors import FetchError
from berthub.sources import resolve as resolving
from berthub.sources.catalogue import entries, find_tfhub, newest

BASE = "tensorflow/bert_en_uncased_L-12_H-768_A-12/4"
LARGE = "tensorflow/talkheads_ggelu_bert_en_large/2"


def records(cli: Any, *words: object) -> list[dict[str, Any]]:
    result = cli("models", *words, "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def names(cli: Any, *words: object) -> set[str]:
    return {record["handle"] for record in records(cli, *words)}


def test_every_model_is_a_line_in_a_pipe(cli: Any) -> None:
    lines = cli("models").stdout.splitlines()
    assert lines[0].split() == ["model", "family", "language", "case", "size", "params", "MB", "runs", "Kaggle"]
    assert sorted(line.split()[0] for line in lines[2:-1]) == sorted(model.tfhub for model in newest())
    (line,) = (line for line in lines if line.startswith(BASE))
    assert line.split()[1:8] == ["bert", "en", "uncased", "12x768", "109M", "438", "native"]
    assert lines[-1].startswith("152 models (newest versions; --all lists every one), 0 in the cache.")


@pytest.mark.parametrize("columns", [30, 60, 80, 120, 200])
def test_a_terminal_shows_what_it_has_room_for(cli: Any, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = cli("models", "talking", "heads").stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert ("wider" in " ".join(lines)) == ("Kaggle" not in lines[0]) == (columns < 200)
    # The name is whole, if need be in two lines.
    assert LARGE in "".join(line[:30].strip() for line in lines) or any(line.startswith(LARGE) for line in lines)


def test_words_are_found_where_a_part_of_a_name_begins(cli: Any) -> None:
    assert names(cli, "TALKING", "heads", "24x1024") == {LARGE}
    assert names(cli, "wwm", "cased", "--all") == {
        f"tensorflow/bert_en_wwm_cased_L-24_H-1024_A-16/{version}" for version in (1, 2, 3, 4)
    }
    assert "google/MuRIL/1" in names(cli, "kannada")


def test_filters(cli: Any) -> None:
    assert names(cli, "--family", "small_bert", "--hidden", 256, "--layers", 4) == {
        "google/small_bert/bert_uncased_L-4_H-256_A-4/2",
        "tensorflow/small_bert/bert_en_uncased_L-4_H-256_A-4/2",
    }
    assert names(cli, "--language", "Chinese") == names(cli, "--language", "zh") != set()
    assert names(cli, "--family", "ELECTRA") == {f"google/electra_{size}/2" for size in ("small", "base", "large")}
    case = {answer: {record["cased"] for record in records(cli, answer)} for answer in ("--cased", "--uncased")}
    assert case == {"--cased": {True}, "--uncased": {False}}
    assert len(names(cli, "--all")) == len(entries())


def test_order(cli: Any) -> None:
    found = records(cli, "--all")
    assert found[-1]["family"] == "preprocess"
    ours = [record for record in found if record["family"] == "small_bert"]
    assert [record["layers"] for record in ours] == sorted(record["layers"] for record in ours)
    assert [record["handle"][-2:] for record in ours[:2]] == ["/2", "/1"]


def test_records_have_always_the_same_keys(cli: Any) -> None:
    found = {record["handle"]: record for record in records(cli, "--all")}
    assert len({tuple(record) for record in found.values()}) == 1
    assert found[BASE] == {
        "handle": BASE,
        "url": f"https://tfhub.dev/{BASE}",
        "kaggle": "tensorflow/bert/tensorFlow2/en-uncased-l-12-h-768-a-12/4",
        "evidence": "verified",
        "version": 4,
        "newest": True,
        "family": "bert",
        "languages": ["en"],
        "cased": False,
        "layers": 12,
        "hidden": 768,
        "heads": 12,
        "parameters": 109_482_240,
        "bytes": 437_928_960,
        "vocabulary": "wordpiece",
        "vocabulary_size": 30522,
        "format": "tf2_saved_model",
        "api": "tf2_dict",
        "runs": "native",
        "huggingface": None,
        "preprocess": "tensorflow/bert_en_uncased_preprocess/3",
        "cached": None,
        "notes": find_tfhub(BASE).notes,
    }
    assert not found["tensorflow/bert_en_uncased_L-12_H-768_A-12/3"]["newest"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # As their papers and model cards count them, or transformers does.
        ("tensorflow/bert_en_uncased_L-24_H-1024_A-16", 335_141_888),
        ("tensorflow/bert_en_cased_L-12_H-768_A-12", 108_310_272),
        ("tensorflow/bert_multi_cased_L-12_H-768_A-12", 177_853_440),
        ("google/small_bert/bert_uncased_L-2_H-128_A-2", 4_385_920),
        ("tensorflow/albert_en_base", 11_683_584),
        ("tensorflow/albert_en_xxlarge", 222_595_584),
        ("google/electra_small", 13_548_800),
        ("google/LaBSE", 470_926_848),
        ("tensorflow/mobilebert_en_uncased_L-24_H-128_B-512_A-4_F-4_OPT", 24_581_888),
        ("jeongukjae/distilbert_en_uncased_L-6_H-768_A-12", 66_362_880),
        ("jeongukjae/roberta_en_cased_L-12_H-768_A-12", 124_645_632),
        ("jeongukjae/xlm_roberta_multi_cased_L-12_H-768_A-12", 278_043_648),
    ],
)
def test_parameters_follow_from_the_sizes(name: str, parameters: int) -> None:
    config = config_of(find_tfhub(name))
    assert config is not None
    assert sum(parameters_by_part(config).values()) == parameters


def test_no_size_is_guessed() -> None:
    for name in ("google/universal-sentence-encoder-cmlm/en-large", "google/tn_bert", "google/gtr/gtr-base"):
        assert config_of(find_tfhub(name)) is None
    native = [model for model in entries() if model.runs in ("native", "hf")]
    without = {model.name for model in native if config_of(model) is None}
    assert without == {"google/universal-sentence-encoder-cmlm/en-large"}


def test_what_was_fetched_is_found_in_the_cache(
    cli: Any, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    def fetch(handle: object, scratch: Path) -> Path:
        return Path(shutil.copytree(models / "tf2_v4", scratch / "model"))

    monkeypatch.setattr(resolving, "fetch", fetch)
    folder = resolving.resolve(f"https://tfhub.dev/{BASE}", offline=False)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    (record,) = records(cli, "--cached")
    assert record["handle"] == BASE
    assert record["cached"] == {"folder": str(folder), "bytes": size}
    assert cli("models", "--cached").stdout.splitlines()[0].split()[-2:] == ["cached", "Kaggle"]
    (folder / "saved_model.pb").unlink()
    result = cli("models", "--cached")
    assert result.exit_code == 3
    assert f"in the cache folder {tmp_path / 'cache'}" in result.stderr


def test_looking_leaves_the_cache_alone(cli: Any, tmp_path: Path) -> None:
    assert cli("models", "labse").exit_code == 0
    assert not (tmp_path / "cache").exists()
    with pytest.raises(FetchError):
        resolving.resolve(BASE)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--family", "roberto"], 2, ["--family roberto (near it is roberta)", "albert, bert,", "xlm_roberta"]),
        (["--language", "klingon"], 2, ["--language klingon", "zh (Chinese)"]),
        (["--layers", "13"], 2, ["--layers 13", "There are: 2, 3, 4, 6, 8, 10, 12, 24"]),
        (["--hidden", "100"], 2, ["--hidden 100", "128, "]),
        (["labse", "talkng", "zzzz"], 3, ["'talkng' is nowhere", "near it are", "talking", "'zzzz' is nowhere"]),
        (["google/electra_smal"], 0, []),
        (["google/elektra_small"], 3, ["near it are google/electra_small/2"]),
        (["chinese", "wwm"], 3, ["none for all together"]),
        (["--cached"], 3, ["none of these 152 models is in the cache folder"]),
    ],
)
def test_what_is_not_there(cli: Any, words: list[str], status: int, told: list[str]) -> None:
    result = cli("models", *words)
    assert result.exit_code == status
    assert all(part in result.stderr for part in told), result.stderr
    assert ("labse' is" in result.stderr) is False


def test_it_starts_light() -> None:
    heavy = "{'numpy', 'openvino', 'pyarrow', 'tokenizers', 'kagglehub', 'huggingface_hub', 'requests'}"
    code = f"import sys; from berthub.cli.main import main; main(['models']); print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_list_of_commands_has_a_line_for_each(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = cli("--help").stdout.partition("Commands")[2]
    assert "models    List the models that TensorFlow Hub published. " in told
    assert told.index("models ") < told.index("inspect ") < told.index("encode ") < told.index("predict ")
