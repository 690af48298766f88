"""The files that the cells of a table mean: relative paths, backslashes of Windows, and names without a suffix."""

import re
from pathlib import Path

from lptpp.data.sources.walk import is_image
from lptpp.utils.errors import UserError
from lptpp.utils.text import either

URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class Locator:
    """Finds image files in a folder by what a table calls them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[Path, dict[str, list[str]]] = {}  # by folder: images by the name without its suffix

    def __call__(self, name: str, place: str) -> Path:
        """Return the path of a file, which need not exist; `place` names the cell in messages.

        A name without the suffix of an image means the only image whose name continues with a suffix.

        Raises:
            UserError: the name is a URL, or several images have this name with a suffix.
        """
        if URL.match(name):
            raise UserError(f"{place} has the URL {name}: download the images, and write paths of files.")
        path = self.folder / Path(name).expanduser()
        if "\\" in name and not path.is_file():
            path = self.folder / name.replace("\\", "/")
        return path if is_image(path.name) else self._with_suffix(path, place)

    def _with_suffix(self, path: Path, place: str) -> Path:
        images = self._images(path.parent).get(path.name, [])
        if not images or path.is_file():
            return path
        if len(images) > 1:
            raise UserError(f"{place}: {path} may be {either(sorted(images))}: write the suffix.")
        return path.parent / images[0]

    def _images(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._names:
            found: dict[str, list[str]] = {}
            for file in folder.iterdir() if folder.is_dir() else ():
                if is_image(file.name):
                    found.setdefault(file.stem, []).append(file.name)
            self._names[folder] = found
        return self._names[folder]
