import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lptpp
from lptpp.backbones import cards
from lptpp.backbones.weights import read_weights
from lptpp.data.transforms import evaluation_transform
from lptpp.training.fit import fit
from lptpp.utils.errors import UserError

FRESH = """
import sys, numpy, torch, lptpp
run, given, found = sys.argv[1:]
mixture = lptpp.load(run).mixture
images = torch.from_numpy(numpy.load(given))
with torch.no_grad():
    outputs = mixture.forward_experts({name: images for name in mixture.experts})
    mixed = mixture({name: images for name in mixture.experts})
numpy.savez(found, probabilities=mixed.probabilities, weights=mixed.weights,
            **{f"{name} {key}": value for name, one in outputs.items() for key, value in one._asdict().items()})
"""


def test_a_new_process_computes_the_same_bits_as_the_one_that_trained(trained, tmp_path):
    images = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    np.save(tmp_path / "images.npy", images.numpy())
    arguments = [trained.folder, tmp_path / "images.npy", tmp_path / "found.npz"]
    subprocess.run([sys.executable, "-c", FRESH, *map(str, arguments)], check=True)
    found = np.load(tmp_path / "found.npz")
    with torch.no_grad():
        views = dict.fromkeys(trained.mixture.experts, images)
        outputs, mixed = trained.mixture.forward_experts(views), trained.mixture(views)
    expected = {"probabilities": mixed.probabilities, "weights": mixed.weights}
    expected |= {f"{name} {key}": value for name, one in outputs.items() for key, value in one._asdict().items()}
    assert set(found) == set(expected)
    assert all(np.array_equal(found[name], value.numpy()) for name, value in expected.items())
    assert mixed.probabilities.unique().numel() > 5


@pytest.fixture(scope="module")
def model(trained):
    return lptpp.load(trained.folder)


@pytest.fixture(scope="module")
def images(pictures) -> list[Path]:
    return sorted(pictures.glob("test/*/*.png"))


def test_many_images_are_predicted_as_one_by_one(model, images):
    together = model.predict(images, top_k=3)
    alone = [model.predict(str(image), top_k=3) for image in images]
    assert [[one.label for one in best] for best in together] == [[one.label for one in best] for best in alone]
    for best in together:
        probabilities = [one.probability for one in best]
        assert len(best) == 3
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0 < sum(probabilities) <= 1


def test_an_array_is_predicted_as_the_file_it_came_from(model, images):
    array = np.asarray(Image.open(images[0]))
    assert model.predict(array, top_k=4) == model.predict(images[0], top_k=4)


def test_paths_pillow_images_arrays_and_bytes_are_predicted_alike(model, images):
    file = images[0]
    with Image.open(file) as opened:
        forms = [file, str(file), file.read_bytes(), opened, np.asarray(opened)]
        expected = model.predict(file, top_k=4)
        assert [model.predict(form, top_k=4) for form in forms] == [expected] * len(forms)
        assert model.predict(tuple(forms), top_k=4)[0][0].label == expected[0].label
        assert len(model.predict(forms)) == len(forms)


def test_a_pillow_image_is_read_as_its_file_and_stays_as_it_is(model, tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8), "RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated
    image.save(tmp_path / "rotated.png", exif=exif)
    with Image.open(tmp_path / "rotated.png") as opened:
        assert model.predict(opened, top_k=4) == model.predict(tmp_path / "rotated.png", top_k=4)
        assert (opened.size, opened.mode) == ((40, 30), "RGBA")


def test_a_model_says_what_it_is(model):
    text = repr(model)
    for part in ("lptpp", "4 classes (apple, bear, car, dog)", "17 training images", "visual: ", "language: ", "cpu"):
        assert part in text


def test_the_api_predicts_what_the_run_wrote_down(trained, model, images):
    with (trained.folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [best[0].label for best in model.predict(images)] == [row["label_1"] for row in rows]


def test_top_k_ends_at_the_number_of_classes(model, images):
    best = model.predict(images[0], top_k=99)
    assert sorted(one.label for one in best) == model.class_names == ["apple", "bear", "car", "dog"]
    assert sum(one.probability for one in best) == pytest.approx(1, abs=1e-5)
    assert model.predict([]) == []


@pytest.mark.parametrize(
    "image, message",
    [
        ("nowhere.png", "nowhere.png does not exist"),
        (np.zeros((8, 8), np.uint8), r"array of uint8 \(8, 8\), expected uint8 \(height, width, 3\)"),
        (np.zeros((8, 8, 3), np.float32), "array of float32"),
        (b"no picture", "Image given as bytes cannot be read: not in a supported image format"),
        (7, "must be a path, a Pillow image, bytes or a uint8 array .*, not int"),
    ],
)
def test_what_is_no_image_is_refused(image, message, model):
    with pytest.raises(UserError, match=message):
        model.predict(image)


def test_a_broken_image_and_a_top_k_of_zero_are_refused(model, images, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken\.png cannot be read"):
        model.predict(tmp_path / "broken.png")
    with pytest.raises(UserError, match="top_k=0"):
        model.predict(images[0], top_k=0)


def test_a_batch_is_judged_with_all_that_is_said_of_it(model, images):
    found = model.predict_batch([images[0], str(images[5]), np.asarray(Image.open(images[9]))])
    transforms = {name: evaluation_transform(e.backbone.preprocessing) for name, e in model.mixture.experts.items()}
    seen = [torch.from_numpy(np.array(Image.open(images[i]))).permute(2, 0, 1) for i in (0, 5, 9)]
    views = {name: torch.stack([transform(one) for one in seen]) for name, transform in transforms.items()}
    with torch.no_grad():
        outputs, mixed = model.mixture.forward_experts(views), model.mixture(views)
    assert torch.equal(found.probabilities, mixed.probabilities)
    assert torch.equal(found.weights, mixed.weights)
    assert found.of_views.shape == (3, 1, 4)
    for name, one in outputs.items():
        powers = (model.mixture.experts[name].scale * one.cosines).exp()
        torch.testing.assert_close(found.experts[name], powers / powers.sum(1, keepdim=True))
        torch.testing.assert_close(found.features[name].norm(dim=1), torch.ones(3))
        torch.testing.assert_close(found.features[name] * one.feature.norm(dim=1, keepdim=True), one.feature)
        assert torch.equal(found.groups[name], one.groups)


def test_several_views_are_told_beside_the_plain_one(model, images):
    plain, found = model.predict_batch(images[:2]), model.predict_batch(images[:2], "five_crops")
    assert found.of_views.shape == (2, 5, 4)
    for key in ("probabilities", "weights"):
        torch.testing.assert_close(getattr(found, key), getattr(plain, key))
    torch.testing.assert_close(found.of_views[:, 0], plain.probabilities)
    for name in model.mixture.experts:
        torch.testing.assert_close(found.features[name], plain.features[name])
    assert found.of_views.flatten(0, 1).unique(dim=0).shape[0] == 10


def test_the_model_knows_how_many_images_each_class_had(model):
    assert model.counts.tolist() == [8, 5, 3, 1]


def test_a_folder_without_a_run_is_refused(tmp_path):
    for folder, problem in ((tmp_path, "contains no trained run"), (tmp_path / "nowhere", "does not exist")):
        with pytest.raises(UserError, match=f"{folder} {problem}"):
            lptpp.load(folder)


def test_an_unfinished_run_is_refused_with_what_to_do(trained, tmp_path):
    folder = shutil.copytree(trained.checkpoints[4], tmp_path / "run")
    with pytest.raises(UserError, match=rf"{folder} is not finished .*language/phase1.*`lptpp fit {folder}`"):
        lptpp.load(folder)


def test_a_run_without_its_settings_is_refused(trained, tmp_path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    (folder / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"config\.yaml"):
        lptpp.load(folder)


def test_a_run_may_move(trained, model, images, tmp_path):
    moved = lptpp.load(shutil.copytree(trained.folder, tmp_path / "elsewhere"))
    assert moved.settings.run == str(tmp_path / "elsewhere")
    assert moved.predict(images, top_k=4) == model.predict(images, top_k=4)


def test_another_backbone_of_the_same_shape_is_refused(trained, settings_of, tmp_path, monkeypatch):
    def perturbed(path):
        weights = read_weights(path)
        if path.stem == "vision_random":
            weights["tower.blocks.3.mlp.fc1.weight"][0, 0] += 1e-3
        return weights

    monkeypatch.setattr(cards, "read_weights", perturbed)
    with pytest.raises(UserError, match="of vision_random, expert visual"):
        lptpp.load(trained.folder)
    folder = Path(shutil.copytree(trained.checkpoints[2], tmp_path / "run"))
    with pytest.raises(UserError, match="of vision_random, expert visual"):
        fit(settings_of(folder))


def test_settings_that_do_not_fit_the_weights_are_refused(trained, tmp_path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("shared_prompts: 2", "shared_prompts: 3", 1))
    with pytest.raises(UserError, match=r"experts\.visual\.shared_prompts: 3, trained with 2"):
        lptpp.load(folder)


def test_an_overridden_method_survives_loading(settings_of, images, tmp_path):
    overrides = ["method=lpt", "experts.visual.adapter_width=2", "phase1.epochs=1", "phase2.epochs=1"]
    fit(settings_of(tmp_path, *overrides, "evaluation.baselines=[]"))
    model = lptpp.load(tmp_path)
    assert model.settings.experts["visual"].adapter_width == 2
    assert len(model.predict(images)) == len(images)


def test_fit_and_predict_are_functions_of_the_package(trained, config, images, tmp_path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    model = lptpp.fit(config, f"run={folder}", "evaluation.baselines=[]")
    assert model.predict(images, top_k=2) == lptpp.predict(folder, images, top_k=2)


def test_a_folder_is_refused_with_what_to_give(model, images):
    with pytest.raises(UserError, match="is a folder"):
        model.predict(images[0].parent)


def test_the_package_is_imported_without_pytorch():
    code = "import sys, lptpp, lptpp.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
