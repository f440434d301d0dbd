"""`berthub encode`: write or show the vectors of texts."""

from typing import Annotated

import typer

from berthub.cli.job_options import JobGroup
from berthub.cli.model import ModelOptions
from berthub.cli.model_options import Computing, Fetching, LowerCase, Model, Vocabulary
from berthub.cli.option_groups import with_groups
from berthub.cli.output_options import Quiet, VectorsOutput
from berthub.cli.text_options import ColumnOptions, FileOptions, MaxLength, NoTruncation, Stride, TextsOnly, Window

__all__ = ["encode"]

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|-|TEXT...",
        help="Files of texts (.csv, .tsv, .json, .jsonl, .ndjson, .parquet, .arrow, .txt, each also with .gz or .zst "
        "but for Parquet and Arrow), folders of them or patterns such as 'data/*.csv', also as s3://, gs:// or hf:// "
        "addresses, - for standard input, or the texts themselves.",
        show_default=False,
    ),
]


@with_groups
def encode(
    *,
    inputs: Inputs,
    output: VectorsOutput,
    files: FileOptions,
    texts_only: TextsOnly = False,
    columns: ColumnOptions,
    max_length: MaxLength = None,
    no_truncation: NoTruncation = False,
    window: Window = None,
    stride: Stride = None,
    model: Model = None,
    computing: Computing,
    lower_case: LowerCase = None,
    vocabulary: Vocabulary = None,
    fetching: Fetching,
    job: JobGroup,
    quiet: Quiet = False,
) -> None:
    """Encode texts: one vector for each, or one for each of its tokens.

    Without --output it is the model's own sentence vector, as its files define it (pooling, normalization, length), or
    else the mean of the token vectors.

    The rows of a file come out in their order, with all their columns and the vectors beside them, however large the
    file is. Texts on the command line or from standard input are shown as a table when no -o says where to write.

      berthub encode "One sentence." "Another."
      berthub encode reviews.csv -o reviews.parquet --text-column review
      berthub encode faq.tsv -o faq.jsonl -c question --text-pair-column answer
      berthub encode corpus.txt -o corpus.npy --output mean --dtype float16
      berthub encode reports.jsonl -o reports.npy --window 384 --stride 128
      berthub encode 'data/*.csv.gz' -o vectors.csv --delimiter ';'
      berthub encode 's3://bucket/texts/*.parquet' -o vectors.parquet
      cat corpus.txt | berthub encode - -o - --output sequence_output
      berthub encode 'data/*.parquet' -o vectors/

    Where -o ends with a slash, a job writes a folder: a file for each shard of the rows. Whatever ends it, the same
    command again goes on where it was, and the files come out the same to the byte; berthub job status and berthub job
    verify tell how far it has come, and whether all is well.

    In a CSV or TSV file the first line names the columns (or --no-header); every value stays the string that it is. A
    TSV file has no quoting. In a text file every line is a text, empty ones too. In JSON lines every line is an object,
    in a JSON file there is an array of objects or of strings; going to JSON lines they are carried as they are, going
    to Parquet the first rows decide about columns and types. A .npy file holds the vectors alone; CSV and TSV have a
    column for each dimension. Several files come out one after the other, in the order given, those of a folder or a
    pattern sorted by their paths.
    """
    from berthub.cli.encode_job import EncodeOptions, run_encode

    run_encode(
        EncodeOptions(
            inputs=tuple(inputs),
            output=output,
            reading=files.reading(texts=texts_only),
            columns=columns,
            max_length=max_length,
            truncation=not no_truncation,
            window=window,
            stride=stride,
            model=ModelOptions(handle=model, lower_case=lower_case, vocabulary=vocabulary, fetching=fetching),
            computing=computing,
            job=job,
            quiet=quiet,
        )
    )
