"""Check SentencePiece's precompiled character maps, which its trained models bring for their normalization.

A map is the size of a trie (32 bits), the trie as a double array (darts-clone), and the replacements, each ended by a
zero byte. The tokenizers library follows the numbers in it without a look: a wrong one ends the program.
"""

import numpy as np
import numpy.typing as npt

from berthub.errors import CorruptFileError

__all__ = ["check_charsmap"]

# The largest of SentencePiece's own maps have 300 kB.
_MOST_BYTES = 1 << 22
# In bytes. NFKC makes at most 33 of one character.
_LONGEST_REPLACEMENT = 256
# A node's children lie in one block of so many units.
_BLOCK = 256
_NODES_AT_ONCE = 1 << 12

Units = npt.NDArray[np.int64]


def check_charsmap(data: bytes, *, source: str) -> None:
    """`CorruptFileError` unless every place that a text can lead to in the map is inside it."""
    size = int.from_bytes(data[:4], "little")
    if len(data) > _MOST_BYTES or len(data) < 4 + size or size % 4 or not size:
        raise CorruptFileError(f"{source} holds a precompiled_charsmap of {len(data):,} bytes, which is no such map")
    units = np.frombuffer(data, "<u4", size // 4, 4).astype(np.int64)
    values = _values(units, source)
    replacements = data[4 + size :]
    try:
        replacements.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFileError(f"{source} holds a precompiled_charsmap whose text is no UTF-8: {error}") from error
    text = np.frombuffer(replacements, np.uint8)
    if len(values) and values.max() >= len(text):
        raise CorruptFileError(
            f"{source} holds a precompiled_charsmap whose trie points behind its {len(text):,} bytes"
        )
    ends = np.append(np.flatnonzero(text == 0), len(text))
    lengths = ends[np.searchsorted(ends, values)] - values
    if (text[values] >> 6 == 0b10).any() or lengths.max(initial=0) > _LONGEST_REPLACEMENT:
        raise CorruptFileError(
            f"{source} holds a precompiled_charsmap whose trie points into characters, or to replacements of more than "
            f"{_LONGEST_REPLACEMENT} bytes"
        )


def _values(units: Units, source: str) -> Units:
    """The values at all leaves that are reached from the root; `CorruptFileError` if a way leads out of the trie."""
    labels = np.arange(1, _BLOCK)
    seen = np.zeros(len(units), np.bool_)
    values = []
    nodes = _offsets(units[:1])
    while len(nodes):
        if (nodes | (_BLOCK - 1)).max() >= len(units):
            raise CorruptFileError(f"{source} holds a precompiled_charsmap whose trie leads out of its own units")
        nodes = np.unique(nodes[~seen[nodes]])
        seen[nodes] = True
        following = [np.zeros(0, np.int64)]
        for begin in range(0, len(nodes), _NODES_AT_ONCE):
            places = nodes[begin : begin + _NODES_AT_ONCE, None] ^ labels
            found = units[places]
            places = places[(found & 0x800000FF) == labels]
            children = places ^ _offsets(units[places])
            leaves = children[(units[places] >> 8 & 1) == 1]
            if leaves.max(initial=0) >= len(units):
                raise CorruptFileError(f"{source} holds a precompiled_charsmap whose trie leads out of its own units")
            values.append(units[leaves] & 0x7FFFFFFF)
            following.append(children)
        nodes = np.concatenate(following)
    return np.concatenate(values) if values else np.zeros(0, np.int64)


def _offsets(units: Units) -> Units:
    return (units >> 10) << ((units & (1 << 9)) >> 6)
