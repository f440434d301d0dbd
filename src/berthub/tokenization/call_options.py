"""The options of a tokenizer's call, checked, as `BertTokenizer` has them."""

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from berthub.errors import InputError
from berthub.tokenization.absent import refuse_options
from berthub.tokenization.arguments import chosen
from berthub.tokenization.assemble import Side
from berthub.tokenization.tensors import check_framework
from berthub.tokenization.windows import Strategy

__all__ = ["PADDINGS", "CallOptions", "Padding", "checked_multiple", "checked_side"]

Padding = Literal["longest", "max_length"]
"""Up to which length rows are padded."""

PADDINGS: Mapping[bool | str, Padding | None] = {
    True: "longest",
    "longest": "longest",
    "max_length": "max_length",
    False: None,
    "do_not_pad": None,
}
"""The values of the option `padding`."""

_TRUNCATIONS: Mapping[bool | str, Strategy | None] = {
    True: "longest_first",
    "longest_first": "longest_first",
    "only_first": "only_first",
    "only_second": "only_second",
    False: None,
    "do_not_truncate": None,
}
_SWITCHES = (
    "add_special_tokens",
    "is_split_into_words",
    "return_token_type_ids",
    "return_attention_mask",
    "return_overflowing_tokens",
    "return_special_tokens_mask",
    "return_offsets_mapping",
    "return_length",
)
_LEFT_OPEN = ("return_token_type_ids", "return_attention_mask")
# Of transformers 2 and 3.
_OLD = ("pad_to_max_length", "truncation_strategy")


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """The options of `Tokenizer.__call__`, by their names there; None is the default, as in transformers."""

    add_special_tokens: bool = True
    padding: bool | str = False
    truncation: bool | str | None = None
    max_length: int | None = None
    stride: int = 0
    is_split_into_words: bool = False
    pad_to_multiple_of: int | None = None
    padding_side: str | None = None
    truncation_side: str | None = None
    return_tensors: str | None = None
    return_token_type_ids: bool | None = None
    return_attention_mask: bool | None = None
    return_overflowing_tokens: bool = False
    return_special_tokens_mask: bool = False
    return_offsets_mapping: bool = False
    return_length: bool = False

    def __post_init__(self) -> None:
        if self.return_tensors is not None:
            check_framework(self.return_tensors)
        chosen("padding", self.padding, PADDINGS)
        if self.truncation is not None:
            chosen("truncation", self.truncation, _TRUNCATIONS)
        for name in _SWITCHES:
            value = getattr(self, name)
            if value is not True and value is not False and (value is not None or name not in _LEFT_OPEN):
                raise InputError(f"{name} must be True or False, not {value!r}")
        if isinstance(self.stride, bool) or not isinstance(self.stride, int) or self.stride < 0:
            raise InputError(
                f"stride is the number of tokens that a row repeats of the one before, from 0 on, not {self.stride!r}"
            )
        checked_multiple(self.pad_to_multiple_of)
        checked_side("padding_side", self.padding_side)
        checked_side("truncation_side", self.truncation_side)

    @classmethod
    def of(cls, options: Mapping[str, Any], *, stacklevel: int) -> Self:
        """The options of a call; those of transformers 2 and 3 are translated, with a warning.

        `InputError` for an option that is not known. `stacklevel` is that of the public method's caller, seen from
        here.
        """
        if options.keys() <= cls.__annotations__.keys():
            return cls(**options)
        options = {**options}
        known = [field.name for field in dataclasses.fields(cls)]
        for old in _OLD:
            if options.get(old) is not None:
                value = options.pop(old)
                new = _translated(old, value, options)
                said = ", ".join(f"{name}={value!r}" for name, value in new.items())
                warnings.warn(
                    f"{old} is an option of transformers 2: write {said or 'nothing'}",
                    DeprecationWarning,
                    stacklevel=stacklevel,
                )
                options |= new
        refuse_options((name for name in options if name not in known), known)
        return cls(**options)

    @property
    def pad(self) -> Padding | None:
        """Up to which length rows are padded; None: not at all."""
        return PADDINGS[self.padding]

    @property
    def unsaid(self) -> bool:
        """Whether texts are truncated only because `max_length` is given: as in transformers, if nothing is said."""
        return self.truncation is None and self.max_length is not None and self.pad is None

    @property
    def strategy(self) -> Strategy | None:
        """Which text of a pair is truncated; None: nothing is."""
        if self.truncation is None:
            return "longest_first" if self.unsaid else None
        return _TRUNCATIONS[self.truncation]

    @property
    def pads_on(self) -> Side:
        """Where rows are padded."""
        return checked_side("padding_side", self.padding_side)

    @property
    def truncates_on(self) -> Side:
        """Where texts are truncated."""
        return checked_side("truncation_side", self.truncation_side)


def _translated(old: str, value: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that do today what an option of transformers 2 did."""
    if old == "truncation_strategy":
        return {} if "truncation" in options else {"truncation": value}
    if value not in (True, False):
        raise InputError(f"{old} must be True or False, not {value!r}")
    if not value:
        return {}
    new: dict[str, Any] = {"padding": "max_length"}
    if options.get("truncation") is None and options.get("max_length") is not None:
        # Which a length alone did there.
        new["truncation"] = True
    return new


def checked_multiple(value: object) -> int | None:
    """The `value` of pad_to_multiple_of, or `InputError`."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise InputError(f"pad_to_multiple_of is a number from 1 on, or None, not {value!r}")


def checked_side(name: str, value: object) -> Side:
    """The `value` of an option that names a side, or `InputError`; None means the right one."""
    if value is None or value == "right":
        return "right"
    if value == "left":
        return "left"
    raise InputError(f"{name}={value!r} is not known; use 'right' or 'left'")
