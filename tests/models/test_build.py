from lptpp.models.build import build_mixture


def test_the_resize_and_crop_of_the_settings_replace_those_of_the_backbone(settings_of, tmp_path) -> None:
    own = build_mixture(settings_of(tmp_path), 4).experts
    chosen = ["experts.visual.backbone.resize=squash", "experts.visual.backbone.crop_share=0.875"]
    found = build_mixture(settings_of(tmp_path, *chosen), 4).experts
    wanted = own["visual"].backbone.preprocessing.evaluated_by("squash", 0.875)
    assert found["visual"].backbone.preprocessing == wanted != own["visual"].backbone.preprocessing
    assert found["language"].backbone.preprocessing == own["language"].backbone.preprocessing
