import pytest

from lptpp.evaluation.files import read_metrics, read_rows
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_csv, write_json


def test_what_was_written_is_read_back(tmp_path):
    write_json(tmp_path / "metrics.json", {"result": "mixture", "rows": {"mixture": {"few": None}}})
    write_csv(tmp_path / "a.csv", [{"class": 'comma, "quote"\nline', "n": 1}])
    assert read_metrics(tmp_path) == {"result": "mixture", "rows": {"mixture": {"few": None}}}
    assert read_rows(tmp_path / "a.csv") == [{"class": 'comma, "quote"\nline', "n": "1"}]


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"a,b\n1,2\n3\n", b"a,b\n1,2,3\n", b"a,b\n\xff,1\n"])
def test_an_empty_or_damaged_table_is_an_error(content, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.csv .*`lptpp evaluate {tmp_path}`"):
        read_rows(tmp_path / "a.csv")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"a\.csv .*lptpp evaluate"):
        read_rows(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"metrics\.json .*lptpp fit"):
        read_metrics(tmp_path)
