import numpy as np
import pytest
import torch
from PIL import Image

from lptpp.app import predictions as predictions
from lptpp.app.neighbors import neighbors_of
from lptpp.app.predictions import Asked, Chance, PicturePrediction, PicturePredictor, Refused
from lptpp.data.prepare import collection_of
from lptpp.training.fit import fit

KINDS = {"apple": (8, "many"), "bear": (5, "medium"), "car": (3, "medium"), "dog": (1, "few")}


@pytest.fixture(scope="module")
def image(pictures):
    return pictures / "test" / "bear" / "1.png"


@pytest.fixture(scope="module")
def predict(model, image) -> PicturePrediction:
    return PicturePredictor(model).predict(Asked("1.png", image, "bear"))


def test_the_best_classes_are_those_of_predict_with_how_rare_they_were(model, image, predict):
    expected = [Chance(one.label, one.probability, *KINDS[one.label]) for one in model.predict(image, top_k=4)]
    assert predict.best == expected
    assert sum(chance.probability for chance in predict.best) == pytest.approx(1, abs=1e-5)


def test_each_expert_is_told_with_its_weight_and_groups(model, image, predict):
    outputs = model.predict_batch([image])
    assert [opinion.expert for opinion in predict.experts] == ["visual", "language"]
    assert [opinion.weight for opinion in predict.experts] == outputs.weights[0].tolist()
    for opinion in predict.experts:
        alone = outputs.experts[opinion.expert][0]
        order = alone.argsort(descending=True)[:3].tolist()
        assert [chance.label for chance in opinion.best] == [model.class_names[c] for c in order]
        assert [chance.probability for chance in opinion.best] == [alone[c].item() for c in order]
        assert (opinion.groups, opinion.pool) == ([outputs.groups[opinion.expert][0, 0].item() + 1], 3)


def test_the_weighed_experts_are_the_answer(model, image, predict):
    together = dict.fromkeys(model.class_names, 0.0)
    for opinion, probabilities in zip(predict.experts, model.predict_batch([image]).experts.values(), strict=True):
        for name, probability in zip(model.class_names, probabilities[0].tolist(), strict=True):
            together[name] += opinion.weight * probability
    for chance in predict.best:
        assert chance.probability == pytest.approx(together[chance.label], abs=1e-5)


def test_the_picture_and_its_class_are_kept_and_nothing_is_similar_without_training_pictures(predict):
    assert predict.picture.startswith("data:image/jpeg;base64,")
    assert (predict.name, predict.true, predict.similar) == ("1.png", "bear", [])


def test_similar_pictures_are_told(run, model, pictures):
    predictor = PicturePredictor(model, neighbors_of(model, collection_of(model.settings), run))
    image = pictures / "train" / "car" / "2.png"
    best = predictor.predict(Asked("2.png", image)).similar[0]
    assert (best.name, best.label) == (str(image), "car")
    assert best.similarity == pytest.approx(1, abs=1e-4)


def test_a_class_without_training_images_is_few_shot(model, image, predict, monkeypatch):
    monkeypatch.setattr(model, "counts", np.array([8, 5, 3, 0]))
    rare = [one for one in PicturePredictor(model).predict(Asked("1.png", image)).best if one.label == "dog"]
    assert [(one.training_images, one.shot) for one in rare] == [(0, "few")]


def test_an_expert_alone_has_all_the_weight_and_maybe_no_groups(settings_of, image, tmp_path):
    import lptpp

    fit(settings_of(tmp_path, "method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]"))
    (opinion,) = PicturePredictor(lptpp.load(tmp_path)).predict(Asked("1.png", image)).experts
    assert (opinion.expert, opinion.weight, opinion.groups, opinion.pool) == ("visual", 1.0, [], 0)


def save(path, image: Image.Image):
    image.save(path)
    return path


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda path: path.write_bytes(b""), "cannot be read: the file is empty."),
        (lambda path: path.write_text("%PDF-1.4"), "cannot be read: not a picture in a format that Pillow knows."),
        (lambda path: Image.new("1", (10_000, 10_000)).save(path), "has 100.0 megapixels, more than 25."),
        (lambda path: Image.new("L", (5050, 50)).save(path), "has a side more than 100 times as long as the other."),
        (lambda path: Image.new("L", (1, 101)).save(path), "has a side more than 100 times as long as the other."),
    ],
    ids=["empty", "no picture", "huge", "long", "thin"],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(make, reason, model, tmp_path):
    make(tmp_path / "bad.png")
    assert PicturePredictor(model).predict(Asked("bad.png", tmp_path / "bad.png")) == Refused("bad.png", reason)


def test_a_truncated_picture_is_refused(model, image, tmp_path):
    (tmp_path / "half.png").write_bytes(image.read_bytes()[:2000])
    refused = PicturePredictor(model).predict(Asked("half.png", tmp_path / "half.png"))
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("cannot be read: ")


def test_a_picture_just_within_the_limits_is_answered(model):
    long = np.zeros((3, 300, 3), np.uint8)
    assert isinstance(PicturePredictor(model).predict(Asked("long", long)), PicturePrediction)


def test_warming_up_judges_a_picture(model, monkeypatch):
    batches = []
    say = model.predict
    monkeypatch.setattr(model, "predict", lambda seen: batches.append(len(seen)) or say(seen))
    PicturePredictor(model).warm_up()
    assert batches == [1]


def test_a_large_collection_of_classes_tells_only_the_best(model, image, monkeypatch):
    monkeypatch.setattr(predictions, "BEST", 2)
    assert len(PicturePredictor(model).predict(Asked("1.png", image)).best) == 2


def test_probabilities_are_not_shared_between_pictures(model, pictures):
    predictor = PicturePredictor(model)
    first, second = (predictor.predict(Asked("a", pictures / "test" / name / "0.png")) for name in ("apple", "dog"))
    assert not torch.allclose(
        torch.tensor([one.probability for one in first.best]), torch.tensor([one.probability for one in second.best])
    )
