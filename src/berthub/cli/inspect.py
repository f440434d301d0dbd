"""`berthub inspect`: what a model is, and how berthub knows."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from berthub.cli import options as o
from berthub.cli.model import ModelOptions, load_checkpoint

if TYPE_CHECKING:
    from berthub.checkpoint import Checkpoint

__all__ = ["inspect"]

_HEAD = ("task", "labels", "pooling", "max_length")
_SHOWN = 5


def inspect(
    handle: o.Handle,
    as_json: o.Json = False,
    lower_case: o.LowerCase = None,
    sha256: o.Sha256 = None,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = None,
) -> None:
    """Show what a model is: architecture, sizes, vocabulary, packaging, and the task it was fine-tuned for.

    Every setting comes with the place where it was read, or with what it was inferred from. Unused weights are
    those that an encoder has no place for: task heads and what an optimizer kept. Nothing of the model is run.

      berthub inspect https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/3
      berthub inspect ./my_model --json
    """
    model = ModelOptions(
        handle=handle, lower_case=lower_case, sha256=sha256 or (), cache_dir=cache_dir, offline=offline
    )
    report = _report(handle, load_checkpoint(model))
    if as_json:
        import orjson

        sys.stdout.buffer.write(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()
    else:
        _print(report)


def _report(handle: str, checkpoint: "Checkpoint") -> dict[str, Any]:
    config, origin, vocabulary, head = checkpoint.config, checkpoint.origin, checkpoint.vocabulary, checkpoint.head
    settings = config.to_dict()
    architecture = settings.pop("architecture")
    return {
        "handle": handle,
        "folder": str(origin.folder),
        "format": origin.format,
        "architecture": architecture,
        "parameters": checkpoint.parameters,
        "weight_bytes": sum(weight.nbytes for weight in checkpoint.weights.values()),
        "head": None if head is None else {name: getattr(head, name) for name in _HEAD},
        "vocabulary": {"pieces": len(vocabulary), "special": list(vocabulary.special)},
        "settings": {name: {"value": value, "from": origin.settings.get(name)} for name, value in settings.items()},
        "unused_weights": list(origin.unused),
    }


def _print(report: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from berthub.cli.console import OutputConsole, literal

    console = OutputConsole()
    facts = Table.grid(padding=(0, 2))
    vocabulary, head = report["vocabulary"], report["head"]
    fine_tuned = {}
    if head is not None:
        of = f"the {head['pooling']} vector" if head["pooling"] else "each word's first piece"
        fine_tuned["fine-tuned"] = f"{head['task']}, on {of}, texts of up to {head['max_length']} tokens"
        fine_tuned["labels"] = _some(head["labels"])
    for name, value in {
        "model": report["handle"],
        "folder": report["folder"],
        "format": report["format"],
        "architecture": report["architecture"].upper(),
        "parameters": f"{report['parameters']:,} ({report['weight_bytes'] / 1e6:,.1f} MB)",
        "vocabulary": f"{vocabulary['pieces']:,} pieces, special: {' '.join(vocabulary['special'])}",
        **fine_tuned,
        "unused weights": _some(report["unused_weights"]),
    }.items():
        facts.add_row(literal(name, "bold"), literal(value))
    settings = Table("setting", "value", "read from", box=box.SIMPLE_HEAD)
    for name, setting in report["settings"].items():
        settings.add_row(literal(name), literal(setting["value"]), literal(setting["from"] or "", "dim"))
    console.print(facts)
    console.print(settings)


def _some(names: Sequence[str]) -> str:
    """The number of names, and the first of them."""
    if not names:
        return "none"
    return f"{len(names):,}: {', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
