"""Training and evaluation on a GPU: pretended everywhere, and on real ones where there are any."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import lptpp
from lptpp import api
from lptpp.backbones.hybrid import SLICE, StemEmbed
from lptpp.checkpoint.store import latest_checkpoint
from lptpp.inference.runtime import make_accelerator, place
from lptpp.models.build import build_mixture
from lptpp.training.fit import fit
from lptpp.training.recorder import RunRecorder
from lptpp.utils.errors import Interrupted
from tests.pretended_gpu import CUDA, OnGPU, pretended_gpu
from tests.training.test_resume import assert_same_run, history, tuned

pytestmark = pytest.mark.usefixtures("no_figures")
ON_GPU = ("device=cuda", "workers=0")
GPUS = torch.cuda.device_count()
SHORT = ("phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "evaluation.baselines=[]")
BLACK = np.zeros((40, 40, 3), np.uint8)
REPEATED = 1_000  # lines for loader workers to start with workers=auto


def assert_close_runs(found: Path, expected: Path, tolerance: float) -> None:
    assert found.joinpath("predictions.csv").is_file()
    for one, other in zip(history(found), history(expected), strict=True):
        assert one[:2] == other[:2]
        assert one[2] == pytest.approx(other[2], rel=tolerance, abs=tolerance)
    for name, tensor in tuned(expected).items():
        torch.testing.assert_close(tuned(found)[name], tensor, atol=tolerance, rtol=tolerance)


def in_slices(embed: StemEmbed, images: torch.Tensor) -> torch.Tensor:
    return torch.cat([embed._body(part, None) for part in images.split(SLICE)])


def test_a_pretended_gpu_refuses_what_a_real_one_does():
    with pretended_gpu():
        weight, layer = torch.ones(2, 3, device="cuda"), torch.nn.Linear(3, 2).to("cuda")
        with torch.autocast("cuda", torch.bfloat16):
            made = layer(weight)
        assert (made.device, made.dtype, type(layer.weight.data)) == (CUDA, torch.bfloat16, OnGPU)
        made.float().square().sum().backward()
        assert layer.weight.grad.device == CUDA
        for mixed in (
            lambda: weight + torch.ones(3),
            lambda: weight @ torch.ones(3, 1),
            lambda: torch.ones(9)[weight.long()],
        ):
            with pytest.raises(RuntimeError, match="found cuda:0 and cpu"):
                mixed()
        with pytest.raises(TypeError, match="cuda:0"):
            weight.numpy()
        assert weight.cpu().numpy().sum() == (weight + torch.tensor(0)).sum().item() == 6


def test_a_run_on_a_gpu_gives_that_of_the_cpu(trained, settings_of, tmp_path, monkeypatch):
    """It stops with unread losses, and resumes. The stem takes slices of a batch, as on the CPU: the sums are equal."""
    step, moved = RunRecorder.step, dict[str, str]()

    def asked(self, position, optimizer):
        self.stop_asked = (str(position.stage), position.epoch, position.batch) == ("mixture/phase3", 1, 1)
        self.stop_asked |= (str(position.stage), position.epoch, position.batch) == ("visual/phase2", 0, 2)
        moved.update({str(position.stage): one.device.type for one in self.mixture.parameters()})
        step(self, position, optimizer)

    settings = settings_of(tmp_path / "run", *ON_GPU)
    with pretended_gpu():
        with monkeypatch.context() as patch:
            patch.setattr(StemEmbed, "maps", in_slices)
            with patch.context() as stopping:
                stopping.setattr(RunRecorder, "step", asked)
                for _ in range(2):
                    with pytest.raises(Interrupted):
                        fit(settings)
            api.fit(settings)
        predicted = lptpp.load(tmp_path / "run", "cuda").predict(BLACK, top_k=2)
    assert set(moved.values()) == {"cuda"}
    assert_same_run(tmp_path / "run", trained.folder)
    for one, other in zip(predicted, lptpp.load(trained.folder, "cpu").predict(BLACK, top_k=2), strict=True):
        assert (one.label, one.probability) == (other.label, pytest.approx(other.probability, abs=1e-4))


def test_so_does_every_other_pass_over_images(settings_of, tmp_path, monkeypatch):
    otherwise = (
        *SHORT[:3], "data.validation=0.3", "evaluation.keep=best", "evaluation.temperature=fitted", "phase3.folds=2",
        "experts.visual.keys=kmeans", "augmentation.cached_views=2", "evaluation.controls=[random,none,mean,mixing]",
        "evaluation.views=flip", "evaluation.prior=estimated", "phase3.check=0.3", "phase1.optimizer=adamw", "shards=2",
        "phase3.reads=both", "phase1.gradient_checkpointing=true", "phase2.dropout=0.1", "evaluation.batch_size=16",
        "phase1.batch_size=9", "phase2.batch_size=9", "phase3.batch_size=9",
    )  # fmt: skip
    fit(settings_of(tmp_path / "cpu", *otherwise))
    step, counted = RunRecorder.step, list[str]()

    def stopped_once(self, position, optimizer):
        counted.extend(state["step"].device.type for state in optimizer.state.values() if "step" in state)
        self.stop_asked = self.steps == 0
        step(self, position, optimizer)

    monkeypatch.setattr(RunRecorder, "step", stopped_once)
    with pretended_gpu():
        with pytest.raises(Interrupted):
            fit(settings_of(tmp_path / "gpu", *otherwise, *ON_GPU))
        fit(settings_of(tmp_path / "gpu", *otherwise, *ON_GPU))
    assert_same_run(tmp_path / "gpu", tmp_path / "cpu")
    assert (tmp_path / "gpu/predictions.csv").read_bytes() == (tmp_path / "cpu/predictions.csv").read_bytes()
    assert set(counted) == {"cpu"}  # of AdamW, resumed or not: from a GPU, each step would wait to read them


def test_in_bf16_the_towers_are_held_and_all_else_is_float32(settings_of, tmp_path):
    settings = settings_of(tmp_path / "run", *ON_GPU, *SHORT, "precision=bf16")
    with pretended_gpu():
        mixture = place(build_mixture(settings, 4), make_accelerator("cuda", "bf16"), "auto")
        for expert in mixture.experts.values():
            assert {one.dtype for one in expert.encoder.tower.parameters()} == {torch.bfloat16, torch.float32}
            assert {one.dtype for one in expert.heads.parameters()} == {torch.float32}
        fit(settings)
        lptpp.load(tmp_path / "run", "cuda").predict(BLACK)
    assert {one.dtype for one in tuned(tmp_path / "run").values()} == {torch.float32}
    assert all(one.isfinite().all() for one in tuned(tmp_path / "run").values())


# What follows needs real GPUs. It has its own processes: PyTorch cannot use a GPU after a fork.


@pytest.fixture
def repeated(pictures: Path, config: Path, tmp_path: Path) -> list[str]:
    """Return the arguments of `lptpp fit` on a list that names the images of `pictures` many times."""
    for part in ("train", "test"):
        names = sorted((pictures / part).glob("*/*.png"))
        classes = sorted({path.parent.name for path in names})
        times = REPEATED // len(names) + 1 if part == "train" else 1
        lines = [f"{path} {classes.index(path.parent.name)}" for path in names for _ in range(times)]
        (tmp_path / f"{part}.txt").write_text("\n".join(lines))
    (tmp_path / "names.txt").write_text("\n".join(classes))
    lists = [f"data.{name}_list={tmp_path / name}.txt" for name in ("train", "test")]
    source = ["data.source=list", f"data.root={pictures}", *lists, f"data.class_names={tmp_path / 'names.txt'}"]
    return [str(config), *source, *SHORT, "phase1.batch_size=64", "phase2.batch_size=64", "shards=2"]


def run(*command: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not GPUS, reason="needs a GPU")
def test_a_real_gpu_is_close_to_the_cpu_with_loader_workers_and_without(repeated, tmp_path):
    for name, changes in {
        "cpu": ["device=cpu", "workers=0"],
        "gpu": ["device=cuda", "workers=auto"],
        "again": ["device=cuda", "workers=0"],
        "bf16": ["device=cuda", "workers=auto", "precision=bf16"],
    }.items():
        run("lptpp", "fit", *repeated, *changes, f"run={tmp_path / name}")
    assert_close_runs(tmp_path / "gpu", tmp_path / "cpu", 1e-2)
    assert_close_runs(tmp_path / "gpu", tmp_path / "again", 1e-2)
    losses = [[row[2] for row in history(tmp_path / name)] for name in ("bf16", "gpu")]
    assert losses[0] == pytest.approx(losses[1], rel=0.1, abs=0.1)


@pytest.mark.skipif(GPUS < 2, reason="needs two GPUs")
@pytest.mark.parametrize("method", ["lptpp", "full"])
def test_two_processes_with_nccl_are_close_to_one(method, repeated, tmp_path):
    repeated = [*repeated, "device=cuda", "workers=2", f"method={method}"]
    run("lptpp", "fit", *repeated, f"run={tmp_path / 'one'}")
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    run(*launch, "lptpp", "fit", *repeated, f"run={tmp_path / 'two'}")
    assert_close_runs(tmp_path / "two", tmp_path / "one", 1e-2)


@pytest.mark.skipif(GPUS < 2, reason="needs two GPUs")
def test_a_process_of_nccl_that_is_killed_ends_the_other_within_30_seconds(repeated, tmp_path):
    folder, environment = tmp_path / "run", {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lptpp", "fit", *repeated, "device=cuda", f"run={folder}", "phase1.epochs=500"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(command, env={**environment, **both, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    until = time.monotonic() + 120
    while latest_checkpoint(folder / "checkpoint") is None and time.monotonic() < until:
        time.sleep(0.5)
    ranks[1].kill()
    assert ranks[0].wait(30) == 1
    assert latest_checkpoint(folder / "checkpoint") is not None
