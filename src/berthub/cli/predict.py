"""`berthub predict`: texts in, what a fine-tuned model says of them out."""

from typing import Annotated

import typer

from berthub.cli import options as o
from berthub.cli.model import ModelOptions
from berthub.tables.reading_options import LABEL_SEPARATOR

__all__ = ["predict"]

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|-|TEXT...",
        help="Files of texts (.csv, .tsv, .json, .jsonl, .ndjson, .parquet, .txt, .conll, each also with .gz but for "
        "Parquet), folders of them or patterns such as 'data/*.csv', - for standard input, or the texts themselves.",
        show_default=False,
    ),
]


def predict(
    run: o.Run,
    inputs: Inputs,
    output_file: o.PredictionFile = None,
    to: o.PredictionFormatOption = None,
    probabilities: o.Probabilities = False,
    prediction_column: o.PredictionColumn = "prediction",
    drop_columns: o.DropColumns = False,
    overwrite: o.Overwrite = False,
    input_format: o.InputFormatOption = None,
    delimiter: o.Delimiter = None,
    encoding: o.Encoding = None,
    no_header: o.NoHeader = False,
    missing: o.MissingOption = None,
    texts_only: o.TextsOnly = False,
    text_column: o.TextColumn = None,
    text_pair_column: o.TextPairColumn = None,
    label_separator: o.LabelSeparator = LABEL_SEPARATOR,
    max_length: o.MaxLength = None,
    no_truncation: o.NoTruncation = False,
    engine: o.EngineOption = "auto",
    precision: o.PrecisionOption = "auto",
    sha256: o.Sha256 = None,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = None,
    quiet: o.Quiet = False,
) -> None:
    """Predict with a fine-tuned model: labels or a number for each text, or a tag for each word.

    The rows of a file come out in their order, with all their columns and the prediction beside them, however large
    the file is. Texts on the command line or from standard input are shown as a table when no -o says where to write.

      berthub predict RUN "One sentence." "Another."
      berthub predict RUN reviews.csv -o predicted.csv --text-column review
      berthub predict RUN reviews.parquet -o predicted.parquet --probabilities
      cat corpus.txt | berthub predict RUN - -o -

    A model that tags words takes them from a CoNLL file (.conll, or --format conll), from a column of lists, or from
    texts, which it cuts at white space. A CoNLL file that is written has the prediction as its last column; only the
    columns of another CoNLL file are carried along to it. Several labels of a text are lists in JSON lines and Parquet
    and have --label-separator between them in CSV and TSV, tags have spaces there. A TSV file has no quoting.
    """
    from berthub.cli.predict_job import PredictOptions, run_predict
    from berthub.tables.reading_options import ReadingOptions

    run_predict(
        PredictOptions(
            inputs=tuple(inputs),
            reading=ReadingOptions(
                format=input_format,
                delimiter=delimiter,
                encoding=encoding,
                header=not no_header,
                missing=missing,
                texts=texts_only,
            ),
            text_column=text_column,
            text_pair_column=text_pair_column,
            output_file=output_file,
            output_format=to,
            overwrite=overwrite,
            drop_columns=drop_columns,
            prediction_column=prediction_column,
            probabilities=probabilities,
            label_separator=label_separator,
            max_length=max_length,
            truncation=not no_truncation,
            model=ModelOptions(handle=run, lower_case=None, sha256=sha256 or (), cache_dir=cache_dir, offline=offline),
            engine=engine,
            precision=precision,
            quiet=quiet,
        )
    )
