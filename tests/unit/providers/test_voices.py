"""One provider in many voices and at many speeds, over the sockets of one."""

from pathlib import Path
from typing import ClassVar

import pytest

from cluster_tts.clips import clip_id
from cluster_tts.errors import JobError
from cluster_tts.job import ProviderSettings
from cluster_tts.model import USUAL, Receipt, Speech, Turn, Utterance
from cluster_tts.providers import make, provider_class, sound_identity, speaking
from cluster_tts.providers.voices import Voices

REMOTE = {
    "openai": ProviderSettings(name="openai", model="tts-1", voice="alloy"),
    "elevenlabs": ProviderSettings(name="elevenlabs", model="eleven_v3", voice="a", format="mp3"),
    "cartesia": ProviderSettings(name="cartesia", model="sonic-3.5", voice="a"),
    "replicate": ProviderSettings(
        name="replicate", model="minimax/speech-2.6-turbo", voice="a", inputs={"text": "text", "voice": "voice_id"}
    ),
}
remote = pytest.mark.parametrize("name", sorted(REMOTE))


@remote
async def test_voices_of_one_server_share_its_connections(name: str) -> None:
    first = make(REMOTE[name])
    voices = Voices(first, REMOTE[name])
    other = voices.of(Speech("another"))
    assert voices.of(USUAL) is first
    assert voices.of(Speech(REMOTE[name].voice)) is first
    assert voices.of(Speech("another")) is other is not first
    assert other._server is first._server  # type: ignore[attr-defined]
    assert other._settings.voice == "another"  # type: ignore[attr-defined]
    await voices.aclose()


@remote
async def test_a_passage_is_that_of_all_voices(name: str) -> None:
    first = make(REMOTE[name])
    first.passage = passage = lambda _: None  # type: ignore[assignment, misc, return-value]
    assert Voices(first, REMOTE[name]).of(Speech("another")).passage is passage


@pytest.mark.parametrize(
    ("settings", "speed", "asked"),
    [
        (REMOTE["openai"], 1.15, {"speed": 1.15}),
        (REMOTE["elevenlabs"], 1.15, {"voice_settings": {"speed": 1.15}}),
        (REMOTE["cartesia"], 1.15, {"generation_config": {"speed": 1.15}}),
        (ProviderSettings(name="espeak", voice="de"), 1.2, {"speed": 210}),
        (ProviderSettings(name="tone"), 1.2, {"characters_per_second": 18.0}),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_a_provider_is_asked_to_speak_faster_in_its_own_words(
    settings: ProviderSettings, speed: float, asked: dict[str, object]
) -> None:
    faster = speaking(settings, Speech(speed=speed))
    assert faster.options == asked
    assert settings.options == {}, "the job's own stay as they are"
    assert provider_class(settings.name).fastest(settings) >= speed
    make(faster)


def test_what_is_fast_already_is_asked_for_no_more_than_there_is() -> None:
    settings = ProviderSettings(
        name="elevenlabs", model="m", voice="v", options={"voice_settings": {"speed": 1.1, "style": 0.3}}
    )
    assert provider_class("elevenlabs").fastest(settings) == pytest.approx(1.2 / 1.1)
    assert speaking(settings, Speech(speed=1.2)).options == {"voice_settings": {"speed": 1.2, "style": 0.3}}


@pytest.mark.parametrize(
    "settings",
    [
        ProviderSettings(name="hibari"),
        ProviderSettings(name="cartesia", model="sonic-2", voice="v"),
        ProviderSettings(name="cartesia", model="sonic-3.5", voice="v", options={"speed": "fast"}),
        REMOTE["replicate"],
    ],
    ids=str,
)
def test_some_cannot_be_asked(settings: ProviderSettings) -> None:
    assert provider_class(settings.name).fastest(settings) == 1.0


def test_only_the_model_for_dialogue_takes_one() -> None:
    found = provider_class("elevenlabs").dialogue(REMOTE["elevenlabs"])
    assert found is not None
    assert (found.characters, found.voices) == (2_000, 10)
    other = ProviderSettings(name="elevenlabs", model="eleven_flash_v2_5", voice="a")
    assert provider_class("elevenlabs").dialogue(other) is None
    assert provider_class("openai").dialogue(REMOTE["openai"]) is None


class OfOnesOwn:
    """A provider that does not inherit from ours."""

    embedded: ClassVar[bool] = True
    characters_per_second: ClassVar[float] = 15.0

    def __init__(self, settings: ProviderSettings) -> None:
        if settings.voice == "none":
            raise JobError("no such voice")
        self.voice = settings.voice

    @classmethod
    def revision(cls, settings: ProviderSettings) -> str:
        return "1"

    @classmethod
    def canonical(cls, settings: ProviderSettings) -> ProviderSettings:
        return settings

    async def prepare(self) -> None: ...

    async def speak(self, utterance: Utterance, target: Path) -> Receipt:
        return Receipt()

    async def voices(self) -> tuple[()]:
        return ()

    async def aclose(self) -> None: ...


async def test_a_class_of_one_s_own_is_made_for_each_voice() -> None:
    settings = ProviderSettings(name=f"{__name__}:OfOnesOwn", voice="low")
    voices = Voices(make(settings), settings)
    assert [voices.of(Speech(voice)).voice for voice in (None, "high")] == ["low", "high"]  # type: ignore[attr-defined]
    with pytest.raises(JobError, match="no such voice"):
        voices.of(Speech("none"))
    await voices.aclose()


def test_what_is_not_sent_with_a_dialogue_does_not_decide_how_it_sounds() -> None:
    provider = provider_class("elevenlabs")
    options = {"seed": 1, "settings": {"stability": 0.5}, "voice_settings": {"speed": 1.1}, "enable_logging": True}
    settings = ProviderSettings(name="elevenlabs", model="eleven_v3", voice="a", options=options)
    spoken, talked = provider.sent(settings, dialogue=False), provider.sent(settings, dialogue=True)
    assert (talked.voice, set(talked.options)) == (None, {"seed", "settings", "enable_logging"})
    assert (spoken.voice, set(spoken.options)) == ("a", {"seed", "voice_settings", "enable_logging"})


def test_each_voice_and_speed_and_dialogue_is_a_clip_of_its_own() -> None:
    def name(speech: Speech) -> str:
        settings, revision = sound_identity(speaking(REMOTE["elevenlabs"], speech))
        return clip_id(settings, revision, "One.\nTwo.", turns=speech.turns)

    turns = (Turn("One.", "a"), Turn("Two.", "b"))
    spoken = [USUAL, Speech("b"), Speech(speed=1.1), Speech(turns=turns), Speech(turns=turns[::-1])]
    assert len({name(speech) for speech in spoken}) == len(spoken)
    assert name(Speech("a")) == name(USUAL), "the job's own voice by its name is the same sound"
