"""How good what a stage trains is on the validation part, epoch by epoch: for curves, not for choosing an epoch."""

from lptpp.data.cache import Pictures
from lptpp.data.dataset import Collection
from lptpp.evaluation.evaluate import evaluate
from lptpp.evaluation.metrics import shot_accuracy
from lptpp.inference.runtime import Runner
from lptpp.models.mixture import Mixture


class Validation:
    """Called with the name of a stage, returns the accuracy of the expert or of the mixture that it trains."""

    def __init__(self, mixture: Mixture, collection: Collection, memory_bytes: int, runner: Runner) -> None:
        assert collection.validation is not None
        self.mixture = mixture
        self.pictures = Pictures(collection.validation, memory_bytes)
        self.counts = collection.counts()
        self.runner = runner

    def __call__(self, stage: str) -> dict[str, float | None]:
        """Return overall and mean-class accuracy in percent."""
        owner, phase = stage.split("/")
        mixture = self.mixture if owner == "mixture" else Mixture({owner: self.mixture.experts[owner]})
        found = evaluate(mixture, self.pictures, self.runner)
        row = found.rankings.get(f"{owner}, phase {phase[-1]}", found.rankings[found.result])
        metrics = shot_accuracy(row.classes[:, 0], row.probabilities[:, 0], found.labels, self.counts)
        return {f"validation_{key}": metrics[key] for key in ("overall", "mean_class")}
