import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lptpp.data import levels
from lptpp.data.decode import Decoding, decode
from tests.data.test_decode import saved


@pytest.fixture(autouse=True)
def nothing_warned_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(levels, "_warned", set())
    yield


def ramp(white: float, kind: str, folder: Path, suffix: str = "tif", **options: object) -> Path:
    """Save a ramp from 0 to `white` in eight steps."""
    values = np.linspace(0, white, 9).astype(kind)[None].repeat(3, 0)
    return saved(folder / f"{kind}-{white:g}.{suffix}", Image.fromarray(values), **options)


EIGHTHS = [round(255 * step / 8) for step in range(9)]
WHITES = [(255, "int32"), (255, "uint16"), (4095, "uint16"), (4095, "int32"), (65535, "uint16"), (65535, "int32")]
FLOATS = [(1, "float32"), (255, "float32"), (4095, "float32"), (65535, "float32"), (1e6, "float32"), (10**6, "int32")]


@pytest.mark.parametrize(("white", "kind"), WHITES + FLOATS)
def test_a_full_ramp_of_any_depth_becomes_a_full_ramp_of_8_bits(white: float, kind: str, tmp_path: Path) -> None:
    found = np.asarray(decode(ramp(white, kind, tmp_path)))[0, :, 0].astype(int)
    assert np.abs(found - EIGHTHS).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_what_is_assumed_is_told_once_and_what_is_certain_not_at_all(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "lptpp"):
        decode(ramp(65535, "uint16", tmp_path, suffix))
        decode(ramp(1, "float32", tmp_path))
        assert not caplog.messages
        for _ in range(2):
            decode(ramp(4000, "uint16", tmp_path, suffix))
            decode(ramp(1e6, "float32", tmp_path))
            decode(ramp(2e6, "float32", tmp_path))
    assert len(caplog.messages) == 2
    assert caplog.messages[0].endswith(
        f"uint16-4000.{suffix} has values up to 4000 in more than 8 bits: 4095 is taken as white, in similar images"
        " too. If another value is white, set data.white_level."
    )


def test_the_setting_and_the_tags_of_a_tiff_go_before_guesses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    by_tag = ramp(2000, "uint16", tmp_path, tiffinfo={281: 2000})
    assert np.asarray(decode(by_tag))[0, -1, 0] == 255
    plain = ramp(1000, "uint16", tmp_path)
    assert np.asarray(decode(plain, Decoding(white=4000)))[0, -1, 0] == round(255 / 4)
    assert np.asarray(decode(plain, Decoding(white=500)))[0, -1, 0] == 255  # clipped
    assert not caplog.messages


def twelve_bit_tiff(path: Path, values: list[int]) -> Path:
    """Write a TIFF of one row with 12 bits per sample, which Pillow reads but does not write."""
    bits = "".join(f"{value:012b}" for value in values)
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    entries = [
        (256, len(values)),
        (257, 1),
        (258, 12),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 1),
        (279, len(data)),
    ]
    start = 8 + len(data) + len(data) % 2
    directory = b"".join(
        tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, value in entries
    )
    body = data + bytes(len(data) % 2) + len(entries).to_bytes(2, "little") + directory + bytes(4)
    path.write_bytes(b"II*\0" + start.to_bytes(4, "little") + body)
    return path


def test_a_tiff_of_12_bits_is_scaled_by_4095_even_if_it_is_dark(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = np.asarray(decode(twelve_bit_tiff(tmp_path / "a.tif", [0, 100, 200, 1024])))
    assert found[0, :, 0].tolist() == [0, 6, 12, 64]
    assert not caplog.messages


def test_infinite_and_missing_values_do_not_darken_the_others(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 0.5, 1.0]], np.float32)
    found = np.asarray(decode(saved(tmp_path / "a.tif", Image.fromarray(values))))
    assert found[0, :, 0].tolist() == [0, 255, 0, 128, 255]
    empty = saved(tmp_path / "b.tif", Image.fromarray(np.full((2, 2), np.nan, np.float32)))
    assert np.asarray(decode(empty)).max() == 0


def test_a_little_overshoot_is_clipped(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.5, 1.1]], np.float32)
    found = np.asarray(decode(saved(tmp_path / "a.tif", Image.fromarray(values))))
    assert found[0, :, 0].tolist() == [0, 128, 255]
