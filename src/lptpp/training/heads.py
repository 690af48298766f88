"""Where the classifiers of phase 1 start from (docs/method.md)."""

from lptpp.adaptation.head import class_means
from lptpp.config import ExpertSettings
from lptpp.data.pictures import Pictures
from lptpp.expert import Expert
from lptpp.outputs import Runner


def start_head(
    name: str,
    expert: Expert,
    settings: ExpertSettings,
    pictures: Pictures,
    class_names: list[str],
    runner: Runner,
) -> None:
    """Set the phase-1 classifier from the text tower, from class means, or leave it random."""
    head = expert.heads[0]
    if settings.head == "text":
        assert expert.backbone.text is not None
        head.start_from(expert.backbone.text.class_vectors(class_names, settings.templates))
    if settings.head == "class_means":
        features, labels = runner.features(expert, pictures, f"{name}: class means")
        head.start_from(class_means(features, labels, unseen=head.weight.detach().cpu()).to(head.weight.device))
