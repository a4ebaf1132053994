"""What a source leads to, in which order, and under which name."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster_tts.documents import find
from cluster_tts.errors import JobError

Make = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes files, each with a word in it, in an empty current folder."""
    monkeypatch.chdir(tmp_path)

    def make(*paths: str) -> None:
        for path in map(Path, paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("word")

    return make


def names(*sources: str) -> list[str]:
    return [document.name for document in find(sources)]


def refusal(*sources: str) -> str:
    with pytest.raises(JobError) as caught:
        find(sources)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is found


def test_a_folder_is_searched_to_the_bottom_for_known_suffixes_in_any_case(make: Make) -> None:
    make("in/a.txt", "in/b/c.MD", "in/b/d/e.Markdown", "in/cover.png", "in/LICENSE")
    assert names("in") == ["a", "b__c", "b__d__e"]


def test_hidden_files_and_folders_are_skipped_unless_they_are_the_source(make: Make) -> None:
    make(".in/a.txt", ".in/.b.txt", ".in/.git/c.txt")
    assert names(".in") == ["a"]
    assert names(".in/.b.txt") == ["_b"]


def test_a_file_without_suffix_is_text_when_it_is_given_itself(make: Make) -> None:
    make("README")
    assert names("README") == ["README"]


def test_a_glob_is_expanded_with_any_number_of_folders_for_two_stars(make: Make) -> None:
    make("in/a.txt", "in/b/a-1.txt", "in/b/c/a-2.txt", "in/b/c/b.txt", "in/b/c/a.pdf", "in/.d/a-3.txt")
    assert names("in/**/a*") == ["a", "b__a-1", "b__c__a-2"]
    assert names("in/*/a*") == ["b__a-1"]
    assert names("in/**") == names("in")
    assert names("in/[ab].txt") == ["a"]


def test_a_path_that_exists_is_no_glob(make: Make) -> None:
    make("[draft].txt", "d.txt")
    assert names("[draft].txt") == ["[draft]"]


def test_a_glob_in_the_current_folder(make: Make) -> None:
    make("a.txt", "b/c.txt")
    assert names("*.txt") == ["a"]
    assert names("**/*.txt") == ["a", "b__c"]


def test_numbers_are_counted_not_spelled(make: Make) -> None:
    make(*(f"in/part-{part}/chapter-{chapter}.txt" for part in (10, 2) for chapter in (11, 9, 1)), "in/Part-1.txt")
    assert [path.removeprefix("part-") for path in names("in")] == [
        "Part-1",
        *("2__chapter-1", "2__chapter-9", "2__chapter-11"),
        *("10__chapter-1", "10__chapter-9", "10__chapter-11"),
    ]


def test_sources_stay_in_the_order_given(make: Make) -> None:
    make("b.txt", "in/a.txt", "in/c.txt")
    assert names("b.txt", "in") == ["b", "a", "c"]


def test_a_document_is_read_where_it_was_found(make: Make) -> None:
    make("in/a.txt")
    assert find(["in"])[0].source == Path("in/a.txt")


def test_a_loop_of_links_ends(make: Make) -> None:
    make("in/a.txt", "in/b/c.txt")
    Path("in/b/up").symlink_to("..", target_is_directory=True)
    Path("in/self").symlink_to("self")
    assert names("in") == names("in/**/*.txt") == ["a", "b__c"]


# What is refused


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("missing.txt", "'missing.txt' does not exist"),
        ("", "a source is empty"),
        ("https://host/texts", "'https://host/texts' cannot be used as storage"),
        ("empty", "'empty' has nothing to speak"),
        ("empty/*.txt", "'empty/*.txt' matches nothing that can be spoken"),
        ("nowhere/*.txt", "'nowhere' cannot be read: No such file"),
        ("empty/book.pdf", "'empty/book.pdf' cannot be read: what can be read is .txt, .md, .markdown, "),
        ("empty/book.pdf", ".parquet and files without a suffix"),
        ("pipe", "'pipe' is neither a file nor a folder"),
    ],
)
def test_a_source_that_leads_nowhere_is_named(make: Make, source: str, wanted: str) -> None:
    make("empty/book.pdf")
    os.mkfifo("pipe")
    assert wanted in refusal(source)


def test_no_sources_are_refused() -> None:
    assert "no sources" in refusal()


def test_an_unreadable_folder_is_named(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("in/a.txt", "in/locked/b.txt")
    scandir = os.scandir

    def locked(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert "'in/locked' cannot be read: Permission denied" in refusal("in")


def test_a_file_reached_twice_is_named_with_both_sources(make: Make) -> None:
    make("in/a.txt")
    Path("link.txt").symlink_to("in/a.txt")
    assert "'in/a.txt' is given twice, by 'in' and by 'in/*.txt'" in refusal("in", "in/*.txt")
    twice = "'link.txt' (it is 'in/a.txt' by another name) is given twice, by 'in' and by 'link.txt'"
    assert twice in refusal("in", "link.txt")


# Names


def both_ways(*sources: str) -> dict[str, str]:
    """Name by path, which the order of sources must not change."""
    there = {str(document.source): document.name for document in find(sources)}
    assert there == {str(document.source): document.name for document in find(sources[::-1])}
    return there


def test_the_suffix_is_kept_where_names_clash(make: Make) -> None:
    make("in/a.txt", "in/a.md", "in/b.txt")
    assert both_ways("in/a.txt", "in/a.md", "in/b.txt") == {"in/a.txt": "a.txt", "in/a.md": "a.md", "in/b.txt": "b"}


def test_a_kept_suffix_does_not_take_the_name_of_another(make: Make) -> None:
    make("a.txt", "a.md", "a.txt.txt")
    there = both_ways("a.txt", "a.md", "a.txt.txt")
    assert there["a.txt.txt"] == "a.txt"
    assert len(set(there.values())) == 3


def test_the_folder_is_put_before_where_the_suffix_does_not_help(make: Make) -> None:
    make("x/a.txt", "y/a.txt")
    assert both_ways("x/a.txt", "y/a.txt") == {"x/a.txt": "x__a", "y/a.txt": "y__a"}


def test_a_digest_tells_apart_what_nothing_else_does(make: Make) -> None:
    make("1/x/a.txt", "2/x/a.txt")
    there = both_ways("1/x/a.txt", "2/x/a.txt")
    assert len(set(there.values())) == 2
    assert all(name.startswith("x__a-") and len(name) == len("x__a-") + 8 for name in there.values())


def test_names_that_differ_in_case_or_composition_clash(make: Make) -> None:
    make("in/Caf\u00e9.txt", "in/cafe\u0301.md")
    assert names("in") == ["Caf\u00e9.txt", "caf\u00e9.md"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a:b*c.txt", "a_b_c"),
        ("a\\b\n.txt", "a_b_"),
        ("...txt", "_"),
        (".txt", "_txt"),
        (" a. .txt", "_a_"),
        ("..a.txt", "_a"),
        ("a\udcff.txt", "a_"),
        ("a\u202eb.txt", "a_b"),
        ("a.wav.txt", "a_wav"),
        ("a.JSON.txt", "a_JSON"),
        ("a.mp4.m4b.txt", "a.mp4_m4b"),
        ("a.wav.b.txt", "a.wav.b"),
        ("wav.txt", "wav"),
    ],
)
def test_a_name_is_a_file_name_anywhere(make: Make, file: str, name: str) -> None:
    make(file)
    assert names(file) == [name]


def test_no_name_is_that_of_another_documents_file(make: Make) -> None:
    make("in/a.txt", "in/a.wav.txt", "in/a_wav.txt", "in/b.srt", "in/b.txt")
    assert names("in") == ["a", "a.wav.txt", "a_wav.txt", "b_srt", "b.txt"]


def test_names_in_one_table_are_the_same_wherever_it_lies(make: Make) -> None:
    make("1/x/a.txt", "2/x/a.txt")
    for folder in "1/x", "2/x":
        Path(folder, "t.csv").write_text("document,text\nA,One.\na,Two.\n")
    first, second = names("1/x/t.csv"), names("2/x/t.csv")
    assert first == second
    assert len(set(first)) == 2
    together = names("1/x/t.csv", "2/x/t.csv")
    assert len({name.casefold() for name in together}) == 4


def test_a_long_name_is_cut_between_characters_and_stays_unique(make: Make) -> None:
    make(*(f"in/{'深' * 80}{end}.txt" for end in "ab"))
    first, second = names("in")
    assert first != second
    assert max(len(first.encode()), len(second.encode())) <= 150
    assert first.startswith("深" * 40)
