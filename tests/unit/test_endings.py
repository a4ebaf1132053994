"""What the documents of a run add up to, and what a person is told to do about it."""

import pytest

from cluster_tts.endings import verdict_of
from cluster_tts.manifest import DocumentRow


@pytest.mark.parametrize(
    ("states", "failed", "postponed", "wanted"),
    [
        ("whole whole", True, False, ("whole", 0, None)),
        ("whole incomplete", True, False,
         ("incomplete", 3, "1 of 2 documents are not whole; --retry-failed speaks again what failed")),
        ("whole incomplete", False, False, ("incomplete", 3, "1 of 2 documents are not whole")),
        ("whole unreadable", True, False, ("incomplete", 3, "1 of 2 documents are not whole")),
        ("whole planned incomplete", True, False,
         ("interrupted", 75, "interrupted: 1 of 3 documents are whole; run the same command again to continue")),
        ("whole planned", False, True,
         ("interrupted", 75, "interrupted: 1 of 2 documents are whole; what has not been asked for yet is asked for "
                             "without --retry-failed")),
        ("", False, False,
         ("interrupted", 75, "no document is known; run the same command again to find them out")),
    ],
)  # fmt: skip
def test_what_documents_add_up_to(
    states: str, failed: bool, postponed: bool, wanted: tuple[str, int, str | None]
) -> None:
    rows = [DocumentRow(document=f"d{n}", source="", status=status) for n, status in enumerate(states.split())]
    assert verdict_of(rows, failed, postponed) == wanted


def test_a_document_without_its_video_is_a_loss_that_shows() -> None:
    rows = [
        DocumentRow(document=f"d{n}", source="", status="whole", error=error) for n, error in enumerate(["cut", None])
    ]
    assert verdict_of(rows) == ("incomplete", 3, "1 of 2 documents have their audio, but no video")
