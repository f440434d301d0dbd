"""`berthub finetune`: train a model on labelled data, and save it in a run folder."""

from pathlib import Path
from typing import Annotated

import typer

from berthub.cli.help_text import Command, Group, help_text
from berthub.cli.model import ModelOptions
from berthub.cli.model_options import Fetching, LowerCase, Model, PrecisionOption, Vocabulary
from berthub.cli.option_groups import with_groups
from berthub.cli.output_options import Quiet
from berthub.cli.text_options import ColumnOptions, FileOptions, LabelColumn, LabelSeparator, MaxLength, TextColumn
from berthub.cli.training_options import DevFile, MultiLabel, PoolingOption, Resume, RunFolderOption, TrainingOptions
from berthub.tables.reading_options import LABEL_SEPARATOR

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


@with_groups
def classify(
    *,
    train: Train,
    run: RunFolderOption,
    dev: DevFile = None,
    multi_label: MultiLabel = False,
    label_separator: LabelSeparator = LABEL_SEPARATOR,
    files: FileOptions,
    columns: ColumnOptions,
    label_column: LabelColumn = None,
    max_length: MaxLength = None,
    pooling: PoolingOption = None,
    training: TrainingOptions,
    precision: PrecisionOption = "auto",
    resume: Resume = False,
    model: Model = None,
    lower_case: LowerCase = None,
    vocabulary: Vocabulary = None,
    fetching: Fetching,
    quiet: Quiet = False,
) -> None:
    """Learn to label texts, or pairs of texts: one label each, or with --multi-label any number.

    berthub finetune classify train.csv --dev dev.csv -o sentiment
    berthub finetune classify train.csv -o stars -c review --label-column stars
    berthub finetune classify pairs.tsv -o paraphrase -c a --text-pair-column b
    berthub finetune classify train.jsonl -o topics --multi-label --lora 16
    """
    from berthub.cli.finetune_job import FineTuneOptions, run_finetune

    run_finetune(
        FineTuneOptions(
            task="multi_label" if multi_label else "classify",
            train=train,
            dev=dev,
            run=run,
            resume=resume,
            reading=files.reading(),
            columns=columns,
            label_column=label_column,
            label_separator=label_separator,
            model=ModelOptions(handle=model, lower_case=lower_case, vocabulary=vocabulary, fetching=fetching),
            max_length=max_length,
            pooling=pooling,
            training=training,
            precision=precision,
            quiet=quiet,
        )
    )


@with_groups
def regress(
    *,
    train: Train,
    run: RunFolderOption,
    dev: DevFile = None,
    files: FileOptions,
    columns: ColumnOptions,
    label_column: LabelColumn = None,
    max_length: MaxLength = None,
    pooling: PoolingOption = None,
    training: TrainingOptions,
    precision: PrecisionOption = "auto",
    resume: Resume = False,
    model: Model = None,
    lower_case: LowerCase = None,
    vocabulary: Vocabulary = None,
    fetching: Fetching,
    quiet: Quiet = False,
) -> None:
    """Learn a number for each text, or pair of texts.

    berthub finetune regress pairs.tsv --dev dev.tsv -o similarity
    """
    from berthub.cli.finetune_job import FineTuneOptions, run_finetune

    run_finetune(
        FineTuneOptions(
            task="regress",
            train=train,
            dev=dev,
            run=run,
            resume=resume,
            reading=files.reading(),
            columns=columns,
            label_column=label_column,
            label_separator=LABEL_SEPARATOR,
            model=ModelOptions(handle=model, lower_case=lower_case, vocabulary=vocabulary, fetching=fetching),
            max_length=max_length,
            pooling=pooling,
            training=training,
            precision=precision,
            quiet=quiet,
        )
    )


@with_groups
def tag(
    *,
    train: Train,
    run: RunFolderOption,
    dev: DevFile = None,
    files: FileOptions,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    max_length: MaxLength = None,
    training: TrainingOptions,
    precision: PrecisionOption = "auto",
    resume: Resume = False,
    model: Model = None,
    lower_case: LowerCase = None,
    vocabulary: Vocabulary = None,
    fetching: Fetching,
    quiet: Quiet = False,
) -> None:
    """Learn a tag for each word: entities (B-PER, I-PER, O), parts of speech.

    berthub finetune tag train.conll --dev dev.conll -o entities
    berthub finetune tag train.jsonl -o entities -c words --label-column tags
    """
    from berthub.cli.finetune_job import FineTuneOptions, run_finetune

    run_finetune(
        FineTuneOptions(
            task="tag",
            train=train,
            dev=dev,
            run=run,
            resume=resume,
            reading=files.reading(),
            columns=ColumnOptions(text_column=text_column),
            label_column=label_column,
            label_separator=LABEL_SEPARATOR,
            model=ModelOptions(handle=model, lower_case=lower_case, vocabulary=vocabulary, fetching=fetching),
            max_length=max_length,
            pooling=None,
            training=training,
            precision=precision,
            quiet=quiet,
        )
    )


for command in (classify, regress, tag):
    finetune.command(cls=Command, help=help_text(command))(command)
