"""Read tokenizers in a pipeline of the tokenizers library: unigram models, and other byte pairs than RoBERTa's.

transformers has classes that build the pipeline themselves (`UNIGRAM_CLASSES`), and one that takes `tokenizer.json` as
it is.
"""

from collections.abc import Mapping
from dataclasses import replace

from berthub.containers.files import read_bytes
from berthub.errors import ModelNotFoundError, UnsupportedModelError
from berthub.formats.huggingface.tokenizer_checks import FAST, SLOW, check_fast, check_slow
from berthub.formats.huggingface.tokenizer_classes import UNIGRAM_CLASSES, Unigram, UnigramClass, model_in_protobuf
from berthub.formats.huggingface.tokenizer_files import SPECIAL, TokenizerFiles
from berthub.formats.huggingface.tokenizer_frames import check_frame, read_frame
from berthub.formats.pipelines import Pipeline
from berthub.formats.settings import Settings
from berthub.formats.vocabularies import BERT_SPECIAL
from berthub.vocabulary import AddedToken, Frame, Vocabulary

__all__ = ["read_unigram", "read_whole"]


def read_unigram(files: TokenizerFiles, name: str, settings: Settings) -> Vocabulary:
    """The vocabulary of a folder for one of `UNIGRAM_CLASSES`, whose pipeline is that class's."""
    kind, path = UNIGRAM_CLASSES[name], files.folder / FAST
    check_slow(files.slow, "unigram", files.folder, whole=False)
    defaults = {key: kind.special[role] for key, role in (*SPECIAL.items(), *_FRAME_KEYS.items())}
    named = {key: files.text_of(key) or piece for key, piece in defaults.items()}
    special = {role: named[key] for key, role in SPECIAL.items()}
    special |= {_FRAME_KEYS.get(key, SPECIAL.get(key, "")): named[key] for key in kind.frame_keys}
    if files.fast:
        check_fast(files.fast, "unigram", path, whole=False)
        model = _in_json(files)
    else:
        model = _in_protobuf(files, kind, special)
    listed = [AddedToken(content=piece, normalized=False, special=True) for piece in kind.listed]
    appended, added = files.added(
        named,
        {piece: index for index, (piece, _) in enumerate(model.entries)},
        keep_defaults=True,
        mask_strips=kind.mask_strips,
        beyond=tuple(listed) if files.fast else model.added,
    )
    pipeline = kind.pipeline(model, special, files.slow, source=str(files.folder))
    vocabulary = Vocabulary.with_special(
        (*(piece for piece, _ in model.entries), *appended),
        special,
        algorithm="unigram",
        model=pipeline.to_bytes(),
        added=added,
        appended=len(appended),
        frame=_frame(kind.frame, typed=files.has_types(otherwise=True)),
    )
    if files.fast:
        check_frame(files.fast, vocabulary, path, types=False)
    _put(settings, pipeline, f"transformers' {name}")
    return vocabulary


def read_whole(files: TokenizerFiles, settings: Settings) -> Vocabulary:
    """The vocabulary of a folder whose `tokenizer.json` is taken as it is."""
    path = files.folder / FAST
    pipeline, pieces = Pipeline.of_file(files.fast, source=str(path))
    check_slow(files.slow, pipeline.algorithm, files.folder, whole=True)
    check_fast(files.fast, "pipeline", path, whole=True)
    classify, separate, frame = read_frame(files.fast, path)
    base = {piece: index for index, piece in enumerate(pieces)}
    appended, added = files.added({}, base)
    special = {**files.named(), "classify": classify, "separate": separate}
    padding = files.fast.get("padding")
    if "pad" not in special and isinstance(padding, dict) and isinstance(padding.get("pad_token"), str):
        special["pad"] = padding["pad_token"]
    if "pad" not in special:
        raise UnsupportedModelError(
            f"{files.folder / SLOW} names no pad_token, nor does {FAST}: add it, for example "
            f'"pad_token": "{BERT_SPECIAL["pad"]}"'
        )
    # Of bytes none is unknown: then the name is of no use.
    special.setdefault("unknown", _unknown(pipeline, pieces) or special["pad"])
    vocabulary = Vocabulary.with_special(
        (*pieces, *appended),
        special,
        algorithm=pipeline.algorithm,
        model=pipeline.to_bytes(),
        added=added,
        appended=len(appended),
        frame=_frame(frame, typed=files.has_types(otherwise=False)),
    )
    check_frame(files.fast, vocabulary, path, types=False)
    _put(settings, pipeline, FAST)
    return vocabulary


# The pieces at the beginning and the end have two names each.
_FRAME_KEYS = {"bos_token": "classify", "eos_token": "separate"}


def _in_json(files: TokenizerFiles) -> Unigram:
    """The unigram model in `tokenizer.json`."""
    path = files.folder / FAST
    model = files.fast.get("model")
    entries = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(entries, list):
        raise UnsupportedModelError(f"{path} holds no unigram model, which transformers' {files.name} runs")
    pipeline, pieces = Pipeline.of_file(
        {"model": {"type": "Unigram", "vocab": entries}, "pre_tokenizer": None}, source=str(path)
    )
    # Only there transformers looks for it.
    found = files.fast.get("normalizer")
    near = found.get("normalizers") if isinstance(found, dict) and found.get("type") == "Sequence" else [found]
    maps = [step for step in near or [] if isinstance(step, dict) and step.get("type") == "Precompiled"]
    return Unigram([*zip(pieces, pipeline.table, strict=True)], maps[0].get("precompiled_charsmap") if maps else None)


def _in_protobuf(files: TokenizerFiles, kind: UnigramClass, special: Mapping[str, str]) -> Unigram:
    path = files.folder / kind.file
    if not path.is_file():
        raise ModelNotFoundError(
            f"{files.folder} has no vocabulary for transformers' {files.name}: neither {FAST} nor {kind.file}"
        )
    model = model_in_protobuf(read_bytes(path), source=str(path))
    return replace(model, entries=kind.reordered(model.entries, special))


def _frame(frame: Frame, *, typed: bool) -> Frame | None:
    frame = frame if typed else replace(frame, second_type=0)
    return None if frame == Frame() else frame


def _unknown(pipeline: Pipeline, pieces: tuple[str, ...]) -> str | None:
    index, piece = pipeline.model.get("unk_id"), pipeline.model.get("unk_token")
    if isinstance(index, int) and index < len(pieces):
        return pieces[index]
    return piece if isinstance(piece, str) else None


def _put(settings: Settings, pipeline: Pipeline, source: str) -> None:
    settings.put(source, lower_case=pipeline.lower_cases, strip_accents=pipeline.strips_accents)
    settings.put("the folder, which is of Hugging Face's kind", tokenization="transformers")
