"""Markdown: what is read aloud of it."""

from pathlib import Path
from textwrap import dedent

import pytest

from cluster_tts.documents import markdown
from cluster_tts.documents.markdown import paragraphs
from cluster_tts.errors import DocumentError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "text.md"


def spoken(path: Path, content: str) -> list[str]:
    path.write_text(dedent(content), encoding="utf-8")
    return [paragraph.text for paragraph in paragraphs(path)]


def test_headings_items_and_quotes_are_paragraphs_of_their_own(path: Path) -> None:
    content = """\
        # Title #
        Some
        text.

        Other
        -----
        - one
          still one
        - two
          1. deep

             more
        > said
        > she
        """
    assert spoken(path, content) == ["Title", "Some text.", "Other", "one still one", "two", "deep", "more", "said she"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("*soft* __loud__ ***both*** ~~gone~~ 2 * 3", "soft loud both gone 2 * 3"),
        ("Run `make *all*` now", "Run make *all* now"),
        ("See [the *map*](https://a.example/x 'title')", "See the map"),
        ("See [the map][1]\n\n[1]: https://a.example/x", "See the map"),
        ("See <https://user@a.example:80/x?y#z>.", "See a.example."),
        ("See https://a.example/x/y.html, or (http://b.example).", "See a.example, or (b.example)."),
        ("[https://a.example/x](https://a.example/x)", "a.example"),
        ("![a *red* boat](boat.png) sails", "a red boat sails"),
        ("[![logo](l.png)](https://a.example)", "logo"),
        ("fish &amp; chips&nbsp;&shy;&#8203;&hellip; \\*so\\*", "fish & chips … *so*"),
        ("one<br>two<BR />three", "one two three"),
        ("a <b>bold</b> H<sub>2</sub>O <!-- secret -->move", "a bold H2O move"),
        ("soft\nbreak  \nhard\\\nslash", "soft break hard slash"),
        ("名前は\nまだ無い", "名前はまだ無い"),
        ("True[^1], and `[^a]` too[^note].", "True, and [^a] too."),
        ("- [x] done", "done"),
    ],
)
def test_marks_and_addresses_are_not_spoken(path: Path, written: str, read: str) -> None:
    assert spoken(path, written) == [read]


def test_code_and_html_blocks_and_rulers_are_not_spoken(path: Path) -> None:
    content = """\
        before

        ```python
        fenced = 1
        ```

            indented = 2

        <div>
        html
        </div>

        <!-- a
        comment -->

        ***

        after
        """
    assert spoken(path, content) == ["before", "after"]


def test_footnotes_are_spoken_without_their_mark_and_bare_addresses_not(path: Path) -> None:
    content = "A[^1] B[^2]\n\n[^1]: Said twice.\n[^2]: And again.\n\n[^3]: https://a.example/x\n"
    assert spoken(path, content) == ["A B", "Said twice. And again."]


def test_tables_are_read_row_by_row(path: Path) -> None:
    content = """\
        | Day | Tide |
        | --- | ---: |
        | Monday | **high** |
        | Tuesday | it ebbs. |
        |  | none |
        |  |  |

        After.
        """
    assert spoken(path, content) == ["Day, Tide.", "Monday, high.", "Tuesday, it ebbs.", "none.", "After."]


@pytest.mark.parametrize("end", ["---", "..."])
def test_front_matter_is_skipped(path: Path, end: str) -> None:
    assert spoken(path, f"---\ntitle: x\n\ntags: [a, b]\n{end}\n\nStory.\n\n---\n\nEnd.") == ["Story.", "End."]


def test_a_scene_break_at_the_top_is_no_front_matter(path: Path) -> None:
    assert spoken(path, "---\n\nStory: one.\n\n---\n\nEnd.") == ["Story: one.", "End."]


def test_paragraphs_of_signs_are_left_out_unless_there_are_no_others(path: Path) -> None:
    assert spoken(path, "Word.\n\n· · ·\n\nMore.") == ["Word.", "More."]
    assert spoken(path, "· · ·") == ["· · ·"]


def test_what_is_too_large_to_be_held_is_refused_unread(tmp_path: Path) -> None:
    with (path := tmp_path / "a.md").open("wb") as file:
        file.truncate(5 * 2**30)
    with pytest.raises(DocumentError, match=r"larger than 20,000,000 bytes.*split it"):
        list(markdown.paragraphs(path))
