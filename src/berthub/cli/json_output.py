"""Print JSON for `--json`."""

import sys

import orjson

__all__ = ["print_json", "write_json_line"]


def print_json(value: object) -> None:
    """Print one value, over several lines."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def write_json_line(value: object) -> None:
    """Write a value on a line of its own; the caller flushes standard output after the last of many."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
