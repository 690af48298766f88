"""What can be checked before training is refused before training."""

import pytest
from torch import nn

from lptpp.config.choices import LOSS_OPTIONS
from lptpp.losses import LOSSES, register_loss
from lptpp.training.fit import fit
from lptpp.utils.errors import UserError


@pytest.mark.parametrize(
    "overrides, words",
    [
        (["evaluation.prior=TMP/prior.csv"], "prior.csv"),
        (["evaluation.prior=training", "evaluation.assumed=TMP/prior.csv"], "prior.csv"),
        (["evaluation.temperature=fitted"], "evaluation.temperature=fitted"),
        (["evaluation.split=validation"], "evaluation.split=validation"),
        (["evaluation.each_epoch=true"], "evaluation.each_epoch=true"),
        (["phase3.held_back=0.01"], "phase3.held_back=0.01"),
        (["augmentation.cached_views=4", "data.memory_gb=0.000001"], "augmentation.cached_views"),
        (["experts.language.group_blocks=9"], "group_blocks=9"),
        (["experts.language.backbone.image_size=33"], "image_size=33"),
        (["device=mps"], "device=mps"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_refused_before_training(overrides, words, settings_of, tmp_path):
    (tmp_path / "prior.csv").write_text("apple,1\nbear,2\n")  # not all classes
    with pytest.raises(UserError, match=words):
        fit(settings_of(tmp_path / "run", *(one.replace("TMP", str(tmp_path)) for one in overrides)))
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_a_loss_of_phase_2_that_cannot_be_built_is_refused_before_phase_1(settings_of, tmp_path):
    @register_loss("picky")
    class Picky(nn.Module):
        def __init__(self, counts, scale: float = 20.0, level: float = 1.0) -> None:
            super().__init__()
            raise UserError(f"level={level}: expected something else.")

    try:
        settings = settings_of(tmp_path, "phase2.dual.loss.name=picky", "phase2.dual.loss.options.level=3")
        with pytest.raises(UserError, match="level=3"):
            fit(settings)
    finally:
        del LOSSES["picky"], LOSS_OPTIONS["picky"]
    assert not (tmp_path / "checkpoint").exists()
