"""Small copies of pictures, to be carried inside a page."""

import base64
import io
from collections.abc import Iterable

from lptpp.data.dataset import ImageReference
from lptpp.data.decode import decode
from lptpp.report.gather import Run

LONGEST = 176  # pixels of the longer side: 88 on a screen of double density


def thumbnails(run: Run, images: Iterable[int]) -> dict[int, str]:
    """Return data URIs of those of a run's evaluated images that can be found and read, by their place in the run."""
    wanted = {(run.predictions.images[i], run.classes.names[run.predictions.labels[i]]): int(i) for i in images}
    found = {}
    if run.pictures is not None:
        for place, label in enumerate(run.pictures.labels):
            image = wanted.get((run.pictures.name(place), run.picture_classes[label]))
            if image is not None and (picture := thumbnail(run.pictures.images[place])) is not None:
                found[image] = picture
    return found


def thumbnail(reference: ImageReference) -> str | None:
    """Return a picture as a data URI of at most `LONGEST` pixels a side; None where it cannot be read."""
    try:
        picture = decode(reference)
    except Exception:  # a broken file makes Pillow's readers raise nearly anything
        return None
    picture.thumbnail((LONGEST, LONGEST))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"
