"""Files of the hub: the cache first, one commit, safetensors first, and a sentence without a network."""

import time
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from lptpp.backbones import hub
from lptpp.backbones.hub import HubFile, answered, commit_of, fetch, fetch_tokenizer
from lptpp.backbones.weights import downloading
from lptpp.utils.errors import UserError

COMMIT, NEWER = "a" * 40, "b" * 40


def cached(root: Path, repository: str, commit: str, *names: str, branch: str = "main") -> Path:
    """Write files into the cache of the hub's library, in its own form, and return their folder."""
    own = root / f"models--{repository.replace('/', '--')}"
    folder = own / "snapshots" / commit
    folder.mkdir(parents=True)
    (own / "refs").mkdir(exist_ok=True)
    (own / "refs" / branch).write_text(commit)
    for name in names:
        (folder / name).write_text(commit)
    return folder


class Hub:
    """A hub with one repository; records what it is asked."""

    def __init__(self, *names: str) -> None:
        self.names, self.asked = names, []

    def model_info(self, repository: str, revision: str | None, timeout: float) -> SimpleNamespace:
        self.asked.append((repository, revision))
        return SimpleNamespace(sha=NEWER, siblings=[SimpleNamespace(rfilename=name) for name in self.names])

    def download(self, repository: str, name: str, revision: str) -> str:
        self.asked.append((name, revision))
        return f"/cache/{revision}/{name}"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    look_up = huggingface_hub.try_to_load_from_cache
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *given, **more: look_up(*given, cache_dir=tmp_path, **more)
    )
    return tmp_path


def use(monkeypatch: pytest.MonkeyPatch, there: Hub) -> Hub:
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: there)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", there.download)
    return there


def test_a_cached_file_needs_no_network_and_tells_its_commit(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = use(monkeypatch, Hub("model.safetensors"))
    folder = cached(cache, "timm/x", COMMIT, "model.safetensors")
    for revision in (None, "main", COMMIT):
        found = fetch("timm/x", ["other", "model.safetensors"], revision)
        assert found == HubFile(folder / "model.safetensors", "timm/x", COMMIT)
    assert found.revision == f"timm/x@{COMMIT}"
    assert commit_of(found.revision) == COMMIT
    assert there.asked == []


def test_the_commit_of_a_run_is_downloaded_even_if_another_is_in_the_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = use(monkeypatch, Hub("model.safetensors"))
    cached(cache, "timm/x", COMMIT, "model.safetensors")
    found = fetch("timm/x", ["model.safetensors"], NEWER)
    assert there.asked == [("timm/x", NEWER), ("model.safetensors", NEWER)]
    assert found.commit == NEWER


@pytest.mark.parametrize(
    "there, expected",
    [(("a.bin", "a.safetensors"), "a.safetensors"), (("a.bin", "README.md"), "a.bin")],
    ids=["both", "pickled only"],
)
def test_safetensors_come_first(there: tuple, expected: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Hub(*there))
    assert fetch("timm/x", ["a.safetensors", "a.bin"]).path.name == expected


def test_a_repository_without_the_files_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Hub("README.md"))
    with pytest.raises(FileNotFoundError, match=r"timm/x has none of a\.safetensors, a\.bin"):
        fetch("timm/x", ["a.safetensors", "a.bin"])


def test_a_cached_tokenizer_needs_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = use(monkeypatch, Hub())
    assert fetch_tokenizer_of(cache, "vocab.txt") == cached_folder(cache)
    assert there.asked == []


def fetch_tokenizer_of(cache: Path, name: str) -> Path:
    cached(cache, "timm/tokens", COMMIT, name)
    return fetch_tokenizer("timm/tokens")


def cached_folder(cache: Path) -> Path:
    return cache / "models--timm--tokens" / "snapshots" / COMMIT


def test_a_hub_that_does_not_answer_is_a_sentence_in_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Hub()
    monkeypatch.setattr(silent, "model_info", lambda *given, **more: time.sleep(30))
    use(monkeypatch, silent)
    monkeypatch.setattr(hub, "PATIENCE", 0.1)
    began = time.perf_counter()
    with (
        pytest.raises(
            UserError, match=r"the weights of x \(TimeoutError: no answer within 0\.1 s\): check the network"
        ),
        downloading("the weights of x"),
    ):
        fetch("timm/x", ["a"])
    assert time.perf_counter() - began < 5


def test_an_answer_or_an_error_arrives_at_once() -> None:
    assert answered(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        answered(lambda: 1 // 0)
    assert hub.PATIENCE < 5
