"""The recipe of the bundled towers, from pictures to a file that the package loads, on a handful of pictures."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from lptpp.backbones.load import load_backbone
from pretraining import cache, train
from pretraining.__main__ import app
from pretraining.batches import Batch, swapped
from pretraining.cache import Stem
from pretraining.names import IMAGENET, Names, RandomCut, read_nouns
from pretraining.pack import encode, read_source, write_pack
from pretraining.settings import read_settings
from pretraining.stems import rename_in_order
from pretraining.tasks import Distillation
from pretraining.towers import build_tower, install_stem, pooled_feature, start_from_components

ROOT = Path(__file__).parents[2]
STEM = "test_efficientnet"
QUICK = [
    f"stem={STEM}",
    "image_size=64",
    "teacher_sizes={tiny_imagenet: 64, photos: 96, emoji: 64}",
    "views={tiny_imagenet: 2, photos: 3, emoji: 1}",
    "architecture={embed_dim: 16, depth: 2, num_heads: 2, global_pool: avg, class_token: false, init_values: 0.1}",
    "steps=4",
    "batch_size=20",
    "warmup_steps=2",
    "save_every=2",
]
TEXT = "text={context_length: 16, vocab_size: 49408, width: 8, heads: 2, layers: 1, output_dim: 12}"
NAMES = Names(
    strings=[*IMAGENET, "fish", "grin", "grinning face", "wave"],
    names=[*([place] for place in range(1000)), [1000]],
    members=[*([place] for place in range(1000)), [0, 1, 2]],
    emoji=[[1001, 1002], [1003]],
)


@pytest.fixture(autouse=True)
def random_stem(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> torch.nn.Module:
        torch.manual_seed(0)
        return timm.create_model(name).eval()

    monkeypatch.setattr(cache, "load_stem", load)
    monkeypatch.setattr(train, "STARTED_ON", 2)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    draw = np.random.default_rng(0)

    def picture(side: int) -> bytes:
        return encode(Image.fromarray(draw.integers(0, 256, (side, side, 3), dtype=np.uint8)))

    for part in range(2):
        write_pack(folder / f"tiny_imagenet_{part}.safetensors", [(picture(48), 3 * part + i) for i in range(4)])
    write_pack(folder / "photos.safetensors", [(picture(80), i) for i in range(3)])
    write_pack(folder / "emoji.safetensors", [(picture(64), i % 2) for i in range(4)])
    NAMES.write(folder / "names.json")
    return folder


def run(*arguments: str) -> None:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("tower, kind", [("visual", "vision"), ("language", "language")])
def test_a_tower_from_pictures_to_a_file_that_the_package_loads(
    tower: str, kind: str, pack: Path, tmp_path: Path
) -> None:
    settings = ROOT / "pretraining" / f"{tower}.yaml"
    quick = [*QUICK, *([TEXT] if kind == "language" else [])]
    run("train", str(settings), *quick, "--pack", str(pack), "--work", str(tmp_path))
    name = read_settings(settings, []).name
    run("ship", str(settings), str(tmp_path / f"{name}.safetensors"), *quick, "--output", str(tmp_path / "shipped"))
    backbone = load_backbone(kind, name, str(tmp_path / "shipped" / f"{name}.safetensors"))
    assert backbone.tower(torch.randn(2, 3, 64, 64)).isfinite().all()
    trained = load_file(tmp_path / f"{name}.safetensors")["tower.blocks.1.mlp.fc1.weight"]
    found = backbone.tower.blocks[1].mlp.fc1.weight
    torch.testing.assert_close(found, trained, atol=1e-3, rtol=1e-3)  # float16


def test_training_goes_on_to_the_same_weights_after_a_stop(pack: Path, tmp_path: Path) -> None:
    settings, device = ROOT / "pretraining" / "visual.yaml", torch.device("cpu")
    whole = train.train_tower(read_settings(settings, QUICK), pack, tmp_path / "whole", device)

    class Stopped(Exception):
        pass

    def stop(step: int, settings: object) -> float:
        if step == 2:
            raise Stopped
        return rate(step, settings)

    rate = train.learning_rate
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(train, "learning_rate", stop)
        train.train_tower(read_settings(settings, QUICK), pack, tmp_path / "parts", device)
    parts = train.train_tower(read_settings(settings, QUICK), pack, tmp_path / "parts", device)
    expected, found = load_file(whole), load_file(parts)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], msg=name)


@pytest.mark.parametrize(
    "change, complaint", [("color=0.3", "crops of other images or settings"), ("learning_rate=1", "other settings")]
)
def test_work_of_other_settings_is_refused(change: str, complaint: str, pack: Path, tmp_path: Path) -> None:
    settings, device = ROOT / "pretraining" / "visual.yaml", torch.device("cpu")
    train.train_tower(read_settings(settings, QUICK), pack, tmp_path, device)
    with pytest.raises(ValueError, match=complaint):
        train.train_tower(read_settings(settings, [*QUICK, change]), pack, tmp_path, device)


def test_a_source_may_lie_in_several_files(pack: Path) -> None:
    packed = read_source(pack, "tiny_imagenet")
    assert packed.labels.tolist() == [0, 1, 2, 3, 3, 4, 5, 6]
    assert packed.pictures[0].shape == (3, 48, 48)


def test_weights_are_renamed_in_order_and_only_where_all_fit() -> None:
    model = timm.create_model(STEM)
    other = {f"old.{i}": tensor.clone() + 1 for i, tensor in enumerate(model.state_dict().values())}
    renamed = rename_in_order(other, timm.create_model(STEM)).state_dict()
    for found, expected in zip(renamed.values(), other.values(), strict=True):
        assert torch.equal(found, expected)
    with pytest.raises(ValueError, match="another model's"):
        rename_in_order(dict(list(other.items())[1:]), model)


@torch.no_grad()
def test_at_the_start_the_mean_token_holds_the_components_of_the_pooled_feature() -> None:
    settings = read_settings(ROOT / "pretraining" / "visual.yaml", QUICK)
    stem = Stem(STEM, torch.device("cpu"))
    tower = build_tower(settings)
    install_stem(tower, stem)
    tokens = torch.randn(200, 4, stem.network.num_features).relu()
    pooled = tokens.mean(1)
    start_from_components(tower, pooled)
    weight = tower.patch_embed.proj.weight.flatten(1)
    mean_token = (tokens @ weight.T + tower.patch_embed.proj.bias).mean(1)  # (200, 16)
    centered = pooled - pooled.mean(0)
    kept = torch.linalg.svd(centered, full_matrices=False).S[:16].square()
    assert float(mean_token.square().mean()) == pytest.approx(1, rel=1e-3)
    torch.testing.assert_close(
        mean_token.square().sum(0) / mean_token.square().sum(), kept / kept.sum(), atol=1e-2, rtol=0.1
    )


@torch.no_grad()
def test_training_and_the_package_compute_the_same_feature() -> None:
    settings = read_settings(ROOT / "pretraining" / "visual.yaml", QUICK)
    stem = Stem(STEM, torch.device("cpu"))
    tower = build_tower(settings).eval()
    install_stem(tower, stem)
    images = torch.randn(3, 3, 64, 64)
    found = pooled_feature(tower, stem.tokens(stem.body(images)))
    torch.testing.assert_close(found, tower(images), atol=1e-4, rtol=1e-4)


def test_swapped_rectangles_keep_the_pooled_targets_exact() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(6, 25, 8)
    before = Batch(tokens, tokens.mean(1), F.one_hot(torch.arange(4), 1000).float(), torch.eye(2))
    constant = tokens.mean(1, keepdim=True).expand(-1, 25, -1)  # every token alike: mixing is exactly linear
    after = swapped(Batch(constant, before.teacher, before.classes, before.emoji), np.random.default_rng(1))
    torch.testing.assert_close(after.pooled, after.teacher)
    torch.testing.assert_close(after.classes.sum(1), torch.ones(4))
    assert (after.classes[0] > 0).nonzero().flatten().tolist() == [0, 3]  # its neighbor among the photographs
    assert not torch.equal(after.tokens, constant)


def test_a_cut_gives_every_class_one_name_and_collapses_whole_groups() -> None:
    cut, seen = RandomCut(NAMES), set()
    for seed in range(200):
        strings, place = cut.draw(np.random.default_rng(seed))
        called = [NAMES.strings[strings[p]] for p in place]
        assert called[3:] == IMAGENET[3:]
        seen.add(tuple(called[:3]))
    assert seen == {("fish",) * 3, tuple(IMAGENET[:3])}


def test_wordnets_format(tmp_path: Path) -> None:
    lines = [
        "  1 This software and database is being provided to you",
        "02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 02083346 n 0000 ~ 01322604 n 0000 | a member",
        "02083346 05 n 02 canine 1 canid 0 001 @ 02075296 n 0000 | any of various fissiped mammals",
    ]
    (tmp_path / "data.noun").write_text("\n".join(lines))
    nouns = read_nouns(tmp_path / "data.noun")
    assert nouns["02084071"].words == ["dog", "domestic dog", "Canis familiaris"]
    assert nouns["02084071"].above == ["02083346"]
    assert len(nouns) == 2


def test_the_geometry_term_is_the_mean_squared_difference_of_cosines() -> None:
    torch.manual_seed(0)
    feature, teacher = torch.randn(5, 4), torch.randn(5, 7)
    batch = Batch(torch.randn(5, 9, 7), teacher, torch.zeros(3, 1000), torch.zeros(2, 2))
    with_it, without = Distillation(4, 7, 10.0), Distillation(4, 7, 0.0)
    without.load_state_dict(with_it.state_dict())
    centered = teacher - teacher.mean(0)
    total = 0.0
    for i in range(5):
        for j in range(5):
            found = F.cosine_similarity(feature[i], feature[j], dim=0)
            total += float(found - F.cosine_similarity(centered[i], centered[j], dim=0)) ** 2
    assert float((with_it(feature, batch) - without(feature, batch)).detach()) == pytest.approx(
        10 * total / 25, rel=1e-3
    )


def test_the_settings_files_head_names_their_command() -> None:
    for name in ("visual", "language"):
        assert f"python -m pretraining train pretraining/{name}.yaml" in (ROOT / f"pretraining/{name}.yaml").read_text()
