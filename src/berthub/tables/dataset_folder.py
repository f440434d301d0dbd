"""Folders that Hugging Face's `datasets` writes by `save_to_disk`: Arrow files, and a list of those that belong."""

from collections.abc import Collection
from typing import Any

import orjson

from berthub.errors import InputError
from berthub.tables.addresses import shown_address
from berthub.tables.opening import open_file

__all__ = ["DATASET_FILES", "dataset_files", "refuse_inner_datasets"]

_STATE = "state.json"
_INFO = "dataset_info.json"
_SPLITS = "dataset_dict.json"
DATASET_FILES = (_STATE, _INFO, _SPLITS)
"""The names that tell a dataset's folder from others."""

# Names of a million files.
_LARGEST = 1 << 26


def dataset_files(folder: str, names: Collection[str]) -> list[str] | None:
    """The names of the files of a dataset in their order; None where the folder holds none.

    `folder` is an address, and `names` what lies in it, or at least those that are asked for here. Other Arrow files in
    the folder, such as caches of transformations, are no part of the dataset. `InputError` for a dataset of several
    splits, and for one whose rows are not those of its files.
    """
    folder = folder.rstrip("/") or "/"
    shown = shown_address(folder)
    if _SPLITS in names:
        splits = _read(folder, _SPLITS).get("splits")
        if not isinstance(splits, list) or not splits:
            raise _damaged(shown, _SPLITS)
        raise InputError(
            f'the folder "{shown}" holds a dataset of several splits: {", ".join(map(str, splits))}; name one, as in '
            f"{shown}/{splits[0]}"
        )
    if not {_STATE, _INFO} <= set(names):
        return None
    state = _read(folder, _STATE)
    if state.get("_indices_files") or state.get("_indices_data_files"):
        raise InputError(
            f'the folder "{shown}" holds a dataset whose rows are chosen by indices, as after shuffle() or filter(): '
            "write it with flatten_indices().save_to_disk(...), and read that"
        )
    files = state.get("_data_files")
    if not isinstance(files, list) or not all(
        isinstance(file, dict) and _is_name(file.get("filename")) for file in files
    ):
        raise _damaged(shown, _STATE)
    found = [str(file["filename"]) for file in files]
    if not found:
        raise InputError(f'the dataset in the folder "{shown}" has no rows')
    return found


def refuse_inner_datasets(folder: str, addresses: Collection[str]) -> None:
    """Raise `InputError` where one of the files below a folder belongs to a dataset, which is named by itself."""
    everything = set(addresses)
    for address in addresses:
        if address.endswith(f"/{_STATE}") and f"{address.removesuffix(_STATE)}{_INFO}" in everything:
            raise InputError(
                f'the folder "{shown_address(folder)}" holds a dataset in '
                f"{shown_address(address[: -len(_STATE) - 1])}: name that folder"
            )


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")


def _read(folder: str, name: str) -> dict[str, Any]:
    address = f"{folder.rstrip('/')}/{name}"
    with open_file(address, shown_address(address)) as opened, opened.errors():
        data = opened.stream.read(_LARGEST + 1)
    try:
        values = orjson.loads(data) if len(data) <= _LARGEST else None
    except orjson.JSONDecodeError as error:
        raise _damaged(shown_address(folder), name) from error
    if not isinstance(values, dict):
        raise _damaged(shown_address(folder), name)
    return values


def _damaged(folder: str, name: str) -> InputError:
    return InputError(
        f"{folder}/{name} is not what Hugging Face's datasets writes: save the dataset again, or name its files, as in "
        f"'{folder}/*.arrow'"
    )
