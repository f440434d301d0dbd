"""`berthub export`: write a model in the format that another library reads."""

import typer

from berthub.cli.model import ModelOptions
from berthub.cli.model_options import Fetching, Handle, LowerCase, Vocabulary
from berthub.cli.option_groups import with_groups
from berthub.cli.output_options import EncoderOnly, ExportFormatOption, ExportPath

__all__ = ["export"]


@with_groups
def export(
    *,
    handle: Handle,
    to: ExportFormatOption,
    output: ExportPath,
    encoder_only: EncoderOnly = False,
    lower_case: LowerCase = None,
    vocabulary: Vocabulary = None,
    fetching: Fetching,
) -> None:
    """Write a model in another format, its weights bit for bit.

    native is berthub's own folder. savedmodel has TF Hub's interface, and is written by TensorFlow; huggingface is
    for transformers; keras is one .keras file; onnx is for onnxruntime; google is the checkpoint of 2018. What a format
    cannot hold is refused. Every file that was written is listed with its size.

      berthub export https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/3 --to onnx -o bert_onnx
      berthub export ./my_model --to keras -o my_model.keras
    """
    from berthub.exports import export as write

    model = ModelOptions(handle=handle, lower_case=lower_case, vocabulary=vocabulary, fetching=fetching)
    path = write(
        model.handle,
        output,
        to=to,
        encoder_only=encoder_only,
        settings=model.settings,
        vocabulary=model.vocabulary,
        **fetching.arguments,
    )
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            typer.echo(f"{file}  {_size(file.stat().st_size)}")


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count:,} bytes"
