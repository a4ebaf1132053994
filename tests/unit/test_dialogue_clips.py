"""Dialogue: its clips are named by what is sent with it, and by nothing else."""

from pathlib import Path

from cluster_tts.documents import find
from cluster_tts.documents.reading import Reading
from cluster_tts.drafting import Drafting
from cluster_tts.job import ChunkingSettings, Job, ProviderSettings

TALK = "ANNA: Hello, how is it going?\n\nBEN: It is going on.\n\nANNA: And on.\n"


def clips(folder: Path, text: str = TALK, context: int = 0, **settings: object) -> list[str]:
    path = folder / "talk.txt"
    path.write_text(text)
    provider = {"name": "elevenlabs", "model": "eleven_v3", "voice": "rachel", "format": "mp3", **settings}
    job = Job(
        provider=ProviderSettings(**provider),  # type: ignore[arg-type]
        chunking=ChunkingSettings(join_paragraphs=True, max_characters=45, context_characters=context),
        voices={"ANNA": "a", "BEN": "b"},
    )
    [document] = find([str(path)], Reading.of(job))
    return [identity for _, identity in Drafting(job).chunks(document, ())]


def test_a_dialogue_is_named_by_what_is_sent_with_it(tmp_path: Path) -> None:
    said = clips(tmp_path)
    assert len(said) == 2
    assert clips(tmp_path, voice="george")[:1] == said[:1], "no turn of the first request has the job's voice"
    assert clips(tmp_path, options={"voice_settings": {"speed": 1.1}})[0] == said[0]
    assert clips(tmp_path, options={"settings": {"stability": 0.5}})[0] != said[0]
    assert clips(tmp_path, options={"seed": 3})[0] != said[0]


def test_only_so_much_context_counts_as_is_sent(tmp_path: Path) -> None:
    long = TALK.replace("And on.", f"And on. {'And on and on. ' * 20}")
    assert clips(tmp_path, long, context=300)[0] == clips(tmp_path, f"{long} And more.", context=300)[0]
    assert clips(tmp_path, long, context=300)[0] != clips(tmp_path, long)[0]
