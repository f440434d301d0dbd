"""The part of `berthub doctor` about libraries: what berthub's metadata asks for, beside what is installed."""

import importlib
import importlib.metadata
import importlib.util
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass

from berthub.cli.doctor_finding import Finding, error, ok, warning
from berthub.cli.exit_codes import ExitCode
from berthub.version import __version__

__all__ = ["library_findings"]

# Those of developers, which a user need not have whole.
_NOT_FOR_USERS = ("dev", "dev-all")
# What is imported where the module has another name; OpenVINO's home imports it as it is used.
_MODULES = {"openvino": "berthub.engines.openvino", "protobuf": "google.protobuf"}
_BACKENDS = ("tensorflow", "jax", "torch")
_AGAIN = "pip install --force-reinstall berthub"


@dataclass(frozen=True)
class Need:
    """One requirement of berthub's metadata: the library, the accepted versions, and the one that is installed."""

    library: str
    accepted: str
    installed: str | None
    fits: bool

    def __str__(self) -> str:
        return f"{self.library} {self.installed}" if self.installed else f"no {self.library}"


def library_findings() -> Iterator[Finding]:
    """The findings about Python, berthub's own installation, required libraries, and each extra."""
    yield ok("python", f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}")
    try:
        installed = importlib.metadata.version("berthub")
        needs = _needs(importlib.metadata.requires("berthub") or [])
    except importlib.metadata.PackageNotFoundError:
        advice = (
            "Install it, so that its libraries can be compared: pip install berthub, or pip install . in a checkout"
        )
        yield warning("berthub", f"{__version__}, run from its files without being installed", advice)
        return
    except ImportError as failed:
        yield error("libraries", f"cannot be compared: {failed}", "pip install packaging", ExitCode.MISSING_DEPENDENCY)
        return
    if installed == __version__:
        yield ok("berthub", __version__)
    else:
        said = f"the files are those of {__version__}, the installed metadata that of {installed}"
        yield warning("berthub", said, f"Install it anew: {_AGAIN}")
    yield from _required(needs.pop("", []))
    for extra, needed in sorted(needs.items()):
        yield from _extra(extra, needed)
    yield from _keras()


def _needs(requirements: list[str]) -> dict[str, list[Need]]:
    """The requirements that apply to this Python and system, by extra; "" for those that are always needed."""
    from packaging.requirements import Requirement

    needs: dict[str, list[Need]] = {"": []}
    for requirement in map(Requirement, requirements):
        for extra in ["", *_extras(requirement.marker)]:
            if extra in _NOT_FOR_USERS or requirement.name == "berthub":
                continue
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            if requirement.marker is None and extra:
                continue
            version = _version(requirement.name)
            fits = version is not None and requirement.specifier.contains(version, prereleases=True)
            needs.setdefault(extra, []).append(Need(requirement.name, str(requirement), version, fits))
    return needs


def _required(needs: list[Need]) -> Iterator[Finding]:
    faults = [f"{need} (needed: {need.accepted})" for need in needs if not need.fits]
    advice = "Install what berthub needs: pip install --upgrade --upgrade-strategy eager berthub"
    for fault in faults:
        yield error("libraries", fault, advice, ExitCode.MISSING_DEPENDENCY)
    broken = []
    for need in needs:
        if need.installed is not None and (failed := _import_failure(need.library)):
            broken.append(need.library)
            again = f"Install it anew: pip install --force-reinstall {need.library}"
            yield error("libraries", f"{need} cannot be imported: {failed}", again, ExitCode.MISSING_DEPENDENCY)
    if not faults and not broken:
        yield ok("libraries", f"all {len(needs)} required ones are there, in versions that fit, and can be imported")


def _extra(extra: str, needs: list[Need]) -> Iterator[Finding]:
    """The finding about an extra: nothing where none of its libraries is there."""
    there = [need for need in needs if need.installed is not None]
    missing = [need.library for need in needs if need.installed is None]
    command = f"pip install --upgrade 'berthub[{extra}]'"
    unfit = [f"{need} (needed: {need.accepted.partition(';')[0]})" for need in there if not need.fits]
    if unfit:
        yield warning(f"[{extra}]", ", ".join(unfit), f"If you use it: {command}")
    elif there and missing:
        # Other programs bring some of them: nothing is wrong with that.
        said = f"partly installed: {', '.join(map(str, there))}; not there: {', '.join(missing)}"
        yield Finding(f"[{extra}]", "ok", said, f"If you want it: {command}")
    elif there:
        yield ok(f"[{extra}]", ", ".join(map(str, there)))


def _keras() -> Iterator[Finding]:
    # Found, not imported: that takes seconds, and chooses the backend.
    if importlib.util.find_spec("keras") and not any(map(importlib.util.find_spec, _BACKENDS)):
        yield warning("keras", "has no backend beside it", "pip install torch, or jax, or tensorflow")


def _import_failure(library: str) -> str | None:
    """Why the library cannot be imported, or None."""
    try:
        importlib.import_module(_MODULES.get(library, library.replace("-", "_")))
    except Exception as failed:  # whatever a broken library raises is what is looked for
        return f"{type(failed).__name__}: {failed}"
    return None


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _extras(marker: object) -> list[str]:
    """The extras that a marker names: `extra == 'serve'`."""
    return re.findall(r"""extra == ["']([^"']+)["']""", str(marker or ""))
