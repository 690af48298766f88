import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from lptpp.evaluation.metrics import calibration_bins, calibration_error, class_accuracy, confusion, shot_accuracy

COUNTS = np.array([500, 101, 100, 20, 19, 1, 0])
CLASSES = len(COUNTS)


def predictions(size: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (n, C) and labels (n,); the last class has no test image."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(CLASSES - 1, size=size, p=np.array([8, 6, 4, 3, 2, 1]) / 24)
    logits = generator.normal(size=(size, CLASSES)) + 2 * np.eye(CLASSES)[labels]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


def measured(probabilities: np.ndarray, labels: np.ndarray, **options) -> dict:
    return shot_accuracy(probabilities.argmax(1), probabilities.max(1), labels, COUNTS, **options)


def test_shot_accuracy_equals_a_loop_over_the_images():
    probabilities, labels = predictions()
    hits = {"overall": [], "many": [], "medium": [], "few": []}
    for row, label in zip(probabilities, labels, strict=True):
        count = COUNTS[label]
        group = "many" if count > 100 else "medium" if count >= 20 else "few"
        for name in ("overall", group):
            hits[name].append(int(np.argmax(row)) == label)
    found = measured(probabilities, labels)
    for name, values in hits.items():
        assert found[name] == pytest.approx(100 * sum(values) / len(values))
    assert found["calibration_error"] == calibration_error(probabilities.max(1), probabilities.argmax(1) == labels)


def test_mean_class_equals_balanced_accuracy_and_leaves_out_classes_without_test_images():
    probabilities, labels = predictions()
    wanted = 100 * balanced_accuracy_score(
        labels, np.where(probabilities.argmax(1) == labels, labels, (labels + 1) % 6)
    )
    assert measured(probabilities, labels)["mean_class"] == pytest.approx(wanted)


def test_the_borders_move_classes_between_groups():
    probabilities, labels = predictions()
    found = measured(probabilities, labels, shot_thresholds=(0, 1000))
    assert found["many"] is None and found["few"] is None
    assert found["medium"] == found["overall"]


def test_without_test_images_every_value_is_none():
    found = shot_accuracy(*[np.zeros(0, dtype=np.int64)] * 3, COUNTS)
    assert list(found) == ["overall", "many", "medium", "few", "mean_class", "calibration_error"]
    assert set(found.values()) == {None}


def test_class_accuracy_equals_a_loop_over_the_classes():
    probabilities, labels = predictions()
    predicted = probabilities.argmax(axis=1)
    accuracy, tested = class_accuracy(predicted, labels, CLASSES)
    for c in range(CLASSES - 1):
        assert tested[c] == (labels == c).sum()
        assert accuracy[c] == pytest.approx(100 * (predicted[labels == c] == c).mean())
    assert tested[-1] == 0 and np.isnan(accuracy[-1])


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_calibration_error_equals_a_loop_over_the_bins(bins, dtype):
    probabilities, labels = predictions()
    probabilities = probabilities.astype(dtype)
    error = 0.0
    for b in range(bins):
        inside = [i for i, row in enumerate(probabilities) if b / bins < row.max() <= (b + 1) / bins]
        if inside:
            accuracy = np.mean([probabilities[i].argmax() == labels[i] for i in inside])
            confidence = np.mean([float(probabilities[i].max()) for i in inside])
            error += len(inside) / len(labels) * abs(accuracy - confidence)
    found = calibration_error(probabilities.max(1), probabilities.argmax(1) == labels, bins)
    assert found == pytest.approx(100 * error)


def test_calibration_error_of_certain_predictions_is_the_share_of_wrong_ones():
    assert calibration_error(np.ones(4), np.array([True, True, True, True])) == 0
    assert calibration_error(np.ones(4), np.array([True, True, True, False])) == 25


def test_a_confidence_on_the_border_of_two_bins_counts_for_the_lower():
    found = calibration_error(np.array([0.5, 0.75]), np.array([True, False]), bins=2)
    assert found == 100 * (0.5 + 0.75) / 2


def test_the_bins_hold_images_correct_ones_and_confidences():
    images, right, sure = calibration_bins(np.array([0.2, 0.25, 0.9]), np.array([True, False, True]), bins=4)
    assert (images.tolist(), right.tolist()) == ([2, 0, 0, 1], [1, 0, 0, 1])
    assert sure == pytest.approx([0.45, 0, 0, 0.9])


def test_confusion_holds_the_nonzero_cells_of_the_confusion_matrix_sorted_by_count():
    probabilities, labels = predictions()
    predicted = probabilities.argmax(axis=1)
    cells = confusion(predicted, labels)
    matrix = confusion_matrix(labels, predicted, labels=range(CLASSES))
    assert {(true, other): count for true, other, count in cells} == {
        (true, other): matrix[true, other] for true, other in zip(*matrix.nonzero(), strict=True)
    }
    assert cells == sorted(cells, key=lambda cell: (-cell[2], cell[0], cell[1]))
    assert all(type(value) is int for cell in cells for value in cell)
