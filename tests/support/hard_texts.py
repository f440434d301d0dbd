"""Texts drawn from a grammar of what tokenizers disagree on."""

import functools
import random
import unicodedata

__all__ = ["CONTEXTS", "characters", "hard_text"]

CONTEXTS = ("a{}b {}", "A{}", "e\u0301{}\u0327", "{}x", "{}")
"""Every character is compared in each of these, in the place of `{}`."""

_RANGES = {
    "letters": "41-5a 61-7a c0-17f 370-3ff 400-45f",
    "ligatures": "fb00-fb17 1f80-1fff 2460-24ff 3300-33ff ff00-ffef fdfa fdfb",
    "korean": "1100-11ff ac00-ad00 3131 3164 ffa0 115f 1160",
    "chinese": "4e00 9fff 3400 4dbf 20000 2a6df 2a6e0 f900 fa0e faff 2f800 2fa1f 30000 3007 3042 30ab 3099",
    "control": "0-1f 7f-9f ad 600 61c 6dd 70f 180e 200b-200f 202a-202e 2060-206f feff fff9 fffc fffd 110bd 13430 13439 "
    "e0001 e0020 fff0 ffff 10ffff e000",
    "blank": "9 a b c d 20 85 a0 1680 2000-200a 2028 2029 202f 205f 3000",
    "punctuation": "21-2f 3a-40 5b-60 7b-7e a1 ab b7 bb bf 37e 61d 61f f0b 1360 2013 201c 2026 2e52 2e5d 3001 3002 "
    "30fb 110bb 11b00 11f43",
    # Combining characters that are no marks, and what decomposes to them.
    "staying": "897 1715 1734 1b44 1b3d 1baa 1bf2 302e 302f a953 10d69 113ce 11f41 1612f 16ff0 1d165 1d16d 1d15e 1e5ee",
    "special": "df 1e9e 130 131 3a3 3c2 3c3 345 344 390 3b0 3f4 149 1f0 1e9b 2126 212a 212b 958 2adc 1fd3 1d400 13a0 "
    "ab70 10400 1e900",
    "newer": "1c89 a7cb a7da a7dc 105c9 105e4 10d50 11383 113c5 16121 16d6a 1ccd6 1ccf0 1e030 1e06d ece 1e08f 10efc",
}
_WORDS = ("the", "It", "'s", "##ing", "[UNK]", "[unused1]", "HELLO", "12", "Straße", "naïve", "ΟΔΟΣ", "Σ.Σ")
_WORDS += ("İstanbul", "ﬁne", "Ångström", "मराठी", "한국어", "ไทย", "עִבְרִית", "عربيّة", "tiếng")
_EMOJI = ("👨‍👩‍👧", "🏳️‍🌈", "👍🏽", "1️⃣", "🇩🇪", "❤️")
_LONG = (*"aéß漢ж😀가İ", "e\u0301", "\u1100", "\U00010400", "\u1b44", "\ufb03", "\ufdfa", "\u00a0", "\u200b", "b\u0327")
# Around the longest words: 100 bytes in one reference, 200 characters in the other.
_SIZES = (24, 25, 26, 33, 34, 49, 50, 51, 99, 100, 101, 199, 200, 201)


def hard_text(source: random.Random) -> str:
    """One text, without lone surrogates."""
    if source.random() < 0.03:
        long = source.choice(_LONG) * source.choice(_SIZES)
        return source.choice(("", "a ")) + long + source.choice(("", "x", "é", "!", " z"))
    parts = []
    for _ in range(source.randrange(1, 14)):
        match source.choices(("blank", "mark", "assigned", "any", "word", "one"), (13, 15, 10, 6, 14, 42))[0]:
            case "blank":
                parts.append(" ")
            case "mark":
                parts += source.choices(_marks(), k=source.randrange(1, 4))
            case "assigned":
                parts.append(source.choice(_assigned()))
            case "any":
                parts.append(source.choice(characters()))
            case "word":
                parts.append(source.choice((*_WORDS, *_EMOJI)))
            case _:
                parts.append(source.choice(source.choice(_pools())))
    return "".join(parts)


@functools.cache
def characters() -> list[str]:
    """Every character but surrogates, assigned or not."""
    return [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]


@functools.cache
def _assigned() -> list[str]:
    return [character for character in characters() if unicodedata.category(character) not in ("Cn", "Co")]


@functools.cache
def _marks() -> list[str]:
    return [character for character in characters() if unicodedata.category(character)[0] == "M"]


@functools.cache
def _pools() -> list[list[str]]:
    pools = []
    for ranges in _RANGES.values():
        pairs = (pair.partition("-") for pair in ranges.split())
        codes = (range(int(first, 16), int(last or first, 16) + 1) for first, _, last in pairs)
        pools.append([chr(code) for part in codes for code in part])
    return pools
