"""The experts' outputs over a whole set of pictures, computed once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from lptpp.adaptation.encoder import AdaptedEncoder
from lptpp.data.draws import Draw
from lptpp.data.loader import Views, batches
from lptpp.data.pictures import Pictures
from lptpp.data.transforms import each, evaluation_transform
from lptpp.expert import Expert, Judgement
from lptpp.mixture import Mixture
from lptpp.progress import progress_bar


@dataclass(frozen=True)
class Runner:
    """How frozen models run over pictures: where, how precisely, how many at once."""

    device: torch.device
    autocast: Callable[[], AbstractContextManager] = nullcontext
    batch_size: int = 256
    workers: int = 0

    def judgements(
        self, mixture: Mixture, views: Views, draws: Sequence[Draw], description: str
    ) -> Iterator[tuple[dict[str, Judgement], torch.Tensor, torch.Tensor]]:
        """Yield what every expert says, on the device, with labels (B,) and indices (B,), batch by batch."""
        mixture.to(self.device)
        for images, labels, indices in self._batches(views, draws, description):
            with self.autocast():
                said = mixture.judge({name: view.to(self.device) for name, view in images.items()})
            yield said, labels, indices

    @torch.no_grad()
    def features(self, expert: Expert, pictures: Pictures, description: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features (n, F) of an expert's backbone as it came, nothing added, and the labels (n,)."""
        looks = {"all": each(evaluation_transform(expert.backbone.preprocessing))}
        views = Views(pictures, pictures.split.labels, looks)
        frozen = AdaptedEncoder(expert.encoder.tower).to(self.device)
        found, all_labels = [], []
        for images, labels, _ in self._batches(views, each_once(pictures), description):
            with self.autocast():
                found.append(frozen.query_feature(images["all"].to(self.device)).float().cpu())
            all_labels.append(labels)
        return torch.cat(found), torch.cat(all_labels)

    def _batches(self, views: Views, draws: Sequence[Draw], description: str) -> Iterator:
        with progress_bar(description, len(draws)) as bar:
            for batch in batches(views, draws, self.batch_size, self.workers):
                yield batch
                bar.advance(len(batch[1]))


def each_once(pictures: Pictures) -> list[Draw]:
    """Return the draws that take every picture once, in order, with no randomness to speak of."""
    return [(index, 0) for index in range(len(pictures))]


def evaluation_views(mixture: Mixture, pictures: Pictures) -> Views:
    """Return pictures as every expert wants them for looking, without augmentation."""
    transforms = {name: each(evaluation_transform(e.backbone.preprocessing)) for name, e in mixture.experts.items()}
    return Views(pictures, pictures.split.labels, transforms)
