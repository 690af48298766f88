import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import lptpp
from lptpp.export import torch_program
from lptpp.export.samples import samples
from lptpp.export.torch_program import write_torch
from lptpp.utils.errors import UserError
from tests.export.made import CLASSES, make_images, make_model

WITHOUT_PACKAGE = """
import sys
sys.modules["lptpp"] = sys.modules["timm"] = None  # importing them fails
import json, numpy, torch
file, given, found = sys.argv[1:]
about = {"lptpp.json": ""}
program = torch.export.load(file, extra_files=about).module()
images = numpy.load(given)
outputs = program(*(torch.from_numpy(images[name]) for name in images))
numpy.savez(found, *(output.numpy() for output in outputs), names=json.loads(about["lptpp.json"])["class_names"])
"""


@pytest.fixture(scope="module")
def model():
    return make_model("middle", "wide")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    lines = list(write_torch(model, samples(model.mixture, make_images(3)), folder))
    assert [line.split(":")[0] for line in lines] == ["model.pt2"]
    assert {path.name for path in folder.iterdir()} == {"model.pt2", "model.json"}
    return folder


def test_it_runs_without_this_package(model, folder, tmp_path):
    other = samples(model.mixture, make_images(3, seed=7))
    np.savez(tmp_path / "given.npz", **{name: views.numpy() for name, views in other.images.items()})
    files = [folder / "model.pt2", tmp_path / "given.npz", tmp_path / "found.npz"]
    done = subprocess.run([sys.executable, "-c", WITHOUT_PACKAGE, *map(str, files)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = np.load(tmp_path / "found.npz")
    for output, expected in zip((found["arr_0"], found["arr_1"]), other.expected["model"], strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-6)
    assert found["names"].tolist() == CLASSES


def test_only_the_example_inputs_are_a_pickle(folder):
    """As docs/export.md says."""
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        pickles = [name for name in archive.namelist() if archive.read(name)[:2] in (b"PK", b"\x80\x02")]
        assert [name.split("/", 1)[1] for name in pickles] == ["data/sample_inputs/model.pt"]
        assert any(name.endswith("extra/lptpp.json") for name in archive.namelist())


def test_no_path_of_this_machine_is_in_it(folder):
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        parts = [archive.read(name) for name in archive.namelist()]
    home = str(Path(lptpp.__file__).parents[2]).encode()
    assert not any(home in part or b"site-packages" in part for part in parts)


def test_a_program_with_other_outputs_is_refused(model, folder, tmp_path, monkeypatch):
    """As if tracing had made another program than PyTorch expects."""
    found = samples(model.mixture, make_images(3))
    found.expected["model"][1] = found.expected["model"][1] + 1
    monkeypatch.setattr(torch_program, "traced", lambda program, images: None)
    monkeypatch.setattr(torch_program, "_save", lambda graph, path, about: shutil.copy(folder / path.name, path))
    with pytest.raises(UserError, match="exported model differs from PyTorch by 1"):
        list(write_torch(model, found, tmp_path))
