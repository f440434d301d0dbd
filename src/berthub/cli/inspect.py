"""`berthub inspect`: what a model is, and how berthub knows."""

from berthub.cli import options as o
from berthub.cli.model import ModelOptions

__all__ = ["inspect"]


def inspect(
    handle: o.Handle,
    as_json: o.Json = False,
    lower_case: o.LowerCase = None,
    sha256: o.Sha256 = None,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = None,
) -> None:
    """Show what a model is: architecture, sizes, costs, vocabulary, inputs and outputs, packaging, and its task.

    Every setting comes with the place where it was read, or with what it was inferred from. Unused weights are
    those that an encoder has no place for: task heads and what an optimizer kept. Memory and speed are estimates from
    the sizes, for float32 on OpenVINO and for texts of 128 tokens. Nothing of the model is run.

      berthub inspect https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/3
      berthub inspect ./my_model --json
    """
    from berthub.cli.inspect_report import report_on

    model = ModelOptions(
        handle=handle, lower_case=lower_case, sha256=sha256 or (), cache_dir=cache_dir, offline=offline
    )
    report = report_on(model.name, model)
    if as_json:
        from berthub.cli.json_output import print_json

        print_json(report)
    else:
        from berthub.cli.inspect_tables import show

        show(report)
