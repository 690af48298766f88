from lptpp.data.dataset import Note
from lptpp.data.sources.passed import PassedOver
from lptpp.data.sources.walk import PASSED_OVER


def notes(*paths: str) -> list[Note]:
    return [Note(PASSED_OVER, path, ".cr2") for path in paths]


def test_the_first_names_are_those_of_all_blocks() -> None:
    found = PassedOver.of(notes("/a/x/10.cr2", "/a/x/9.cr2"))
    found.add(iter(notes("/a/b.cr2", "/a/x/1.cr2")))
    found.add([])
    assert found.within("/a") == "4 .cr2 (b.cr2, x/1.cr2, x/9.cr2 and 1 more)"


def test_paths_without_a_common_folder_stay_whole() -> None:
    assert PassedOver.of(notes("/b/1.cr2", "a/2.cr2")).within("") == "2 .cr2 (/b/1.cr2, a/2.cr2)"


def test_a_file_is_counted_without_a_plural() -> None:
    assert PassedOver.of([Note(PASSED_OVER, "a/b.png", "broken link")]).within("a") == "1 broken link (b.png)"
