"""`berthub inspect`: show what a model is, and how berthub knows."""

from berthub.cli.model import ModelOptions
from berthub.cli.model_options import Fetching, Handle, LowerCase, Vocabulary
from berthub.cli.option_groups import with_groups
from berthub.cli.output_options import Json

__all__ = ["inspect"]


@with_groups
def inspect(
    *,
    handle: Handle,
    as_json: Json = False,
    lower_case: LowerCase = None,
    vocabulary: Vocabulary = None,
    fetching: Fetching,
) -> None:
    """Show what a model is: architecture, sizes, costs, vocabulary, inputs and outputs, format, and its task.

    Every setting comes with the place where it was read, or with what it was inferred from. Unused weights are
    those that an encoder has no place for: task heads and what an optimizer kept. Memory and speed are estimates from
    the sizes, for float32 on OpenVINO and for texts of 128 tokens. Nothing of the model is run.

      berthub inspect https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/3
      berthub inspect ./my_model --json
    """
    from berthub.cli.inspect_report import report_on

    model = ModelOptions(handle=handle, lower_case=lower_case, vocabulary=vocabulary, fetching=fetching)
    report = report_on(model.name, model)
    if as_json:
        from berthub.cli.json_output import print_json

        print_json(report)
    else:
        from berthub.cli.inspect_tables import show

        show(report)
