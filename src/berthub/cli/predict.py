"""`berthub predict`: write or show the predictions of a fine-tuned model for texts."""

from typing import Annotated

import typer

from berthub.cli.job_options import JobGroup
from berthub.cli.model import ModelOptions
from berthub.cli.model_options import Computing, Fetching, Run
from berthub.cli.option_groups import with_groups
from berthub.cli.output_options import PredictionsOutput, Quiet
from berthub.cli.text_options import ColumnOptions, FileOptions, LabelSeparator, MaxLength, NoTruncation, TextsOnly
from berthub.tables.reading_options import LABEL_SEPARATOR

__all__ = ["predict"]

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|-|TEXT...",
        help="Files of texts (.csv, .tsv, .json, .jsonl, .ndjson, .parquet, .arrow, .txt, .conll, each also with .gz "
        "or .zst but for Parquet and Arrow), folders of them or patterns such as 'data/*.csv', also as s3://, gs:// or "
        "hf:// addresses, - for standard input, or the texts themselves.",
        show_default=False,
    ),
]


@with_groups
def predict(
    *,
    run: Run,
    inputs: Inputs,
    output: PredictionsOutput,
    files: FileOptions,
    texts_only: TextsOnly = False,
    columns: ColumnOptions,
    label_separator: LabelSeparator = LABEL_SEPARATOR,
    max_length: MaxLength = None,
    no_truncation: NoTruncation = False,
    computing: Computing,
    fetching: Fetching,
    job: JobGroup,
    quiet: Quiet = False,
) -> None:
    """Predict with a fine-tuned model: labels or a number for each text, or a tag for each word.

    The rows of a file come out in their order, with all their columns and the prediction beside them, however large
    the file is. Texts on the command line or from standard input are shown as a table when no -o says where to write.

      berthub predict RUN "One sentence." "Another."
      berthub predict RUN reviews.csv -o predicted.csv --text-column review
      berthub predict RUN reviews.parquet -o predicted.parquet --probabilities
      cat corpus.txt | berthub predict RUN - -o -
      berthub predict RUN 'data/*.parquet' -o predictions/

    Where -o ends with a slash, a job writes a folder, as berthub encode does.

    A model that tags words takes them from a CoNLL file (.conll, or --format conll), from a column of lists, or from
    texts, which it splits at white space. A CoNLL file that is written has the prediction as its last column; only the
    columns of another CoNLL file are carried along to it. Several labels of a text are lists in JSON lines and Parquet
    and have --label-separator between them in CSV and TSV, tags have spaces there. A TSV file has no quoting.
    """
    from berthub.cli.predict_job import PredictOptions, run_predict

    run_predict(
        PredictOptions(
            inputs=tuple(inputs),
            output=output,
            reading=files.reading(texts=texts_only),
            columns=columns,
            label_separator=label_separator,
            max_length=max_length,
            truncation=not no_truncation,
            model=ModelOptions(handle=run, lower_case=None, fetching=fetching),
            computing=computing,
            job=job,
            quiet=quiet,
        )
    )
