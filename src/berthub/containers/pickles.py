"""Read pickles of plain values, by an interpreter that calls nothing that a file names.

A pickle is a program of one-byte instructions (https://docs.python.org/3/library/pickletools.html). Python's own
unpickler is not used: even with a list of allowed names it makes room for what a file claims (the numbers of the memo,
the lengths of strings), takes instructions that no file of weights needs, and hashes whatever a file makes a key. Here
the instructions are those that `pickle` writes for numbers, texts, tuples, lists and dictionaries (protocols 2 to 5).
What else a file names must be in a table that the caller gives, and is not called by that name.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from berthub.containers.budget import Budget
from berthub.errors import CorruptFileError, UnsupportedModelError

__all__ = ["Known", "Maker", "read_pickle"]

# The pickle in a file of weights has some hundred bytes for each tensor.
_LARGEST = 1 << 26
# `pickle` puts a thousand values at a time into a list or dictionary, and weights are nested three deep.
_DEEPEST, _MOST_WAITING = 64, 1 << 15
_LONGEST_NAME = 256
# Sizes have 8 bytes; the number that begins a file of the older form has 10.
_LONGEST_INTEGER = 16
_PROTOCOLS = range(2, 6)

# Bytes of memory, about as CPython has them.
_CONTAINER, _ITEM, _NUMBER, _TEXT, _KEPT, _MADE = 72, 104, 32, 64, 104, 256

_CONSTANTS = {ord("N"): None, 0x88: True, 0x89: False, ord(")"): ()}
_NUMBERS = {ord("J"): struct.Struct("<i"), ord("K"): struct.Struct("<B"), ord("M"): struct.Struct("<H")}
_FLOAT = struct.Struct(">d")
_LENGTHS = {
    # Texts; Python 2 wrote U.
    ord("X"): struct.Struct("<I"),
    0x8C: struct.Struct("<B"),
    0x8D: struct.Struct("<Q"),
    ord("U"): struct.Struct("<B"),
    # Bytes, and integers by their bytes.
    ord("B"): struct.Struct("<I"),
    ord("C"): struct.Struct("<B"),
    0x8E: struct.Struct("<Q"),
    0x8A: struct.Struct("<B"),
    0x8B: struct.Struct("<I"),
}
_TEXTS, _INTEGERS = (ord("X"), 0x8C, 0x8D, ord("U")), (0x8A, 0x8B)
_TUPLES = {0x85: 1, 0x86: 2, 0x87: 3}
_PUT = {ord("q"): struct.Struct("<B"), ord("r"): struct.Struct("<I")}
_GET = {ord("h"): struct.Struct("<B"), ord("j"): struct.Struct("<I")}
_FRAME = struct.Struct("<Q")
# What no file of weights holds; some of them make objects.
_REFUSED = {
    ord("i"): "INST", ord("o"): "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4",
    ord("P"): "PERSID", ord("I"): "INT", ord("L"): "LONG", ord("S"): "STRING", ord("T"): "BINSTRING",
    ord("V"): "UNICODE", ord("F"): "FLOAT", ord("g"): "GET", ord("p"): "PUT", ord("0"): "POP", ord("1"): "POP_MARK",
    ord("2"): "DUP", ord("d"): "DICT", ord("l"): "LIST", 0x8F: "EMPTY_SET", 0x90: "ADDITEMS", 0x91: "FROZENSET",
    0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Maker:
    """What stands for a function or class that a pickle may call: `make` gets the arguments as a tuple."""

    make: Callable[[tuple[Any, ...]], Any]


Known = Mapping[str, Any]
"""What a pickle may name, by `module.name`: a `Maker`, or what stands for a thing that is not called."""


def read_pickle(
    data: memoryview,
    start: int = 0,
    *,
    source: str,
    known: Known | None = None,
    persistent: Callable[[Any], Any] | None = None,
) -> tuple[Any, int]:
    """The value that the pickle at `start` stands for, and the place after the pickle.

    `persistent` makes the values that lie outside of the pickle, from what the pickle calls them. A value may be part
    of another one in several places, or of itself, so that walking through all of it may take for ever.
    `UnsupportedModelError` for a pickle that names anything but what is `known`, `CorruptFileError` for a damaged one
    and for one whose values would take much more memory than the file.
    """
    return _Interpreter(data, start, source, known or {}, persistent).run()


class _Interpreter:
    """One pass over one pickle."""

    def __init__(
        self,
        data: memoryview,
        start: int,
        source: str,
        known: Known,
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        self._data, self._start, self._at, self._source = data, start, start, source
        self._known, self._persistent = known, persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._budget = Budget(source)
        self._steps: dict[int, Callable[[int], None]] = {
            **dict.fromkeys(_CONSTANTS, self._constant),
            **dict.fromkeys(_NUMBERS, self._number),
            **dict.fromkeys(_LENGTHS, self._string),
            **dict.fromkeys(_TUPLES, self._tuple),
            **dict.fromkeys(_PUT, self._put),
            **dict.fromkeys(_GET, self._get),
            ord("G"): self._float,
            ord("("): self._mark,
            ord("t"): self._tuple,
            ord("]"): self._empty,
            ord("}"): self._empty,
            ord("a"): self._append,
            ord("e"): self._append,
            ord("s"): self._set_items,
            ord("u"): self._set_items,
            0x94: self._put,
            ord("c"): self._global,
            0x93: self._global,
            ord("R"): self._reduce,
            ord("b"): self._build,
            ord("Q"): self._persistent_value,
            0x80: self._protocol,
            0x95: self._frame,
        }

    def run(self) -> tuple[Any, int]:
        while (code := self._take(1)[0]) != ord("."):
            step = self._steps.get(code)
            if step is None:
                raise self._unknown(code)
            step(code)
            if len(self._stack) > _MOST_WAITING or len(self._marks) > _DEEPEST:
                raise self._damaged(f"more than {_MOST_WAITING:,} values at once, or lists more than {_DEEPEST} deep")
        if len(self._stack) != 1 or self._marks:
            raise self._damaged(f"{len(self._stack)} values at its end, where one is expected")
        return self._stack[0], self._at

    # --- Reading --------------------------------------------------------------------------------------------------

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise self._damaged(f"{size:,} bytes, of which {len(self._data) - self._at:,} are there")
        if end - self._start > _LARGEST:
            raise CorruptFileError(f"{self._source} is no model's: its pickle has more than {_LARGEST:,} bytes")
        taken = bytes(self._data[self._at : end])
        self._at = end
        return taken

    def _unpack(self, layout: struct.Struct) -> Any:
        return layout.unpack(self._take(layout.size))[0]

    def _line(self) -> str:
        """The text up to the end of the line, of a name."""
        head = bytes(self._data[self._at : self._at + _LONGEST_NAME])
        length = head.find(b"\n")
        if length < 0:
            raise self._damaged(f"a name that does not end within {_LONGEST_NAME} bytes")
        return self._text(self._take(length + 1)[:-1])

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self._damaged(f"a text that is no UTF-8 ({error.reason})") from error

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise self._damaged("an instruction without a value to work on")
        return self._stack.pop()

    def _pop_marked(self) -> list[Any]:
        if not self._marks:
            raise self._damaged("the end of a list that never began")
        begin = self._marks.pop()
        values = self._stack[begin:]
        del self._stack[begin:]
        return values

    def _spend(self, size: int) -> None:
        self._budget.spend(size, self._at - self._start)

    # --- Values ---------------------------------------------------------------------------------------------------

    def _constant(self, code: int) -> None:
        self._stack.append(_CONSTANTS[code])

    def _number(self, code: int) -> None:
        if code != ord("K"):
            self._spend(_NUMBER)
        self._stack.append(self._unpack(_NUMBERS[code]))

    def _float(self, code: int) -> None:
        self._stack.append(self._unpack(_FLOAT))

    def _string(self, code: int) -> None:
        length = self._unpack(_LENGTHS[code])
        if code in _INTEGERS and length > _LONGEST_INTEGER:
            raise self._damaged(f"an integer of {length:,} bytes")
        data = self._take(length)
        self._spend(_TEXT + 4 * length)
        if code in _TEXTS:
            self._stack.append(self._text(data))
        else:
            self._stack.append(int.from_bytes(data, "little", signed=True) if code in _INTEGERS else data)

    def _mark(self, code: int) -> None:
        self._marks.append(len(self._stack))

    def _tuple(self, code: int) -> None:
        values = [self._pop() for _ in range(_TUPLES[code])] if code in _TUPLES else self._pop_marked()[::-1]
        self._spend(_CONTAINER)
        self._stack.append(tuple(reversed(values)))

    def _empty(self, code: int) -> None:
        self._spend(_CONTAINER)
        self._stack.append([] if code == ord("]") else {})

    def _append(self, code: int) -> None:
        values = [self._pop()] if code == ord("a") else self._pop_marked()
        found = self._top()
        if not isinstance(found, list):
            raise self._damaged("an item for what is no list")
        if not found:
            self._spend(_CONTAINER)
        found.extend(values)

    def _set_items(self, code: int) -> None:
        values = [self._pop(), self._pop()][::-1] if code == ord("s") else self._pop_marked()
        found = self._top()
        if not isinstance(found, dict) or len(values) % 2:
            raise self._damaged("an item for what is no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Hashing a tuple walks through all that is in it.
            if not isinstance(key, str | int):
                raise self._damaged("a key that is neither a text nor a number")
            if key in found:
                raise self._damaged(f"the key {str(key)[:200]!r} twice")
            self._spend(_ITEM if found else 2 * _ITEM)
            found[key] = value

    def _top(self) -> Any:
        value = self._pop()
        self._stack.append(value)
        return value

    # --- The memo -------------------------------------------------------------------------------------------------

    def _put(self, code: int) -> None:
        index = self._unpack(_PUT[code]) if code in _PUT else len(self._memo)
        if index in self._memo:
            raise self._damaged(f"two values under the number {index:,}")
        self._spend(_KEPT)
        self._memo[index] = self._top()

    def _get(self, code: int) -> None:
        index = self._unpack(_GET[code])
        if index not in self._memo:
            raise self._damaged(f"no value under the number {index:,}")
        self._stack.append(self._memo[index])

    # --- Names ----------------------------------------------------------------------------------------------------

    def _global(self, code: int) -> None:
        if code == ord("c"):
            module, name = self._line(), self._line()
        else:
            name, module = self._pop(), self._pop()
            if not isinstance(module, str) or not isinstance(name, str):
                raise self._damaged("a name that is no text")
        full = f"{module}.{name}"
        if full not in self._known:
            raise self._asks(f"for {full[:_LONGEST_NAME]!r}")
        self._stack.append(self._known[full])

    def _reduce(self, code: int) -> None:
        arguments, maker = self._pop(), self._pop()
        if not isinstance(maker, Maker) or not isinstance(arguments, tuple):
            raise self._asks("to call what is no function")
        self._spend(_MADE)
        self._stack.append(maker.make(arguments))

    def _build(self, code: int) -> None:
        # The state of an OrderedDict is `_metadata`, the versions of the layers' classes: no number of a weight.
        self._pop()
        if not isinstance(self._top(), dict):
            raise self._asks("to set the state of an object")

    def _persistent_value(self, code: int) -> None:
        called = self._pop()
        if self._persistent is None:
            raise self._asks("for a value outside of it")
        self._spend(_MADE)
        self._stack.append(self._persistent(called))

    # --- Framing --------------------------------------------------------------------------------------------------

    def _protocol(self, code: int) -> None:
        version = self._take(1)[0]
        if version not in _PROTOCOLS:
            raise UnsupportedModelError(
                f"{self._source} is a pickle of protocol {version}; {_PROTOCOLS[0]} to {_PROTOCOLS[-1]} are read"
            )

    def _frame(self, code: int) -> None:
        # Frames are for readers of streams; all that can be wrong here is the length.
        length = self._unpack(_FRAME)
        if length > len(self._data) - self._at:
            raise self._damaged(f"a frame of {length:,} bytes, of which {len(self._data) - self._at:,} are there")

    # --- Errors ---------------------------------------------------------------------------------------------------

    def _damaged(self, fault: str) -> CorruptFileError:
        return CorruptFileError(f"{self._source} is damaged: at byte {self._at:,} its pickle has {fault}")

    def _unknown(self, code: int) -> CorruptFileError | UnsupportedModelError:
        if code in _REFUSED:
            return self._asks(f"with the instruction {_REFUSED[code]} for an object or a value of an older protocol")
        return self._damaged(f"the byte {code:#04x}, which is no instruction")

    def _asks(self, what: str) -> UnsupportedModelError:
        return UnsupportedModelError(
            f"{self._source} is refused: its pickle asks {what}, and only tensors and plain containers are read. "
            "Nothing of it was run. Take a model whose weights are in model.safetensors; or, if you trust this one, "
            "load it in an environment with torch, and save its state_dict() alone"
        )
