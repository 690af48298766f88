from random import Random

import numpy as np

from lptpp.utils.arrays import read_arrays, write_arrays

ARRAYS = {"a": np.arange(6, dtype=np.int64).reshape(2, 3), "b": np.ones(3, np.float32)}


def test_arrays_are_read_as_written(tmp_path):
    write_arrays(tmp_path / "x", {"a": ARRAYS["a"][:, ::2], "b": ARRAYS["b"]}, {"folder": "é"})
    arrays, about = read_arrays(tmp_path / "x")
    assert about == {"folder": "é"}
    assert arrays["a"].tolist() == [[0, 2], [3, 5]] and arrays["b"].dtype == np.float32


def test_a_changed_byte_anywhere_is_as_good_as_no_file(tmp_path):
    path, draw = tmp_path / "x", Random(0)
    write_arrays(path, ARRAYS, {"folder": "here"})
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        found = read_arrays(path)
        if found is not None:  # a space of the header
            assert found[1] == {"folder": "here"}
            assert all(np.array_equal(found[0][name], ARRAYS[name]) for name in ARRAYS)
    path.write_bytes(content[:-1])
    assert read_arrays(path) is None
    path.unlink()
    assert read_arrays(path) is None
