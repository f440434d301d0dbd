"""Read the tokenizers of Hugging Face folders; ids equal those of transformers' AutoTokenizer (5.24).

Its classes for BERT and the like take the vocabulary from `tokenizer.json`, or else from a file of their own, and all
settings from `tokenizer_config.json`; a setting that is not there has the class's default, whatever the normalizer in
`tokenizer.json` says. Only a folder that names the class `PreTrainedTokenizerFast` (`TokenizersBackend`), and one of
ModernBERT, is read by `tokenizer.json` as it is.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from berthub.containers.files import read_bytes, read_json, read_lines
from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.huggingface.tokenizer_checks import FAST, SLOW, check_fast, check_slow, steps
from berthub.formats.huggingface.tokenizer_classes import UNIGRAM_CLASSES
from berthub.formats.huggingface.tokenizer_files import SPECIAL, TokenizerFiles, read_slow, read_tokenizer_files
from berthub.formats.huggingface.tokenizer_frames import check_frame, read_frame
from berthub.formats.huggingface.tokenizer_pipelines import read_unigram, read_whole
from berthub.formats.settings import Settings
from berthub.formats.vocabularies import (
    ALBERT_SPECIAL,
    BERT_SPECIAL,
    MPNET_SPECIAL,
    ROBERTA_SPECIAL,
    byte_bpe_vocabulary,
    sentencepiece_vocabulary,
)
from berthub.vocabulary import BERT_FRAME, ROBERTA_FRAME, Algorithm, Vocabulary

__all__ = ["WORDPIECE_KEYS", "longest_text", "put_tokenization", "read_tokenization"]

_DEFAULTS: Mapping[Algorithm, Mapping[str, str]] = {
    "wordpiece": BERT_SPECIAL,
    "sentencepiece": ALBERT_SPECIAL,
    "byte_bpe": ROBERTA_SPECIAL,
}
_MPNET = "MPNetTokenizer"

WORDPIECE_KEYS = {
    "do_lower_case": "lower_case",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "split_chinese",
}
"""The keys of `tokenizer_config.json` for settings of WordPiece."""

_NORMALIZER_KEYS = {
    "lowercase": "lower_case",
    "strip_accents": "strip_accents",
    "handle_chinese_chars": "split_chinese",
}


def read_tokenization(
    folder: Path, settings: Settings, *, tokenizer_class: object = None, model_type: object = None
) -> Vocabulary:
    """The vocabulary; the tokenizer's settings are put into `settings`.

    `tokenizer_class` and `model_type` are what `config.json` says. `ModelNotFoundError` where there is no vocabulary,
    `UnsupportedModelError` for a tokenizer that is none of WordPiece's, SentencePiece's and byte-pair encoding's, and
    for a setting that is not supported.
    """
    files = read_tokenizer_files(folder, tokenizer_class, model_type)
    if (folder / "spiece.model").is_file() and not (folder / "vocab.txt").is_file():
        return _sentencepieces(files, folder / "spiece.model", settings)
    if files.whole and _is_pipeline(files):
        return read_whole(files, settings)
    if files.name is not None and files.name in UNIGRAM_CLASSES:
        return read_unigram(files, files.name, settings)
    if (folder / "vocab.txt").is_file():
        return _wordpieces(files, _lines(files), settings)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        ids, lines = read_json(folder / "vocab.json"), read_lines(folder / "merges.txt")
        merges = [line for line in lines if line and not line.startswith("#version")]
        return _byte_pairs(files, ids, merges, settings, source=folder / "vocab.json")
    if not files.fast:
        raise ModelNotFoundError(
            f"{folder} has no vocabulary: neither vocab.txt nor tokenizer.json, nor spiece.model, "
            "sentencepiece.bpe.model or spm.model, nor vocab.json with merges.txt"
        )
    path = folder / FAST
    model = files.fast.get("model")
    found = model if isinstance(model, dict) else {}
    pieces = found.get("vocab")
    match found.get("type", "WordPiece"):
        case "WordPiece" if isinstance(pieces, dict):
            return _wordpieces(files, _by_id(pieces, path), settings)
        case "BPE" if isinstance(pieces, dict) and _is_byte_level(files):
            return _byte_pairs(files, pieces, _merges(found.get("merges"), path), settings, source=path)
        case "Unigram" if model_type == "albert":
            return read_unigram(files, "AlbertTokenizer", settings)
        case "Unigram":
            raise ModelNotFoundError(
                f"{folder} has its SentencePiece vocabulary in {FAST} alone, and no file says whose it is: name the "
                f"tokenizer_class in {SLOW} ({', '.join(UNIGRAM_CLASSES)}), or put the spiece.model of the original "
                "release beside it"
            )
        case kind:
            raise UnsupportedModelError(
                f"{path} holds no WordPiece vocabulary and no byte-pair encoding of bytes, but {kind!r}"
            )


def put_tokenization(folder: Path, settings: Settings) -> None:
    """Put into `settings` what `tokenizer_config.json` says, where the vocabulary comes from elsewhere."""
    slow = read_slow(folder)
    settings.put(SLOW, **{name: slow[key] for key, name in WORDPIECE_KEYS.items() if key in slow})
    settings.put("the folder, which is of Hugging Face's kind", tokenization="transformers")


def longest_text(folder: Path, most: int) -> int:
    """How many tokens a text may have by the tokenizer's `model_max_length`, at the most `most`."""
    slow = read_slow(folder)
    # The older name counts where the newer is missing.
    length = slow.get("model_max_length", slow.get("max_len"))
    # Where nothing limits it, transformers stores 1e30.
    return min(int(length), most) if isinstance(length, int | float) and 3 <= length < most else most


def _lines(files: TokenizerFiles) -> tuple[str, ...]:
    """The pieces in `vocab.txt`; `CorruptFileError` where `tokenizer.json` has others."""
    path = files.folder / "vocab.txt"
    pieces = tuple(read_lines(path))
    model = files.fast.get("model")
    ids = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(ids, dict) and (own := {piece: index for index, piece in enumerate(pieces)}) != ids:
        differ = sorted(
            (piece for piece in own.keys() | ids.keys() if own.get(piece) != ids.get(piece)),
            key=lambda piece: own.get(piece, len(own)),
        )
        raise CorruptFileError(
            f"{path} and {FAST} beside it hold different vocabularies: they differ in {len(differ):,} pieces, first in "
            f"{differ[0]!r}. transformers reads {FAST}; remove the file that is out of date"
        )
    return pieces


def _finished(files: TokenizerFiles, vocabulary: Vocabulary, *, mask_strips: bool = False) -> Vocabulary:
    """The vocabulary with the added tokens, after a look at all that the files set."""
    path, algorithm = files.folder / FAST, vocabulary.algorithm
    files.check_class(algorithm)
    check_slow(files.slow, algorithm, files.folder, whole=files.whole)
    if not files.fast and (keys := {"add_bos_token", "add_eos_token"} & files.slow.keys()):
        raise UnsupportedModelError(
            f"{files.folder / SLOW} sets {' and '.join(sorted(keys))}, with which transformers puts other special "
            "tokens around texts; remove the setting"
        )
    if files.fast:
        check_fast(files.fast, algorithm, path, whole=files.whole)
        check_frame(files.fast, vocabulary, path, types=files.name != _MPNET)
    # Its class for any tokenizer.json has no special tokens but those that are named.
    special = {} if files.whole else {key: getattr(vocabulary, role) for key, role in SPECIAL.items()}
    if special and vocabulary.framed.between > 1:
        special |= {"bos_token": vocabulary.classify, "eos_token": vocabulary.separate}
    appended, added = files.added(special, vocabulary.ids, mask_strips=mask_strips)
    return replace(vocabulary, pieces=vocabulary.pieces + appended, added=added, appended=len(appended))


def _special_pieces(files: TokenizerFiles, algorithm: Algorithm) -> dict[str, str]:
    defaults = MPNET_SPECIAL if files.name == _MPNET else _DEFAULTS[algorithm]
    special = {**defaults, **files.named()}
    model = files.fast.get("model")
    unknown = model.get("unk_token") if isinstance(model, dict) else None
    if algorithm == "wordpiece" and unknown is not None and unknown != special["unknown"]:
        raise UnsupportedModelError(
            f"{files.folder / FAST} sets model.unk_token to {unknown!r}, and the unk_token of {SLOW} is "
            f"{special['unknown']!r}; they must be the same"
        )
    return special


def _wordpieces(files: TokenizerFiles, pieces: tuple[str, ...], settings: Settings) -> Vocabulary:
    mpnet = files.name == _MPNET
    frame = ROBERTA_FRAME if mpnet else None
    if files.whole and files.fast.get("post_processor") is not None:
        _, _, found = read_frame(files.fast, files.folder / FAST)
        frame = None if found == BERT_FRAME else found
    if "model_input_names" in files.slow and not files.has_types(otherwise=True):
        frame = replace(frame or BERT_FRAME, second_type=0)
    vocabulary = Vocabulary.with_special(pieces, _special_pieces(files, "wordpiece"), frame=frame)
    vocabulary = _finished(files, vocabulary, mask_strips=mpnet)
    if files.whole:
        for step in steps(files.fast, "normalizer", files.folder / FAST):
            settings.put(FAST, **{name: step.get(key) for key, name in _NORMALIZER_KEYS.items()})
    else:
        settings.put(SLOW, **{name: files.slow[key] for key, name in WORDPIECE_KEYS.items() if key in files.slow})
        if "lower_case" not in settings and vocabulary.looks_cased:
            settings.notes.append(
                f"no file says whether texts are lower-cased (do_lower_case in {SLOW}), and the vocabulary has "
                "capitals. They are lower-cased, as in transformers; if the model was trained on cased text, load it "
                'with settings={"lower_case": False}'
            )
        settings.put(
            f"transformers' {_MPNET if mpnet else 'BertTokenizer'}",
            lower_case=True,
            strip_accents=None,
            split_chinese=True,
        )
    settings.put("the folder, which is of Hugging Face's kind", tokenization="transformers")
    return vocabulary


def _sentencepieces(files: TokenizerFiles, path: Path, settings: Settings) -> Vocabulary:
    special = _special_pieces(files, "sentencepiece")
    vocabulary = sentencepiece_vocabulary(read_bytes(path), source=str(path), special=special)
    finished = _finished(files, vocabulary)
    special_pieces = set(vocabulary.special)
    if foreign := [token.content for token in finished.added if token.content not in special_pieces]:
        raise UnsupportedModelError(
            f"{files.folder} has the added tokens {', '.join(foreign[:8])}, which are not supported beside a "
            "SentencePiece vocabulary"
        )
    slow = files.slow
    if files.whole:
        kinds = [step.get("type") for step in steps(files.fast, "normalizer", files.folder / FAST)]
        settings.put(FAST, lower_case="Lowercase" in kinds, strip_accents="StripAccents" in kinds)
    if "do_lower_case" in slow:
        settings.put(SLOW, lower_case=slow["do_lower_case"])
    if isinstance(slow.get("keep_accents"), bool):
        settings.put(SLOW, strip_accents=not slow["keep_accents"])
    settings.put("transformers' AlbertTokenizer", lower_case=True, strip_accents=True)
    return vocabulary


def _byte_pairs(
    files: TokenizerFiles, ids: Mapping[str, Any], merges: list[str], settings: Settings, *, source: Path
) -> Vocabulary:
    special = _special_pieces(files, "byte_bpe")
    vocabulary = byte_bpe_vocabulary(ids, merges, source=str(source), special=special)
    settings.put("byte-pair encoding, which keeps every byte", lower_case=False, strip_accents=False)
    settings.put("the folder, which is of Hugging Face's kind", tokenization="transformers")
    return _finished(files, vocabulary)


def _by_id(ids: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    whole = all(isinstance(index, int) for index in ids.values())
    if not whole or sorted(ids.values()) != list(range(len(ids))):
        raise CorruptFileError(f"the ids of the vocabulary in {path} are not 0, 1, 2 ... without gaps")
    return tuple(sorted(ids, key=ids.__getitem__))


def _is_byte_level(files: TokenizerFiles) -> bool:
    """Whether `tokenizer.json` turns text into bytes."""
    found = steps(files.fast, "pre_tokenizer", files.folder / FAST)
    return any(step.get("type") == "ByteLevel" for step in found)


def _is_pipeline(files: TokenizerFiles) -> bool:
    """Whether `tokenizer.json` has a model for a pipeline of its own: none of WordPiece, nor RoBERTa's byte pairs."""
    model, steps_before = files.fast.get("model"), files.fast.get("pre_tokenizer")
    kind = model.get("type") if isinstance(model, dict) else None
    if kind != "BPE":
        return kind == "Unigram"
    alone = isinstance(steps_before, dict) and steps_before.get("type") == "ByteLevel"
    after = files.fast.get("post_processor")
    roberta = isinstance(after, dict) and after.get("type") == "RobertaProcessing"
    return not (alone and roberta and files.fast.get("normalizer") is None)


def _merges(merges: Any, path: Path) -> list[str]:
    """The merges, each as `left right`; newer files hold pairs."""
    if isinstance(merges, list):
        lines = [" ".join(map(str, merge)) if isinstance(merge, list) else merge for merge in merges]
        if all(isinstance(line, str) for line in lines):
            return lines
    raise CorruptFileError(f"the merges in {path} should be a list of pairs")
