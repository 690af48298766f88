import math
from pathlib import Path

import numpy as np
import pytest

from likelihood import class_loss, read_class_loss


def test_the_class_loss_is_the_mean_over_classes_of_their_means() -> None:
    found = class_loss(np.array([0.5, 0.25, 1.0, 0.0]), np.array([3, 3, 7, 8]))
    few = [-(math.log(0.5) + math.log(0.25)) / 2, 0.0, -math.log(1e-6)]
    assert found == pytest.approx(sum(few) / 3)


def test_it_is_read_off_the_predictions(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("image,true,true_probability,label_1\na.png,cat,0.5,dog\nb.png,dog,0.25,dog\n", encoding="utf-8")
    assert read_class_loss(path) == pytest.approx((math.log(2) + math.log(4)) / 2)
