"""The split of the ablation: what a preset draws to train on, and the rest to validate on."""

import sys
from pathlib import Path

import yaml

from benchmarks.accuracy import undrawn
from tests.conftest import draw_picture

COUNTS = {"apple": 8, "bear": 4, "car": 4}
SPLITS = ("train", "val", "test")


def test_no_image_is_lost_and_none_is_in_two_splits(tmp_path: Path, monkeypatch) -> None:
    source, out, preset = tmp_path / "source", tmp_path / "out", tmp_path / "preset.yaml"
    for split in ("train", "test"):
        for label, (name, count) in enumerate(COUNTS.items()):
            for seed in range(count):
                draw_picture(source / split / name / f"{seed}.png", label, seed)
    preset.write_text(yaml.safe_dump({"extends": "folder", "data": {"factor": 4}}))
    monkeypatch.setattr(sys, "argv", ["undrawn", str(preset), "--root", str(source), "--out", str(out)])
    undrawn.main()
    images = {split: {str(one.relative_to(out / split)) for one in (out / split).rglob("*.png")} for split in SPLITS}
    assert images["train"].isdisjoint(images["val"])
    assert images["train"] | images["val"] == images["test"]
    assert [len(list((out / "train" / name).glob("*"))) for name in COUNTS] == [8, 4, 2]  # 8 / 4^(c / 2)
