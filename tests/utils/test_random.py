import numpy as np
import pytest

from lptpp.utils.random import key, keys, uniforms

MASK = 2**64 - 1


def split_mix(state: int, count: int) -> list[int]:
    """SplitMix64 as published, one number after the other."""
    found = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        found.append(z ^ (z >> 31))
    return found


def test_the_literal_form_gives_the_published_numbers() -> None:
    assert split_mix(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("base", [0, 1, 1234567, 2**63 - 1])
def test_keys_and_uniforms_are_those_of_the_literal_form(base: int) -> None:
    drawn = split_mix(base, 9)
    assert keys(base, np.arange(9)).tolist() == [bits >> 1 for bits in drawn]
    assert uniforms(np.array([5, base]), 9)[1].tolist() == [(bits >> 11) / 2**53 for bits in drawn]


def test_a_key_depends_on_its_number_alone() -> None:
    whole = keys(7, np.arange(1000))
    assert keys(7, np.array([999, 3])).tolist() == [whole[999], whole[3]]
    assert len(set(whole.tolist())) == 1000
    assert not set(whole.tolist()) & set(keys(8, np.arange(1000)).tolist())


def test_uniforms_of_keys_of_draws_are_uniform_and_independent() -> None:
    found = uniforms(keys(key(0, "a"), np.arange(20_000)), 4)  # 20,000 draws, 4 numbers each
    assert found.min() >= 0 and found.max() < 1
    shares = np.stack([np.histogram(column, 10, (0, 1))[0] for column in found.T]) / len(found)
    assert shares == pytest.approx(np.full((4, 10), 0.1), abs=0.01)  # five standard deviations
    beside = np.corrcoef(np.concatenate([found.T, np.roll(found, 1, axis=0).T]))
    assert np.abs(beside - np.eye(8)).max() < 0.04


def test_a_key_of_words_depends_on_seed_and_every_part_in_order() -> None:
    found = [key(0, "a", 1), key(1, "a", 1), key(0, 1, "a"), key(0, "a"), key(0, "a", 2)]
    assert len(set(found)) == len(found)
    assert all(0 <= one < 2**63 for one in found)
    assert key(0, "a", 1) == found[0]
