import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import berthub
from berthub.cli import finetune
from support.needs import needs

pytestmark = needs("keras")

GOOD, BAD = "the quick fox", "unbelievable words , not"


def _classified(path: Path, rows: int = 24) -> Path:
    lines = [f"{GOOD if row % 2 else BAD} {row}\t{'good' if row % 2 else 'bad'}" for row in range(rows)]
    path.write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return _classified(tmp_path / "train.tsv")


FAST = ("--epochs", "1", "--batch-size", "8", "--max-length", "16", "--precision", "float32")


def test_a_classifier_from_a_file_to_predictions(cli: Any, tmp_path: Path, train: Path) -> None:
    result = cli("finetune", "classify", train, "--dev", train, "-o", "run", *FAST, "--learning-rate", "1e-3")
    assert result.exit_code == 0, result.output
    assert "7 of 24 training texts had more than 16 tokens and were truncated" in result.stderr
    assert "epoch 1: loss" in result.stderr
    assert "berthub predict run FILE" in result.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["labels"] == ["bad", "good"]
    assert metrics["data"] == "train.tsv and train.tsv"
    result = cli("evaluate", "run", train, "--json")
    assert json.loads(result.stdout)["scores"] == pytest.approx(metrics["scores"])
    result = cli("predict", "run", train, "-o", "predicted.csv")
    assert result.exit_code == 0, result.output
    with pytest.warns(berthub.TruncationWarning):
        expected = berthub.load(tmp_path / "run").predict(
            [line.split("\t")[0] for line in train.read_text().split("\n")[1:-1]]
        )
    lines = (tmp_path / "predicted.csv").read_text().splitlines()
    assert [line.rpartition(",")[2] for line in lines[1:]] == expected


def test_several_labels_pairs_and_lora(cli: Any, tmp_path: Path) -> None:
    rows = [{"a": GOOD, "b": BAD, "label": ["x", "y"]}, {"a": BAD, "b": GOOD, "label": []}] * 8
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = ("--text-column", "a", "--text-pair-column", "b")
    result = cli(
        "finetune", "classify", "train.jsonl", "-o", "run", *FAST, *columns, "--multi-label", "--lora", 2, "--quiet"
    )
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    head = berthub.load(tmp_path / "run").head
    assert head is not None
    assert (head.task, head.labels) == ("multi_label", ("x", "y"))


def test_a_regression(cli: Any, tmp_path: Path) -> None:
    rows = [f"{GOOD},{row % 5}.5" for row in range(16)]
    (tmp_path / "train.csv").write_text("text,score\n" + "\n".join(rows) + "\n")
    result = cli("finetune", "regress", "train.csv", "-o", "run", *FAST, "--label-column", "score", "--freeze", 1)
    assert result.exit_code == 0, result.output
    head = berthub.load(tmp_path / "run").head
    assert head is not None
    assert (head.task, head.labels) == ("regress", ("score",))


def test_a_tagger_from_a_conll_file(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("The O\nquick B-ADJ\nfox I-ADJ\n\nIt O\nwas O\n\n" * 8)
    result = cli("finetune", "tag", "train.conll", "--dev", "train.conll", "-o", "run", *FAST)
    assert result.exit_code == 0, result.output
    head = berthub.load(tmp_path / "run").head
    assert head is not None
    assert head.labels == ("O", "B-ADJ", "I-ADJ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--text-column", "review"), "review"),
        (("--epochs", "0"), "epochs must be a whole number from 1"),
        (("--resume",), "no interrupted training"),
        (("--freeze", "99"), "freeze_layers"),
        (("--dev", "absent.tsv"), "absent.tsv"),
        (("--dev", "other.tsv"), "'ugly'"),
        (("-o", "used"), "exists and is not an empty folder"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_trained(
    cli: Any, tmp_path: Path, train: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "other.tsv").write_text("text\tlabel\na fox\tugly\n")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    output = () if "-o" in arguments else ("-o", "run")
    result = cli("finetune", "classify", train, *output, *FAST[2:], *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert not (tmp_path / "run").exists()
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (0, "interrupted before a step was kept in run; the same command with --resume begins anew\n"),
        (1, "interrupted; all up to step 2 of epoch 1 is kept in run, and the same command with --resume goes on"),
        (2, "interrupted; all up to epoch 1 is kept in run, and the same command with --resume goes on from there\n"),
    ],
)
def test_interrupted_it_says_what_is_kept_and_how_to_go_on(
    cli: Any, tmp_path: Path, train: Path, monkeypatch: pytest.MonkeyPatch, written: int, message: str
) -> None:
    from berthub.training.hyperparameters import Hyperparameters
    from berthub.training.state import StateStore

    of, write, states = Hyperparameters.of, StateStore.write, list[str]()

    def interrupted(store: StateStore, *state: Any) -> None:
        if len(states) == written:
            raise KeyboardInterrupt
        write(store, *state)
        states.append("written")

    # Three steps an epoch: states after step 2, and after each epoch.
    monkeypatch.setattr(Hyperparameters, "of", lambda given: of({**given, "checkpoint_steps": 2}))
    monkeypatch.setattr(StateStore, "write", interrupted)
    command = ("finetune", "classify", train, "-o", "run", *FAST, "--epochs", "2", "--quiet")
    result = cli(*command)
    assert result.exit_code == 130, result.output
    assert result.stderr.startswith(message)
    monkeypatch.setattr(StateStore, "write", write)
    assert cli(*command, "--resume").exit_code == 0
    assert (tmp_path / "run" / "berthub.json").is_file()


def test_interrupted_before_there_is_a_run_it_says_nothing(
    cli: Any, tmp_path: Path, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from berthub.training.tasks import fine_tuner

    def interrupted(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    (tmp_path / "run").mkdir()
    monkeypatch.setattr(fine_tuner, "build_model", interrupted)
    result = cli("finetune", "classify", train, "-o", "run", *FAST, "--quiet")
    assert (result.exit_code, result.stderr) == (130, "")


def test_the_options_have_the_defaults_of_the_library() -> None:
    from berthub.training.hyperparameters import Hyperparameters
    from berthub.training.model import Adaptation

    library = {field.name: field.default for field in dataclasses.fields(Hyperparameters)}
    library |= {field.name: field.default for field in dataclasses.fields(Adaptation)}
    names = {"freeze": "freeze_layers", "lora": "lora_rank"}
    for command in (finetune.classify, finetune.regress, finetune.tag):
        for name, parameter in inspect.signature(command).parameters.items():
            if names.get(name, name) in library:
                default = parameter.default
                assert getattr(default, "value", default) == library[names.get(name, name)], name
