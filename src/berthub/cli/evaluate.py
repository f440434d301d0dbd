"""`berthub evaluate`: score a fine-tuned model on labelled data."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from berthub.cli.model import ModelOptions, load_fine_tuned
from berthub.cli.model_options import Computing, Fetching, Run
from berthub.cli.option_groups import with_groups
from berthub.cli.output_options import Json, Quiet
from berthub.cli.text_options import ColumnOptions, FileOptions, LabelColumn, LabelSeparator, MaxLength
from berthub.errors import InputError
from berthub.tables.reading_options import LABEL_SEPARATOR

if TYPE_CHECKING:
    from berthub.encoding.encoder import Encoder
    from berthub.head import Head
    from berthub.tables.labelled import Labelled

__all__ = ["evaluate"]

# Few enough for the progress bar to move.
_ROWS = 2048
_SHOWN_LABELS = 10

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A file of texts and their labels: .csv, .tsv, .jsonl, .ndjson or .parquet, for tags also .conll or .txt.",
    ),
]


@with_groups
def evaluate(
    *,
    run: Run,
    data: Data,
    as_json: Json = False,
    files: FileOptions,
    columns: ColumnOptions,
    label_column: LabelColumn = None,
    label_separator: LabelSeparator = LABEL_SEPARATOR,
    max_length: MaxLength = None,
    computing: Computing,
    fetching: Fetching,
    quiet: Quiet = False,
) -> None:
    """Evaluate a fine-tuned model: the scores of its predictions for texts whose labels are known.

      berthub evaluate RUN test.csv
      berthub evaluate RUN test.tsv --text-column question --text-pair-column answer --label-column same
      berthub evaluate RUN test.conll --json

    One label a text: accuracy, macro F1, Matthews correlation, and with two labels the F1 of the second. Several
    labels: micro and macro F1, and how often all are right. Numbers: Pearson and Spearman correlation, and errors.
    Tags: precision, recall and F1 of whole entities, as conlleval counts them, and the accuracy over words.
    """
    from berthub.cli.progress import counted
    from berthub.evaluation.scores import scores
    from berthub.tables.labelled import read_labelled

    model = ModelOptions(handle=run, lower_case=None, fetching=fetching)
    encoder, head = load_fine_tuned(model, computing, max_length=max_length)
    labelled = read_labelled(
        data,
        task=head.task,
        options=files.reading(),
        text_column=columns.text_column,
        text_pair_column=columns.text_pair_column,
        label_column=label_column,
        label_separator=label_separator,
    )
    _refuse_unknown(labelled, head, data)
    predicted, truncated = _predicted(encoder, labelled.texts, quiet=quiet)
    result = scores(head.task, labels=head.labels, truth=labelled.labels, predicted=predicted)
    if as_json:
        from berthub.cli.json_output import write_json_line

        about = {"model": run, "data": str(data), "task": head.task, "rows": len(predicted), "truncated": truncated}
        write_json_line({**about, "precision": encoder.precision, "scores": result})
        sys.stdout.flush()
    else:
        extra = f"; {counted(truncated, 'text')} truncated to {encoder.max_length} tokens" if truncated else ""
        if labelled.missing:
            extra += f"; {labelled.missing}"
        note = f"{head.task}, {counted(len(predicted), 'row')} of {data}, computed in {encoder.precision}{extra}."
        _print_table(head, result, note)


def _refuse_unknown(labelled: "Labelled", head: "Head", data: Path) -> None:
    unknown = [repr(name) for name in labelled.label_names if name not in head.labels]
    if unknown:
        more = f" and {len(unknown) - _SHOWN_LABELS:,} more" if len(unknown) > _SHOWN_LABELS else ""
        known = ", ".join(map(repr, head.labels[:_SHOWN_LABELS])) + (
            ", ..." if len(head.labels) > _SHOWN_LABELS else ""
        )
        raise InputError(
            f"{data} has labels that the model does not know: {', '.join(unknown[:_SHOWN_LABELS])}{more}. It knows "
            f"{known}: rename them in the data, or leave their rows out"
        )


def _predicted(encoder: "Encoder", texts: list[Any], *, quiet: bool) -> tuple[list[Any], int]:
    """The predictions, and how many texts were truncated."""
    from berthub.cli.progress import progress
    from berthub.jobs.step import Step

    predicted: list[Any] = []
    with progress(len(texts), quiet=quiet) as counts:
        for start in range(0, len(texts), _ROWS):
            # Stages do not warn: truncated texts are counted, and reported below the scores.
            logits = encoder.stages.logits(texts[start : start + _ROWS])
            predicted.extend(logits.predictions())
            truncated = int(logits.truncated.sum())
            counts.add(Step(rows=len(logits.truncated), truncated=truncated, done=len(predicted)))
    return predicted, counts.truncated


def _print_table(head: "Head", result: dict[str, float], note: str) -> None:
    import math

    from rich import box
    from rich.table import Table

    from berthub.cli.console import OutputConsole, literal
    from berthub.evaluation.scores import main_score

    console = OutputConsole()
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("score")
    table.add_column("value", justify="right")
    main = main_score(head.task, result)
    for name, value in result.items():
        shown = "undefined" if math.isnan(value) else f"{value:.4f}"
        table.add_row(name.replace("_", " "), shown, style="bold" if name == main else "")
    console.print(table)
    console.print(literal(note, "dim"))
