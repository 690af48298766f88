"""Small files that ask for much memory or time, or for another program: each is refused with a reason, at once."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from tests.data.hostile_images import HOSTILE, MOST_MEGABYTES, MOST_SECONDS

MEASURE = """
import json, resource, sys, time
from pathlib import Path
from PIL import Image
from lptpp.data.decode import Decoding, image_size, try_decode
from lptpp.data.sizes import Enough
try_decode(Path(sys.argv[2]))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    before, start = peak(), time.process_time()
    image_size(path)
    reasons = [try_decode(path, how) for how in (Decoding(), Decoding(enough=Enough(shorter=32)))]
    refused = all(isinstance(one, str) for one in reasons)
    found[path.name] = [str(reasons), refused, time.process_time() - start, peak() - before]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, bool, float, float]]:
    """The reason, whether it was refused, seconds and megabytes of each file, decoded in one other process."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, content in HOSTILE.items():
        (folder / name).write_bytes(content())
    good = tmp_path_factory.mktemp("good") / "good.png"
    Image.new("RGB", (64, 64)).save(good)
    command = [sys.executable, "-c", MEASURE, folder, good]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_image_is_refused_at_once(name: str, found: dict[str, tuple[str, bool, float, float]]) -> None:
    reason, refused, seconds, megabytes = found[name]
    assert refused, reason
    assert seconds < MOST_SECONDS, reason
    assert megabytes < MOST_MEGABYTES, reason


@pytest.mark.parametrize("name", ["script.png", "script.eps", "metafile.wmf"])
def test_formats_that_other_programs_read_are_not_opened(
    name: str, found: dict[str, tuple[str, bool, float, float]]
) -> None:
    assert "not in a supported image format" in found[name][0]


def test_every_accepted_suffix_has_its_format() -> None:
    from lptpp.data.formats import FORMATS
    from lptpp.data.sources.walk import SUFFIXES

    Image.init()
    suffixes = {suffix for suffix in SUFFIXES if suffix not in (".heic", ".heif", ".hif")}  # an extra
    known = {Image.EXTENSION[suffix] for suffix in suffixes if suffix in Image.EXTENSION}  # AVIF: from Pillow 11.3 on
    assert known <= set(FORMATS)
