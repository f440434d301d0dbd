"""`berthub encode`: texts in, vectors out."""

from typing import Annotated

import typer

from berthub.cli import options as o
from berthub.cli.model import ModelOptions

__all__ = ["encode"]

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|-|TEXT...",
        help="Files of texts (.csv, .tsv, .json, .jsonl, .ndjson, .parquet, .txt, each also with .gz but for "
        "Parquet), folders of them or patterns such as 'data/*.csv', - for standard input, or the texts themselves.",
        show_default=False,
    ),
]


def encode(
    inputs: Inputs,
    output_file: o.OutputFile = None,
    to: o.OutputFormatOption = None,
    output: o.VectorsOption = None,
    layer: o.Layer = None,
    normalize: o.Normalize = None,
    dtype: o.DTypeOption = "float32",
    vectors_column: o.VectorsColumn = None,
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
    max_length: o.MaxLength = None,
    no_truncation: o.NoTruncation = False,
    window: o.Window = None,
    stride: o.Stride = None,
    model: o.Model = None,
    engine: o.EngineOption = "auto",
    precision: o.PrecisionOption = "auto",
    lower_case: o.LowerCase = None,
    sha256: o.Sha256 = None,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = None,
    quiet: o.Quiet = False,
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
      cat corpus.txt | berthub encode - -o - --output sequence_output

    In a CSV or TSV file the first line names the columns (or --no-header); every value stays the string that it is. A
    TSV file has no quoting. In a text file every line is a text, empty ones too. In JSON lines every line is an object,
    in a JSON file there is an array of objects or of strings; going to JSON lines they are carried as they are, going
    to Parquet the first rows decide about columns and types. A .npy file holds the vectors alone; CSV and TSV have a
    column for each dimension. Several files come out one after the other, in the order given, those of a folder or a
    pattern sorted by their paths.
    """
    from berthub.cli.encode_job import EncodeOptions, run_encode
    from berthub.tables.reading_options import ReadingOptions

    run_encode(
        EncodeOptions(
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
            vectors=output,
            layer=layer,
            normalize=normalize,
            dtype=dtype,
            vectors_column=vectors_column,
            max_length=max_length,
            truncation=not no_truncation,
            window=window,
            stride=stride,
            model=ModelOptions(
                handle=model, lower_case=lower_case, sha256=sha256 or (), cache_dir=cache_dir, offline=offline
            ),
            engine=engine,
            precision=precision,
            quiet=quiet,
        )
    )
