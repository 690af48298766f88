"""The commands and the code of docs/export.md run, in order, in a folder like that of a reader."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lptpp
from lptpp.training.fit import fit
from tests.docs.pages import ROOT, blocks, commands
from tests.export.made import make_images
from tests.presets import run_in_a_process
from tests.towers import VISION, write_card

PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader(settings_of, tmp_path_factory) -> Path:
    """A run of one expert with one block, which is faster to export, and an image."""
    folder = tmp_path_factory.mktemp("reader")
    card = write_card(folder, VISION | {"architecture": VISION["architecture"] | {"depth": 1}})
    quick = [f"experts.visual.backbone.weights={card}", "experts.visual.group_blocks=1", "method=lpt"]
    quick += ["phase1.epochs=1", "phase2.epochs=1", "evaluation.baselines=[]"]
    fit(settings_of(folder / "runs" / "emoji", *quick))
    Image.fromarray(make_images(1)[0]).save(folder / "cat.png")
    return folder


@pytest.fixture(scope="module")
def exported(reader) -> Path:
    lines = [line for line in commands(PAGE) if line.startswith("lptpp")]
    assert len(lines) == 4
    outputs, errors = run_in_a_process(lines, reader)
    progress = r"(\[[\d:]+\]| +) (Loading the model …|Exporting.*) *"
    assert [line for line in errors.splitlines() if not re.fullmatch(progress, line)] == []  # no warning either
    for line, output in zip(lines, outputs, strict=True):
        if "--output" in line:
            assert f"Written to {line.split('--output ')[1].split()[0]}\n" in output
    return reader


def test_the_code_reproduces_the_predictions_of_the_run(exported, monkeypatch, capsys):
    monkeypatch.chdir(exported)
    onnx, torch = ({}, {})
    for names, code in zip((onnx, torch), blocks(PAGE, "python"), strict=True):
        exec(compile(code, "export.md", "exec"), names)
    expected = {one.label: one.probability for one in lptpp.load("runs/emoji").predict("cat.png", top_k=9)}
    for name, probability in zip(onnx["about"]["class_names"], onnx["probabilities"][0], strict=True):
        assert probability == pytest.approx(expected[name], abs=0.02)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert torch["probabilities"].shape == (5, len(expected))
    assert np.allclose(torch["probabilities"].sum(1), 1, atol=1e-5)


def test_the_tables_name_the_files_that_are_written(exported):
    named = set(re.findall(r"`([\w.-]+\.(?:md|json|yaml|onnx|pt2|safetensors))`", PAGE))
    written = {path.name for folder in exported.glob("emoji_*") for path in folder.iterdir()}
    written = {re.sub(r"^backbone-\w+", "backbone-NAME", name) for name in written}
    assert written <= named
    assert named - written == {"expert-NAME.onnx", "lptpp.json"}
