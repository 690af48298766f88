from lptpp.utils.memory import bytes_to_gb, gb_to_bytes


def test_a_gigabyte_is_two_to_the_thirty_bytes() -> None:
    assert gb_to_bytes(0.5) == 2**29
    assert gb_to_bytes(1e-9) == 1
    assert bytes_to_gb(3 * 2**30) == 3.0
