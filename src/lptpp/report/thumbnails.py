"""Small copies of images as data URIs."""

import base64
import io
import math
from collections.abc import Iterable

from PIL import Image

from lptpp.data.dataset import ImageReference
from lptpp.data.decode import Decoding, decode
from lptpp.data.sizes import Enough
from lptpp.report.gather import EvaluatedRun

LONGEST = 176  # pixels of the longer side: 88 on a high-density screen


def thumbnails(run: EvaluatedRun, images: Iterable[int]) -> dict[int, str]:
    """Return data URIs of those of a run's evaluated images that can be found and read, by their index in the run."""
    wanted = {(run.predictions.images[i], run.classes.names[run.predictions.labels[i]]): int(i) for i in images}
    found = {}
    if run.images is not None:
        for place, label in enumerate(run.images.labels):
            image = wanted.get((run.images.name(place), run.image_classes[label]))
            if image is not None and (source := thumbnail(run.images.images[place])) is not None:
                found[image] = source
    return found


def thumbnail(reference: ImageReference) -> str | None:
    """Return an image as a data URI of at most `LONGEST` pixels per side; None if it cannot be read."""
    try:
        image = decode(reference, Decoding(Enough(longer=LONGEST), math.inf))
    except Exception:  # Pillow raises almost anything on a damaged file
        return None
    image.thumbnail((LONGEST, LONGEST))
    return data_uri(image)


def data_uri(image: Image.Image) -> str:
    """Return an image as the data URI of a JPEG."""
    written = io.BytesIO()
    image.save(written, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"
