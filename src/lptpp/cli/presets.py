"""`lptpp presets`, `lptpp backbones` and `lptpp init`: what a run may start from."""

from pathlib import Path
from typing import Annotated

import typer

from lptpp.cli.arguments import console, log


def presets(
    preset: Annotated[str | None, typer.Argument(help="Print the header of this preset.", show_default=False)] = None,
) -> None:
    """List the settings that ship with the package, or print the header of one preset.

    The header describes the purpose of the preset, the hardware, the time and the score to expect, and the source of
    its values.

    **Examples**

    lptpp presets

    lptpp presets lpt_places
    """
    from lptpp.config.resolve import preset_header, presets, spaces

    if preset is not None:
        for line in preset_header(preset).splitlines():
            console.print(line)
        return
    found, searched = presets(), spaces()
    width = max(map(len, found | searched))
    console.print("Presets, for fit, data, sweep and init:")
    for name, headline in found.items():
        console.print(f"  {name:<{width}}  {headline}")
    console.print("Search spaces, for sweep --space:")
    for name, headline in searched.items():
        console.print(f"  {name:<{width}}  {headline}")


def backbones(
    pattern: Annotated[
        str | None,
        typer.Argument(help="Part of a name; * stands for anything. '*' lists all.", show_default=False),
    ] = None,
) -> None:
    """List pretrained backbones: kind, size, license of the weights, and whether they take prompts.

    Without a pattern, those that the package and its presets use. Models that take no prompts can be experts
    without prompts: set shared_prompts and group_prompts of the expert to 0. No weights are downloaded.

    **Examples**

    lptpp backbones

    lptpp backbones dinov3

    lptpp backbones 'vit_base*clip'
    """
    log.info("Loading timm and open_clip …")
    from lptpp.console.backbones import show_backbones

    show_backbones(console, pattern)


def init(
    preset: Annotated[str, typer.Argument(help="A preset; `lptpp presets` lists them.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="The settings file to write.", show_default=False)],
) -> None:
    """Write a commented copy of a preset to edit; an existing file is not overwritten.

    **Examples**

    lptpp init folder mine.yaml

    lptpp init sweeps/lptpp space.yaml     (a search space for `lptpp sweep`)
    """
    from lptpp.config.resolve import write_copy

    write_copy(preset, output)
    console.print(f"Wrote {output}.")
