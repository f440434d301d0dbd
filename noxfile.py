"""What contributors and CI run: `nox` for all checks and the core tests, `nox --list` for what else there is.

Each session makes a virtual environment of its own. `nox --no-venv -s check` uses the one that is active, and
`nox -s test -P 3.13` another Python.
"""

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["check", "test"]
nox.options.reuse_existing_virtualenvs = True
# Pythons that are not here are left out, also in CI, where nox would stop.
nox.options.error_on_missing_interpreters = False

_ROOT = Path(__file__).parent
# The date in the packages where the environment gives none: the first that zip archives can hold.
_EPOCH = "315532800"
# As the classifiers of pyproject.toml.
_PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@nox.session
def check(session: nox.Session) -> None:
    """Run the formatter, the linter, the type checker and the check of import directions."""
    session.install("-e", ".[dev]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def test(session: nox.Session) -> None:
    """Run the tests that need no framework: `nox -s test -- -m "not slow"` for the quick ones."""
    session.install("-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session
def test_all(session: nox.Session) -> None:
    """Run all tests, with TensorFlow, JAX, PyTorch and transformers."""
    session.install("-e", ".[dev-all]")
    session.run("pytest", *session.posargs)


@nox.session
def cluster(session: nox.Session) -> None:
    """Run the tests that lose workers and nodes of a Ray cluster, and those that take minutes there."""
    session.install("-e", ".[dev,ray]")
    # One after the other: each has a cluster of its own.
    session.run("pytest", "-n", "0", "-m", "cluster", *session.posargs, env={"BERTHUB_TESTS": "cluster"})


@nox.session
def backends(session: nox.Session) -> None:
    """Run the tests of the Keras side on each backend that Keras has, not only on the one that it has by itself."""
    session.install("-e", ".[dev-all]")
    # They start processes of their own.
    session.run("pytest", "-n", "0", "-m", "backends", *session.posargs, env={"BERTHUB_TESTS": "backends"})


@nox.session
def docs(session: nox.Session) -> None:
    """Run what the documents show, and follow their links."""
    session.install("-e", ".[dev-all]")
    session.run("pytest", "tests/contracts/test_documents.py", "tests/contracts/test_metadata.py", *session.posargs)


@nox.session
def stores(session: nox.Session) -> None:
    """Run what the guides show with vector stores and Spark, with the real ones; Spark needs Java."""
    session.install("-e", ".[dev-all]", "-r", "tests/contracts/stores.txt")
    tests = ["tests/contracts/test_documents.py", "tests/contracts/test_lance.py", "tests/jobs/test_readers.py"]
    # Warnings of other libraries are not ours.
    chosen = ["-n", "0", "-W", "default", "-k", "other_libraries or dataset"]
    session.run("pytest", *chosen, *tests, *session.posargs)


@nox.session
def libraries(session: nox.Session) -> None:
    """Run the integrations' tests and guides with the real libraries: BERTopic, Gradio, LangChain, mteb, spaCy ..."""
    session.install("-e", ".[dev-all]", "-r", "tests/contracts/libraries.txt")
    # Warnings of other libraries are not ours.
    options = ["-n", "0", "-W", "default"]
    session.run("pytest", *options, "tests/integrations", *session.posargs)
    chosen = ["-k", "other_libraries and (integrations or sentence-transformers)"]
    session.run("pytest", *options, *chosen, "tests/contracts/test_documents.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure berthub beside its peers: `nox -s bench -- --help` for the options, benchmarks/README.md for the rest."""
    session.install("-e", ".", "-r", "benchmarks/requirements.txt")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the source distribution and the wheel into dist/, check them, and use the wheel on each Python."""
    session.install("hatchling>=1.27", "twine", "check-wheel-contents")
    # One date in all archives, so that the same commit gives the same bytes.
    env = {"SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", _EPOCH)}
    dist = _ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    with tempfile.TemporaryDirectory() as elsewhere:
        again, unpacked, from_source = (Path(elsewhere) / name for name in ("again", "unpacked", "from_source"))
        for folder in (dist, again):
            session.run("python", "-m", "hatchling", "build", "-d", str(folder), env=env)
        (wheel,), (source,) = dist.glob("berthub-*.whl"), dist.glob("berthub-*.tar.gz")
        # The wheel of the source distribution, which so is seen to be complete.
        shutil.unpack_archive(source, unpacked, filter="data")
        with session.chdir(unpacked / source.name.removesuffix(".tar.gz")):
            session.run("python", "-m", "hatchling", "build", "-t", "wheel", "-d", str(from_source), env=env)
        for built, same in ((wheel, again), (wheel, from_source), (source, again)):
            if built.read_bytes() != (same / built.name).read_bytes():
                session.error(f"{built.name} is not the same in {same.name}: the build is not reproducible")
    session.run("twine", "check", "--strict", str(wheel), str(source))
    session.run("check-wheel-contents", str(wheel))
    for python in _PYTHONS:
        session.notify(f"installed-{python}")


@nox.session(python=_PYTHONS, default=False)
def installed(session: nox.Session) -> None:
    """Use the wheel in dist/ outside of the checkout, with warnings as errors, on each Python that is here."""
    wheels = list((_ROOT / "dist").glob("berthub-*.whl"))
    if not wheels:
        session.error("there is no wheel in dist/: run nox -s package")
    session.install("--force-reinstall", "--no-deps", str(wheels[0]))
    session.install(str(wheels[0]))
    model = str(_ROOT / "tests" / "data" / "models" / "tf2_v4")
    env = {"PYTHONWARNINGS": "error", "BERTHUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as elsewhere, session.chdir(elsewhere):
        session.run("python", "-m", "berthub", "--version", "--verbose", env=env)
        session.run("berthub", "doctor", env=env)
        session.run("berthub", "models", "chinese", env=env)
        session.run("berthub", "encode", "The fox was quick.", "It was not.", "--model", model, env=env)


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation site into build/site; a broken link stops it."""
    # The command line's page is compared with the commands by the tests: nothing of berthub is imported here.
    session.install("-r", "docs/requirements.txt")
    session.run("python", "docs/build_site.py", *session.posargs)
