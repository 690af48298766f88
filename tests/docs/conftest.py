"""The extensions of the site are modules of their own: their folder is put where imports are looked for."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "_ext"))
