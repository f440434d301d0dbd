"""The report of `berthub inspect` for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from berthub.cli.console import OutputConsole, literal
from berthub.networks.network import CONFIGS

__all__ = ["show"]

_SHOWN = 5
_SHOWN_FILES = 20
_VALUES = {
    None: "the head's output as it is; no file of the model says otherwise",
    "identity": "the head's output as it is",
    "sigmoid": "the sigmoid of the head's output",
    "tanh": "the hyperbolic tangent of the head's output",
}
_ALGORITHMS = {"byte_bpe": "byte-level BPE", "sentencepiece": "SentencePiece", "wordpiece": "WordPiece"}


def show(report: Mapping[str, Any]) -> None:
    """Print the report: what the model is, what goes in and comes out, its settings, and its files."""
    console = OutputConsole()
    facts = Table.grid(padding=(0, 2))
    encoder = report["kind"] == "encoder"
    for name, value in (_encoder_facts(report) if encoder else _preprocessor_facts(report)).items():
        facts.add_row(literal(name, "bold"), literal(value))
    console.print(facts)
    console.print()
    console.print(_interface(report))
    if encoder:
        console.print()
        console.print(_settings(report["settings"]))
    console.print()
    _print_files(console, report["files"])


def _encoder_facts(report: Mapping[str, Any]) -> dict[str, str]:
    settings = {name: setting["value"] for name, setting in report["settings"].items()}
    parts = ((name.replace("_", " "), count) for name, count in report["parameters_by_part"].items() if count)
    memory, speed = report["memory"], report["speed"]
    facts = {
        "model": report["handle"],
        "folder": report["folder"],
        "format": report["format"],
        "architecture": f"{CONFIGS[report['architecture']].title}, {settings['num_layers']} layers of "
        f"{settings['hidden_size']:,}, {settings['num_heads']} heads" + _embeddings(settings),
        "parameters": f"{report['parameters']:,} ({_size(report['weight_bytes'])}): "
        + ", ".join(f"{name} {count:,}" for name, count in parts),
        "vocabulary": _vocabulary(report),
        "longest text": _longest(settings["max_positions"], report["embedding"]["max_length"]),
        "sentence vector": report["embedding"]["in_words"],
        "masked words": "has the head that fills them" if report["mlm_head"] else "no head to fill them",
        "memory": f"{_size(memory['float32_weights'])} of weights in float32; about {_size(memory['float32_peak'])} "
        "at the most for a process that encodes",
        "speed": f"about {_millions(speed['flops_per_token'])} FLOPs a token in texts of {speed['length']} tokens, "
        f"{_times(speed['relative_to_bert_base'])} BERT-base",
    }
    head = report["head"]
    if head is not None:
        of = f"the {head['pooling']} vector" if head["pooling"] else "each word's first piece"
        layers = [f"{of}, through a layer with {layer['activation']}" for layer in head.get("hidden", [])] or [of]
        facts["fine-tuned"] = f"{head['task']}, on {layers[0]}, texts of up to {head['max_length']} tokens"
        if head["task"] == "regress":
            facts["value"] = _VALUES[head.get("activation", "identity")]
        facts["labels"] = _some(head["labels"])
    facts["unused weights"] = _some(report["unused_weights"])
    return facts


def _preprocessor_facts(report: Mapping[str, Any]) -> dict[str, str]:
    return {
        "model": report["handle"],
        "folder": report["folder"],
        "format": f"{report['format']}: makes inputs from texts, and has no weights",
        "vocabulary": _vocabulary(report),
        "length": f"{report['seq_length'] or 'not stored; 128 tokens is usual'}",
        "use": f"berthub.Preprocessor({report['handle']!r}); encoders bring their own tokenizer and do not need it",
    }


def _longest(positions: int, length: Mapping[str, Any]) -> str:
    if length["value"] is None:
        return f"{positions:,} tokens"
    return f"{length['value']:,} tokens ({length['from'] or 'as its files say'}), of {positions:,} positions"


def _embeddings(settings: Mapping[str, Any]) -> str:
    width = settings.get("embedding_size")
    if width is None or width == settings["hidden_size"]:
        return ""
    return f", embeddings of {width:,}"


def _vocabulary(report: Mapping[str, Any]) -> str:
    vocabulary = report["vocabulary"]
    case = "texts are lower-cased" if report["lower_case"] else "case is kept"
    return (
        f"{vocabulary['pieces']:,} pieces, {_ALGORITHMS[vocabulary['algorithm']]}, {case}; "
        f"special: {' '.join(vocabulary['special'])}"
    )


def _interface(report: Mapping[str, Any]) -> Table:
    table = _table("", "name", "type", "shape")
    for heading in ("inputs", "outputs"):
        for index, tensor in enumerate(report[heading]):
            count = f"{tensor['count']} x " if tensor.get("count", 1) > 1 else ""
            shape = f"{count}[{', '.join(map(str, tensor['shape']))}]"
            if tensor.get("largest") is not None:
                shape += f", 0 to {tensor['largest']:,}" if tensor["largest"] else ", all 0"
            cells = [heading if index == 0 else "", tensor["name"], tensor["type"], shape]
            table.add_row(literal(cells[0], "bold"), *map(literal, cells[1:]))
    return table


def _settings(settings: Mapping[str, Any]) -> Table:
    table = _table("setting", "value", "read from")
    # Stable: those of the architecture alone come last.
    for name, setting in sorted(settings.items(), key=lambda item: item[1]["own"]):
        table.add_row(literal(name), literal(_value(setting["value"])), literal(setting["from"] or "", "dim"))
    return table


def _print_files(console: OutputConsole, files: Sequence[Mapping[str, Any]]) -> None:
    """Print the files as `sha256sum` does; only the terminal breaks lines, so that they can be copied whole."""
    total = sum(file["bytes"] for file in files)
    console.print(literal(f"SHA-256 of its {len(files)} files, {_size(total)}", "bold"))
    for file in files[:_SHOWN_FILES]:
        console.print(literal(f"{file['sha256']}  {file['name']}"), soft_wrap=True)
    if len(files) > _SHOWN_FILES:
        console.print(literal(f"and {len(files) - _SHOWN_FILES:,} more; --json lists them", "dim"))


def _table(*headings: str) -> Table:
    return Table(*headings, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def _value(value: object) -> str:
    named = {True: "yes", False: "no", None: "-"}
    return named[value] if value is None or isinstance(value, bool) else str(value)


def _size(number: int) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.{1 if number < 99.95e6 else 0}f} MB"


def _millions(number: int) -> str:
    millions = number / 1e6
    return f"{millions:,.{0 if millions >= 10 else 1 if millions >= 1 else 2}f} million"


def _times(number: float) -> str:
    return f"{number:.1f}x" if number >= 0.95 else f"{number:.2g}x"


def _some(names: Iterable[str]) -> str:
    """A text with the number of names, and the first of them."""
    listed = list(names)
    if not listed:
        return "none"
    return f"{len(listed):,}: {', '.join(listed[:_SHOWN])}{', ...' if len(listed) > _SHOWN else ''}"
