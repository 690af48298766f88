import numpy as np
import pytest
import torch
from PIL import Image

from lptpp.app import predictions
from lptpp.app.neighbors import neighbors_of
from lptpp.app.predictions import ClassScore, ImageInput, ImagePrediction, ImagePredictor, RejectedImage
from lptpp.data.prepare import load_dataset
from lptpp.training.fit import fit

KINDS = {"apple": (8, "many"), "bear": (5, "medium"), "car": (3, "medium"), "dog": (1, "few")}


@pytest.fixture(scope="module")
def image(pictures):
    return pictures / "test" / "bear" / "1.png"


@pytest.fixture(scope="module")
def prediction(model, image) -> ImagePrediction:
    return ImagePredictor(model).predict(ImageInput("1.png", image, "bear"))


def test_the_best_classes_are_those_of_predict_with_their_training_images(model, image, prediction):
    expected = [ClassScore(one.label, one.probability, *KINDS[one.label]) for one in model.predict(image, top_k=4)]
    assert prediction.best == expected
    assert sum(score.probability for score in prediction.best) == pytest.approx(1, abs=1e-5)


def test_each_expert_has_its_weight_and_groups(model, image, prediction):
    outputs = model.predict_batch([image])
    assert [expert.name for expert in prediction.experts] == ["visual", "language"]
    assert [expert.weight for expert in prediction.experts] == outputs.weights[0].tolist()
    for expert in prediction.experts:
        alone = outputs.experts[expert.name][0]
        order = alone.argsort(descending=True)[:3].tolist()
        assert [score.label for score in expert.best] == [model.class_names[c] for c in order]
        assert [score.probability for score in expert.best] == [alone[c].item() for c in order]
        assert (expert.groups, expert.num_groups) == ([outputs.groups[expert.name][0, 0].item() + 1], 3)


def test_the_prediction_is_the_weighted_mean_of_the_experts(model, image, prediction):
    together = dict.fromkeys(model.class_names, 0.0)
    for expert, probabilities in zip(prediction.experts, model.predict_batch([image]).experts.values(), strict=True):
        for name, probability in zip(model.class_names, probabilities[0].tolist(), strict=True):
            together[name] += expert.weight * probability
    for score in prediction.best:
        assert score.probability == pytest.approx(together[score.label], abs=1e-5)


def test_the_image_and_its_class_are_kept_and_nothing_is_similar_without_neighbors(prediction):
    assert prediction.thumbnail.startswith("data:image/jpeg;base64,")
    assert (prediction.name, prediction.true, prediction.similar) == ("1.png", "bear", [])


def test_similar_images_are_found(run, model, pictures):
    predictor = ImagePredictor(model, neighbors_of(model, load_dataset(model.settings), run))
    image = pictures / "train" / "car" / "2.png"
    best = predictor.predict(ImageInput("2.png", image)).similar[0]
    assert (best.name, best.label) == (str(image), "car")
    assert best.similarity == pytest.approx(1, abs=1e-4)


def test_a_class_without_training_images_is_few_shot(model, image, prediction, monkeypatch):
    monkeypatch.setattr(model, "counts", np.array([8, 5, 3, 0]))
    rare = [one for one in ImagePredictor(model).predict(ImageInput("1.png", image)).best if one.label == "dog"]
    assert [(one.training_images, one.shot) for one in rare] == [(0, "few")]


def test_an_expert_alone_has_all_the_weight_and_maybe_no_groups(settings_of, image, tmp_path):
    import lptpp

    fit(settings_of(tmp_path, "method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]"))
    (expert,) = ImagePredictor(lptpp.load(tmp_path)).predict(ImageInput("1.png", image)).experts
    assert (expert.name, expert.weight, expert.groups, expert.num_groups) == ("visual", 1.0, [], 0)


def save(path, image: Image.Image):
    image.save(path)
    return path


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("%PDF-1.4"), "supported"),
        (lambda path: Image.new("1", (10_000, 10_000)).save(path), "100.0 megapixels"),
        (lambda path: Image.new("L", (5050, 50)).save(path), "aspect ratio above 100"),
        (lambda path: Image.new("L", (1, 101)).save(path), "aspect ratio above 100"),
    ],
    ids=["empty", "no image", "huge", "long", "thin"],
)
def test_an_unusable_image_is_rejected_with_the_reason(make, reason, model, tmp_path):
    make(tmp_path / "bad.png")
    rejected = ImagePredictor(model).predict(ImageInput("bad.png", tmp_path / "bad.png"))
    assert isinstance(rejected, RejectedImage)
    assert rejected.name == "bad.png" and reason in rejected.reason


def test_the_limit_can_be_raised(model, image):
    given = ImageInput("1.png", image)
    assert isinstance(ImagePredictor(model, decoding=model.decoding.up_to(0.001)).predict(given), RejectedImage)
    assert isinstance(ImagePredictor(model, decoding=model.decoding.up_to(0.002)).predict(given), ImagePrediction)


def test_a_truncated_image_is_rejected(model, image, tmp_path):
    (tmp_path / "half.png").write_bytes(image.read_bytes()[:2000])
    rejected = ImagePredictor(model).predict(ImageInput("half.png", tmp_path / "half.png"))
    assert isinstance(rejected, RejectedImage)


def test_an_image_just_within_the_limits_is_classified(model):
    long = np.zeros((3, 300, 3), np.uint8)
    assert isinstance(ImagePredictor(model).predict(ImageInput("long", long)), ImagePrediction)


def test_warming_up_classifies_an_image(model, monkeypatch):
    predictor, batches = ImagePredictor(model), []
    forward = predictor.pipeline.forward
    monkeypatch.setattr(predictor.pipeline, "forward", lambda seen: batches.append(len(seen)) or forward(seen))
    predictor.warm_up()
    assert batches == [1]


def test_of_many_classes_only_the_best_are_shown(model, image, monkeypatch):
    monkeypatch.setattr(predictions, "TOP_K", 2)
    assert len(ImagePredictor(model).predict(ImageInput("1.png", image)).best) == 2


def test_images_have_their_own_probabilities(model, pictures):
    predictor = ImagePredictor(model)
    first, second = (
        predictor.predict(ImageInput("a", pictures / "test" / name / "0.png")) for name in ("apple", "dog")
    )
    assert not torch.allclose(
        torch.tensor([one.probability for one in first.best]), torch.tensor([one.probability for one in second.best])
    )
