"""The speed benchmark on tiny sizes; no test depends on a time."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from benchmarks.machine import stamp
from benchmarks.speed import __main__ as speed
from benchmarks.speed import gpu, loop, photos
from benchmarks.speed.goals import GOALS, Finding
from benchmarks.speed.gpu import operations
from benchmarks.speed.sampler import long_tailed_labels
from benchmarks.speed.steps import phase2_step
from benchmarks.speed.timing import Case, Measurement, measure, peak_memory, time_ratio
from benchmarks.speed.whole_fit import read_fit, small_fit
from benchmarks.speed.workload import Workload, bundled, demo_settings, make_workload, precisions
from lptpp.backbones.base import Backbone
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.config import ExpertSettings
from lptpp.utils.errors import UserError

CPU = torch.device("cpu")
CASE = {"on", "section", "case", "seconds", "images", "peak_bytes", "median_seconds", "images_per_second"}
GPU_GOALS = {"gpu inference", "gpu training", "gpu loop"}
LOG = """2026-11-24 10:00:10,000 visual/phase1 epoch 1 of 1: loss 2.5, 8.0 s
2026-11-24 10:00:22,500 visual/phase2 epoch 1 of 1: loss 4.9, 12.0 s
2026-11-24 10:00:26,000 Some warning.
2026-11-24 10:00:27,500 mixture/phase3 epoch 1 of 2: loss -1.6, 0.2 s, about 2 min left (3.0 s)
2026-11-24 10:00:28,000 mixture/phase3 epoch 2 of 2: loss 1.5, 0.1 s
"""


def write_log(folder: Path, text: str) -> Path:
    (folder / "log.txt").write_text(text)
    return folder


def tiny_workload(classes: int = 10) -> Workload:
    tower = VisionTransformer(img_size=16, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=0)
    backbone = Backbone("tiny", tower, Preprocessing((16, 16), (0.5,) * 3, (0.5,) * 3, "bilinear"))
    return make_workload(backbone, ExpertSettings(num_groups=3, group_blocks=1), classes, batch=4, device=CPU)


@pytest.fixture(scope="module")
def tiny_step() -> dict[str, Measurement]:
    return phase2_step(tiny_workload(), rounds=1)


def test_quick_measures_and_writes_every_goal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(speed.QUICK, "cpu", speed.Effort(rounds=1, batch=4, vit_batch=1, images=8))
    monkeypatch.setattr(speed, "bundled", lambda name, batch, device: tiny_workload(classes=100))  # as the emoji
    monkeypatch.setattr(speed, "SAMPLES", (3000, 50))
    monkeypatch.setattr(photos, "PHOTO", (800, 600))
    monkeypatch.setattr(photos, "NUMBER", 2)
    monkeypatch.setattr(loop.gc, "unfreeze", lambda: None)  # what the tests share stays out of collections
    run, out = write_log(tmp_path, LOG), tmp_path / "speed.json"
    speed.main(["--quick", "--device", "cpu", "--demo", str(run), "--json", str(out)])
    printed, report = capsys.readouterr().out, json.loads(out.read_text())
    assert set(report) == {"command", "machine", "peak_memory", "sizes", "goals", "cases"}
    assert {row["goal"] for row in report["goals"]} == set(GOALS)
    assert {row["goal"] for row in report["goals"] if row["verdict"] == "–"} == GPU_GOALS
    for row in report["goals"]:
        assert set(row) == {"goal", "on", "values", "note", "what", "bound", "measured", "verdict"}
        assert all(value > 0 for value in row["values"].values())
    assert "no GPU" in printed and "reached" in printed
    sections = {case["section"] for case in report["cases"]}
    assert sections == {"inference", "phase-1 step", "phase-2 step", *(f"training loop, phase {n}" for n in (1, 2))}
    for case in report["cases"]:
        assert set(case) == CASE
        assert case["peak_bytes"] > 0 and len(case["seconds"]) == (3 if case["section"] == "inference" else 1)
    assert report["machine"].keys() == stamp(CPU).keys()


def test_cases_run_interleaved_after_warm_up() -> None:
    ran: list[str] = []
    cases = [Case(name, lambda name=name: ran.append(name), images=3) for name in "ab"]  # type: ignore[misc]
    measured = measure("a title", cases, CPU, rounds=3)
    assert ran == ["a", "a", "b", "b", *"ababab"]
    assert len(measured["a"].seconds) == 3 and measured["b"].images == 3


def test_a_ratio_is_the_median_of_the_ratios_within_a_round() -> None:
    slow, fast = Measurement((2.0, 30.0, 3.0), 8, 0), Measurement((1.0, 10.0, 2.0), 8, 0)
    assert time_ratio(slow, fast) == 2.0
    assert slow.median == 3.0 and fast.images_per_second == 4.0


def test_peak_memory_is_that_of_live_tensors_and_reproducible() -> None:
    def run() -> None:
        first = torch.empty(1000, 1000)
        second = torch.empty(500, 1000)
        del first
        third = torch.empty(500, 1000)
        del second, third

    assert [peak_memory(run, CPU) for _ in range(3)] == [6_000_000] * 3  # first and second, 4 bytes a number


def test_the_memory_of_a_step_is_reproducible(tiny_step: dict[str, Measurement]) -> None:
    first, second = tiny_step, phase2_step(tiny_workload(), rounds=1)
    for name in first:
        assert first[name].peak_bytes == pytest.approx(second[name].peak_bytes, rel=0.05)


@pytest.mark.parametrize(
    "goal, values, verdict",
    [
        ("floor", {"float32": 1.5}, "reached"),
        ("floor", {"float32": 1.5, "bfloat16": 1.59}, "missed"),
        ("inference", {"float32": 1.4}, "reached"),
        ("inference", {"float32": 1.39}, "missed"),
        ("demo", {}, "–"),
    ],
)
def test_a_goal_is_reached_if_every_value_satisfies_the_bound(goal: str, values: dict, verdict: str) -> None:
    assert Finding(goal, "here", values).verdict == verdict


def test_findings_as_text() -> None:
    finding = Finding("phase2 same", "here", {"float32": 1.456, "bfloat16": 123.4}, "by hand")
    assert finding.measured == "1.46 float32, 123 bfloat16, by hand"
    assert Finding("demo", "here", {"": 3.0}).measured == "3.00"
    assert GOALS["demo"].text == "≤ 3 min" and GOALS["gpu training"].text == "≥ 40%"


def test_phase_3_in_the_log_includes_the_expert_outputs(tmp_path: Path) -> None:
    fit = read_fit(write_log(tmp_path, LOG))
    assert (fit.whole, fit.scorer) == (26.0, 5.5)
    assert fit.scorer_share == pytest.approx(100 * 5.5 / 26)


RESUMED = f"2026-11-24 10:00:00,000 Going on from runs/x: visual/phase2, epoch 2.\n{LOG}"
WITHOUT_END, WITHOUT_PHASE3 = "\n".join(LOG.splitlines()[:-1]), "\n".join(LOG.splitlines()[:2])


@pytest.mark.parametrize("text", ["", WITHOUT_END, WITHOUT_PHASE3, RESUMED])
def test_the_log_of_an_incomplete_or_resumed_run_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"log\.txt is not the log of one complete"):
        read_fit(write_log(tmp_path, text))
    with pytest.raises(UserError, match="nowhere"):
        read_fit(tmp_path / "nowhere")


def test_a_small_fit_trains_all_phases(tmp_path: Path) -> None:
    fit = small_fit(tmp_path / "run", every=400)
    assert 0 < fit.scorer_share < 100
    stages = {line.split(",")[0] for line in (tmp_path / "run" / "history.csv").read_text().splitlines()[1:]}
    assert stages == {"visual/phase1", "visual/phase2", "language/phase1", "language/phase2", "mixture/phase3"}


def test_labels_are_long_tailed_without_empty_classes() -> None:
    counts = np.bincount(long_tailed_labels(20_000, 100))
    assert counts.sum() == 20_000 and len(counts) == 100 and counts.min() >= 1
    assert counts[0] > 100 * counts[-1]


def block_operations(tokens: int, keys: int, width: int, adapter: int) -> int:
    """Count those of a block forward: 12·D² a token, two products of attention, the adapter."""
    return 2 * tokens * (12 * width**2 + 2 * keys * width + 2 * adapter * width)


def test_operations_are_those_of_the_products() -> None:
    left, right = torch.randn(5, 7), torch.randn(7, 11)
    assert operations(lambda: left @ right) == 2 * 5 * 7 * 11


def test_operations_of_a_tower_are_those_of_its_formula() -> None:
    made = tiny_workload()
    tower = made.expert.encoder.tower
    with torch.no_grad():
        counted = operations(lambda: tower(made.images))
    patches, width = 4, 32
    embedding = 2 * patches * 3 * 8 * 8 * width
    assert counted == pytest.approx(4 * (embedding + 2 * block_operations(5, 5, width, 0)), rel=0.1)


def test_what_is_measured_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, results, made = list[object](), speed.Results(), gpu.held(tiny_workload())
    monkeypatch.setattr(gpu, "FILES", 3)
    monkeypatch.setattr(speed, "PRODUCT", 64)
    sections = partial(gpu.sections, compiled=lambda run: compiled.append(run) or run)
    monkeypatch.setattr(gpu, "sections", sections)
    speed.measure_gpu(made, speed.Effort(rounds=1, batch=4, vit_batch=4, images=8), results)
    assert compiled == [made.expert.forward, made.expert.phase1, made.expert.forward]
    assert {finding.goal for finding in results.findings} == GPU_GOALS
    for finding in results.findings:
        forms = {""} if finding.goal == "gpu loop" else {"as it is", "torch.compile"}
        assert finding.values.keys() == forms and min(finding.values.values()) > 0
    names = [f"as in a run, {name}" for name in ("inference", "phase 1", "phase 2")]
    assert {case["section"] for case in results.cases} == {*names, "training on JPEG files"}
    assert {case["case"] for case in results.cases if case["section"] not in names} == {
        "loop",
        "bare steps",
        "loader alone",
    }


def test_an_expert_compiles_in_one_piece_and_computes_the_same() -> None:
    made = tiny_workload()
    compiled = torch.compile(made.expert.forward, backend="eager", fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(compiled(made.images).cosines, made.expert(made.images).cosines)


def test_workloads_have_the_sizes_of_the_demo_and_the_published_ones() -> None:
    for name, expert in demo_settings().experts.items():
        sizes = bundled(name, 2, CPU).sizes
        assert sizes["blocks"] == 8 and sizes["shared_prompts"] == expert.shared_prompts
    published = {"shared_prompts": 10, "group_prompts": 10, "num_groups": 20, "top_k": 2, "group_blocks": 6}
    assert published.items() <= vars(ExpertSettings()).items()
    assert next(iter(precisions(CPU))) == "float32"


def test_a_missing_gpu_is_an_error_of_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"^benchmarks\.speed: --device cuda: "):
        speed.main(["--device", "cuda"])
