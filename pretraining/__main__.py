"""Commands to pretrain the bundled towers: `python -m pretraining --help`."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer

from lptpp.backbones.card_files import BUNDLED
from lptpp.data.dataset import ImageDataset
from lptpp.data.sources.emoji import emoji as emoji_collection
from lptpp.data.sources.folder import folder as folder_collection
from lptpp.utils.digest import file_digest
from pretraining.measure import (
    EMOJI_TEMPLATES,
    TEMPLATES,
    Measurement,
    exactly_one,
    held_out_photos,
    load_tower,
    packed_collection,
)
from pretraining.names import collect_names, imagenet_names
from pretraining.pack import write_pack
from pretraining.settings import read_settings
from pretraining.ship import BUNDLED_FOLDER, ship_tower
from pretraining.sources import emoji, emoji_entries, photos, tiny_imagenet
from pretraining.train import train_tower

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def pack(
    output: Annotated[Path, typer.Argument(help="Folder to write.")],
    tiny: Annotated[list[Path], typer.Option(help="Archives of Tiny-ImageNet at 48 px.")],
    photo: Annotated[Path, typer.Option(help="Archive of one photo for each ImageNet class.")],
    emojis: Annotated[list[Path], typer.Option(help="Unpacked npm packages emoji-datasource-VENDOR.")],
    wordnet: Annotated[Path, typer.Option(help="WordNet 3.0's data.noun, from the npm package WNdb@3.0.1.")],
) -> None:
    """Pack images and names into a few files that can be copied to another machine."""
    for number, archive in enumerate(tiny):
        write_pack(output / f"tiny_imagenet_{number}.safetensors", tiny_imagenet([archive]))
    write_pack(output / "tiny_imagenet_validation.safetensors", tiny_imagenet(tiny, "val"))
    write_pack(output / "photos.safetensors", photos(photo, held_out=False))
    write_pack(output / "photos_held_out.safetensors", photos(photo, held_out=True))
    write_pack(output / "emoji.safetensors", emoji(emojis))
    collect_names(wordnet, emoji_entries(emojis[0])).write(output / "names.json")


@app.command()
def train(
    settings: Annotated[Path, typer.Argument(help="For example pretraining/visual.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value settings.")] = None,
    pack: Annotated[Path, typer.Option(help="Folder written by `pack`.")] = Path("runs/pack"),
    work: Annotated[Path, typer.Option(help="Folder for cached crops and the training state.")] = Path(
        "runs/pretraining"
    ),
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train one tower; resumes automatically if `work` contains its state."""
    path = train_tower(read_settings(settings, overrides or []), pack, work, torch.device(device))
    typer.echo(f"Wrote {path}")


@app.command()
def ship(
    settings: Annotated[Path, typer.Argument(help="The settings of the training.")],
    weights: Annotated[Path, typer.Argument(help="Weights written by `train`.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value settings, as in training.")] = None,
    average: Annotated[Path | None, typer.Option(help="Weights of another run to average with.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for the file.")] = BUNDLED_FOLDER,
) -> None:
    """Write a tower with its stem to one file of float16 weights with a card, as the package loads it."""
    runs = [weights] if average is None else [weights, average]
    path = ship_tower(read_settings(settings, overrides or []), runs, output)
    where = "DIGESTS of lptpp.backbones.card_files"
    typer.echo(f"Wrote {path}. A bundled file needs its sha256 in {where}: {file_digest(path)}")


@app.command()
def measure(
    output: Annotated[Path, typer.Argument(help="JSON file for the figures.")],
    pack: Annotated[Path, typer.Option(help="Folder written by `pack`.")] = Path("runs/pack"),
    work: Annotated[Path, typer.Option(help="Folder for cached features.")] = Path("runs/pretraining/features"),
    folder: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER with train/ and test/, for more probes.")
    ] = None,
    per_class: Annotated[int, typer.Option(help="Training images per class for the probe on Tiny-ImageNet.")] = 500,
    towers: Annotated[Path, typer.Option(help="Folder of the towers.")] = BUNDLED_FOLDER,
) -> None:
    """Measure the towers and their stems; the features of each data set are cached in `work`."""
    measured = [Measurement(load_tower(towers / f"{name}.safetensors"), work) for name in BUNDLED.values()]
    figures: dict[str, float] = {}
    photos = held_out_photos(pack)
    for one in measured:
        _note(output, figures, one, one.zero_shot("held-out photos", photos, imagenet_names(), TEMPLATES))
    for name, collection in _collections(pack, folder or [], per_class):
        for one in measured:
            templates = EMOJI_TEMPLATES if name == "Twemoji" else TEMPLATES
            _note(output, figures, one, one.zero_shot(name, collection.test, collection.class_names, templates))
            _note(output, figures, one, one.probes(name, collection))
        figures[f"{name}: exactly one of both probes right"] = round(exactly_one(*measured, name), 2)
        output.write_text(json.dumps(figures, indent=2))


def _collections(pack: Path, folders: list[str], per_class: int) -> Iterator[tuple[str, ImageDataset]]:
    yield "Twemoji", emoji_collection(0.3, 0)
    for name, _, path in (one.partition("=") for one in folders):
        yield name, folder_collection(path, 0.2, 0)
    yield "Tiny-ImageNet", packed_collection(pack, per_class)


def _note(output: Path, figures: dict[str, float], one: Measurement, found: Iterable[tuple[str, float]]) -> None:
    for name, value in found:
        figures[f"{one.backbone.name}, {name}"] = round(value, 2)
        output.write_text(json.dumps(figures, indent=2))
        typer.echo(f"{one.backbone.name}, {name}: {value:.1f}")


if __name__ == "__main__":
    app()
