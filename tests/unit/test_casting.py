"""Casting: the source's own word for a voice, else the speaker's, else the document's, else the job's."""

from pathlib import Path

import pytest

from cluster_tts.casting import Cast
from cluster_tts.errors import JobError
from cluster_tts.model import Document, Paragraph, Role

DOCUMENT = Document("d", Path("d.txt"))
VOICES = {"ANNA": "nova", "Ben Ali": "onyx"}


def voice_of(role: Role, document: Document = DOCUMENT, voices: dict[str, str] = VOICES) -> str | None:
    [paragraph] = Cast.of(voices).voiced(document, [Paragraph("Words.", role)])
    assert paragraph.text == "Words."
    return paragraph.role.voice


@pytest.mark.parametrize("name", ["ANNA", "Anna", "anna"])
def test_a_speaker_is_found_in_any_case(name: str) -> None:
    assert voice_of(Role(speaker=name)) == "nova"


def test_what_the_source_itself_says_goes_first() -> None:
    assert voice_of(Role(speaker="ANNA", voice="echo")) == "echo"
    assert voice_of(Role(speaker="nobody known", voice="echo")) == "echo"


def test_text_without_a_speaker_has_the_document_s_voice_else_the_job_s() -> None:
    assert voice_of(Role(), Document("d", Path("d.txt"), voice="fable")) == "fable"
    assert voice_of(Role()) is None


def test_without_any_voices_everybody_has_the_document_s() -> None:
    assert voice_of(Role(speaker="ANNA"), Document("d", Path("d.srt"), voice="fable"), {}) == "fable"


def test_a_speaker_without_a_voice_is_named_with_what_to_set() -> None:
    with pytest.raises(JobError) as caught:
        voice_of(Role(speaker="Ana"))
    assert "speaker 'Ana' of 'd.txt' has no voice: set voices.Ana=..." in str(caught.value)
    assert "did you mean anna?" in str(caught.value)


def test_two_voices_for_one_speaker_are_refused() -> None:
    with pytest.raises(JobError, match="two voices for 'anna'"):
        Cast.of({"ANNA": "nova", "anna": "echo"})


def test_a_paragraph_that_needs_nothing_is_passed_through() -> None:
    paragraph = Paragraph("Words.", Role(heading=True))
    assert next(Cast.of(VOICES).voiced(DOCUMENT, [paragraph])) is paragraph
