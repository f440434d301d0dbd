"""`berthub finetune`: labelled data in, a run folder with the trained model out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from berthub.cli import options as o
from berthub.cli import training_options as t
from berthub.cli.help_text import Command, Group, help_text
from berthub.cli.model import ModelOptions
from berthub.tables.reading_options import LABEL_SEPARATOR

if TYPE_CHECKING:
    from berthub.head import Task

__all__ = ["finetune"]

Train = Annotated[
    Path,
    typer.Argument(
        metavar="TRAIN",
        help="A file of texts and their labels: .csv, .tsv, .jsonl, .ndjson or .parquet, for tags also .conll or .txt.",
        show_default=False,
    ),
]


def _about() -> None:
    r"""Fine-tune a model on labelled texts.

      berthub finetune classify train.csv --dev dev.csv -o sentiment
      berthub finetune regress train.tsv --dev dev.tsv -o similarity
      berthub finetune tag train.conll --dev dev.conll -o entities

    Needs Keras and PyTorch, TensorFlow or JAX (pip install 'berthub\[finetune]' torch). What comes out needs neither:
    berthub predict, berthub evaluate and berthub.load run it.
    """


finetune = typer.Typer(
    name="finetune", cls=Group, no_args_is_help=True, rich_markup_mode="rich", help=help_text(_about)
)


def classify(
    train: Train,
    run: t.RunFolderOption,
    dev: t.DevFile = None,
    multi_label: t.MultiLabel = False,
    label_separator: o.LabelSeparator = LABEL_SEPARATOR,
    input_format: o.InputFormatOption = None,
    delimiter: o.Delimiter = None,
    encoding: o.Encoding = None,
    no_header: o.NoHeader = False,
    missing: o.MissingOption = None,
    text_column: o.TextColumn = None,
    text_pair_column: o.TextPairColumn = None,
    label_column: o.LabelColumn = None,
    max_length: o.MaxLength = None,
    pooling: t.PoolingOption = None,
    epochs: t.Epochs = 3,
    batch_size: t.BatchSize = 32,
    learning_rate: t.LearningRate = None,
    warmup: t.Warmup = 0.1,
    weight_decay: t.WeightDecay = 0.01,
    patience: t.Patience = 2,
    dropout: t.Dropout = 0.1,
    freeze: t.FreezeLayers = 0,
    lora: t.LoraRank = None,
    seed: t.Seed = 0,
    precision: o.PrecisionOption = "auto",
    resume: t.Resume = False,
    model: o.Model = None,
    lower_case: o.LowerCase = None,
    sha256: o.Sha256 = None,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = None,
    quiet: o.Quiet = False,
) -> None:
    """Learn to label texts, or pairs of texts: one label each, or with --multi-label any number.

    berthub finetune classify train.csv --dev dev.csv -o sentiment
    berthub finetune classify train.csv -o stars -c review --label-column stars
    berthub finetune classify pairs.tsv -o paraphrase -c a --text-pair-column b
    berthub finetune classify train.jsonl -o topics --multi-label --lora 16
    """
    _run("multi_label" if multi_label else "classify", locals())


def regress(
    train: Train,
    run: t.RunFolderOption,
    dev: t.DevFile = None,
    input_format: o.InputFormatOption = None,
    delimiter: o.Delimiter = None,
    encoding: o.Encoding = None,
    no_header: o.NoHeader = False,
    missing: o.MissingOption = None,
    text_column: o.TextColumn = None,
    text_pair_column: o.TextPairColumn = None,
    label_column: o.LabelColumn = None,
    max_length: o.MaxLength = None,
    pooling: t.PoolingOption = None,
    epochs: t.Epochs = 3,
    batch_size: t.BatchSize = 32,
    learning_rate: t.LearningRate = None,
    warmup: t.Warmup = 0.1,
    weight_decay: t.WeightDecay = 0.01,
    patience: t.Patience = 2,
    dropout: t.Dropout = 0.1,
    freeze: t.FreezeLayers = 0,
    lora: t.LoraRank = None,
    seed: t.Seed = 0,
    precision: o.PrecisionOption = "auto",
    resume: t.Resume = False,
    model: o.Model = None,
    lower_case: o.LowerCase = None,
    sha256: o.Sha256 = None,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = None,
    quiet: o.Quiet = False,
) -> None:
    """Learn a number for each text, or pair of texts.

    berthub finetune regress pairs.tsv --dev dev.tsv -o similarity
    """
    _run("regress", locals())


def tag(
    train: Train,
    run: t.RunFolderOption,
    dev: t.DevFile = None,
    input_format: o.InputFormatOption = None,
    delimiter: o.Delimiter = None,
    encoding: o.Encoding = None,
    no_header: o.NoHeader = False,
    missing: o.MissingOption = None,
    text_column: o.TextColumn = None,
    label_column: o.LabelColumn = None,
    max_length: o.MaxLength = None,
    epochs: t.Epochs = 3,
    batch_size: t.BatchSize = 32,
    learning_rate: t.LearningRate = None,
    warmup: t.Warmup = 0.1,
    weight_decay: t.WeightDecay = 0.01,
    patience: t.Patience = 2,
    dropout: t.Dropout = 0.1,
    freeze: t.FreezeLayers = 0,
    lora: t.LoraRank = None,
    seed: t.Seed = 0,
    precision: o.PrecisionOption = "auto",
    resume: t.Resume = False,
    model: o.Model = None,
    lower_case: o.LowerCase = None,
    sha256: o.Sha256 = None,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = None,
    quiet: o.Quiet = False,
) -> None:
    """Learn a tag for each word: entities (B-PER, I-PER, O), parts of speech.

    berthub finetune tag train.conll --dev dev.conll -o entities
    berthub finetune tag train.jsonl -o entities -c words --label-column tags
    """
    _run("tag", locals())


for command in (classify, regress, tag):
    finetune.command(cls=Command, help=help_text(command))(command)


def _run(task: "Task", given: Mapping[str, Any]) -> None:
    """Run the job that the arguments of a command describe; the commands share all but a few of them."""
    from berthub.cli.finetune_job import FineTuneJob, run_job
    from berthub.tables.reading_options import ReadingOptions

    options = {name: given[name] for name in ("max_length", "dropout", "seed")}
    options |= {"freeze_layers": given["freeze"], "lora_rank": given["lora"]}
    if given.get("pooling") is not None:
        options["pooling"] = given["pooling"]
    if task == "regress":
        options["name"] = given["label_column"] or "value"
    names = ("epochs", "batch_size", "learning_rate", "warmup", "weight_decay", "patience")
    run_job(
        FineTuneJob(
            task=task,
            train=given["train"],
            dev=given["dev"],
            run=given["run"],
            resume=given["resume"],
            reading=ReadingOptions(
                format=given["input_format"],
                header=not given["no_header"],
                **{name: given[name] for name in ("delimiter", "encoding", "missing")},
            ),
            text_column=given["text_column"],
            text_pair_column=given.get("text_pair_column"),
            label_column=given["label_column"],
            quiet=given["quiet"],
            label_separator=given.get("label_separator", LABEL_SEPARATOR),
            model=ModelOptions(
                handle=given["model"],
                sha256=given["sha256"] or (),
                **{name: given[name] for name in ("lower_case", "cache_dir", "offline")},
            ),
            options=options,
            hyperparameters={**{name: given[name] for name in names}, "precision": given["precision"]},
        )
    )
