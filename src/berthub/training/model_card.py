"""The model card of a run: what was trained, on what, how, and how good it is (https://arxiv.org/abs/1810.03993)."""

from collections.abc import Mapping, Sequence

from berthub.training.run import Run

__all__ = ["model_card"]

_TASKS = {
    "classify": "Text classification: one label for a text.",
    "multi_label": "Text classification: any number of labels for a text.",
    "regress": "Text regression: a number for a text.",
    "tag": "Token classification: a tag for each word.",
}
_USE = {
    "classify": '["a text", "another one"]',
    "multi_label": '["a text", "another one"]',
    "regress": '["a text", "another one"]',
    "tag": '[["Some", "words"]]',
}
_SHOWN_LABELS = 50


def model_card(run: Run, *, name: str, pictures: Sequence[str], versions: Mapping[str, str]) -> str:
    """The card in Markdown."""
    head, config = run.checkpoint.head, run.checkpoint.config
    assert head is not None
    labels = ", ".join(f"`{label}`" for label in head.labels[:_SHOWN_LABELS])
    more = len(head.labels) - _SHOWN_LABELS
    sections = [
        f"# {name}",
        _TASKS[head.task],
        f"Labels: {labels}{f' and {more} more' if more > 0 else ''}." if head.task != "regress" else "",
        "## Use",
        f"```python\nimport berthub as hub\n\nmodel = hub.load({name!r})\nmodel.predict({_USE[head.task]})\n```",
        "## Model",
        f"Fine-tuned from {run.model}: {config.architecture.upper()} with {config.num_layers} layers of "
        f"{config.hidden_size}, {'lower-cased' if config.lower_case else 'cased'}, "
        f"texts of up to {head.max_length} tokens.",
        "## Data",
        _data(run),
        "## Scores",
        _scores(run),
        *[f"![{picture.removesuffix('.png').replace('_', ' ')}]({picture})" for picture in pictures],
        "## Epochs",
        _history(run),
        "## Hyperparameters",
        _table(["", ""], [[key, _shown(value)] for key, value in run.hyperparameters.items()]),
        "## Versions",
        _table(["", ""], [[key, value] for key, value in versions.items()]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _data(run: Run) -> str:
    counted = f"{run.data or 'Not described'}. {run.examples:,} examples for training"
    return counted + (f", {run.dev_examples:,} for choosing the epoch and for the scores below." if run.scores else ".")


def _scores(run: Run) -> str:
    if run.scores is None:
        return "None: there were no dev data."
    table = _table(["score", "dev"], [[key, f"{value:.4f}"] for key, value in run.scores.items()])
    return (
        f"Of epoch {run.best_epoch}, on the data by which that epoch was chosen: on new data expect a little less."
        f"\n\n{table}"
    )


def _history(run: Run) -> str:
    if not run.history:
        return "None was completed."
    names = list(run.history[0])
    return _table(names, [[_shown(entry[name]) for name in names] for entry in run.history])


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
