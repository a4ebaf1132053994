"""What holds for the providers of this package beyond the contract: formats, keys, refusals, and what is imported."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from cluster_tts.checking import believe, probe
from cluster_tts.containers.sniffing import container
from cluster_tts.emulator import EMULATORS
from cluster_tts.emulator.server import Emulator
from cluster_tts.emulator.speech import digest_of, read_back_file
from cluster_tts.errors import ChunkError, JobError
from cluster_tts.job import ProviderSettings
from cluster_tts.model import Utterance
from cluster_tts.providers import PROVIDERS, cartesia, elevenlabs, make, openai, provider_class, replicate
from cluster_tts.providers.base import Provider
from tests.provider.conftest import KEY, NEEDS, OWN, ROOT, Emulate, Speak, job_over
from tests.provider.test_contract import BAND, TEXT, run_python

pytestmark = pytest.mark.skipif(OWN is not None, reason="PROVIDER names one of one's own")

FORMATS = {
    "cartesia": [
        *("wav", "wav_44100", "wav_pcm_f32le_48000", "wav_pcm_mulaw_8000", "raw", "raw_pcm_f32le_22050"),
        *("raw_pcm_mulaw_8000", "raw_pcm_alaw_16000"),
        *(f"mp3_{rate}_{kbps}" for rate in cartesia.RATES for kbps in (32, 128)),
    ],
    "elevenlabs": [*elevenlabs.SHORT_FORMATS, *elevenlabs.FORMATS],
    "openai": list(openai.FORMATS),
    "replicate": list(replicate.FORMATS),
    "tone": ["wav", "flac"],
}
CONTRACT = str(ROOT / "tests/provider/test_contract.py")
CONTAINERS = {"opus": "ogg"}  # of a file with this ending

emulated = pytest.mark.parametrize("name", EMULATORS)


@pytest.mark.parametrize(("name", "form"), [(name, form) for name, forms in FORMATS.items() for form in forms])
async def test_each_format_is_what_was_asked_for_and_what_the_name_of_the_clip_says(
    settings: ProviderSettings, form: str, tmp_path: Path
) -> None:
    provider, target = make(replace(settings, format=form)), tmp_path / ".clip.part"
    try:
        receipt = await provider.speak(Utterance(TEXT), target)
    finally:
        await provider.aclose()
    sound = believe(target, receipt.wire, TEXT, BAND, receipt.speed, provider.characters_per_second)
    assert len(TEXT) / sound.seconds == pytest.approx(15, rel=0.05)
    ending = replace(settings, format=form).suffix
    assert container(target.read_bytes()) == CONTAINERS.get(ending, ending)
    if named := re.search(r"_(\d{4,5})\b|_(\d{4,5})_", form):
        assert sound.rate == int(named[1] or named[2])


def test_a_format_it_does_not_have_is_refused_by_name(settings: ProviderSettings) -> None:
    with pytest.raises(JobError, match=r"provider\.format is 'ogg'"):
        make(replace(settings, format="ogg"))


async def test_a_disk_that_cannot_be_written_is_an_error_of_the_system(provider: Provider, tmp_path: Path) -> None:
    """Which ends the run; as a defect of the provider it would cost every clip."""
    with pytest.raises(FileNotFoundError):
        await provider.speak(Utterance(TEXT), tmp_path / "nowhere" / ".clip.part")


# -- those with a server ----------------------------------------------------------------------------------------------


@emulated
@pytest.mark.parametrize(
    "text", ["Grüße, 世界! 😀", 'He said: "\\n" & <b>\n\tnothing</b> – ‘ever’…', "e\u0301\u200b\u00a0x" * 9]
)
async def test_the_text_arrives_as_it_is(provider: Provider, text: str, tmp_path: Path) -> None:
    receipt = await provider.speak(Utterance(text), tmp_path / ".clip.part")
    believe(tmp_path / ".clip.part", receipt.wire, text, None)
    assert [heard.digest for heard in read_back_file(tmp_path / ".clip.part")] == [digest_of(text)]


@emulated
async def test_the_receipt_says_what_the_account_was_charged(
    provider: Provider, emulator: Emulator, tmp_path: Path
) -> None:
    receipt = await provider.speak(Utterance(TEXT), tmp_path / ".clip.part")
    assert emulator.stats()["charged_characters"] == len(TEXT)
    assert receipt.billed_characters in (None, len(TEXT)), "OpenAI and Cartesia do not say"
    assert receipt.http_status == 200
    assert receipt.wire is not None
    assert receipt.request_id or provider_class("cartesia") is type(provider), "Cartesia names its requests in errors"


@emulated
async def test_without_a_key_nobody_is_asked(settings: ProviderSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.api_key_env
    monkeypatch.delenv(settings.api_key_env)
    provider = make(replace(settings, base_url=None))
    with pytest.raises(JobError, match=f"set {settings.api_key_env} in the environment or in a file .env"):
        await provider.prepare()
    await provider.aclose()


@emulated
async def test_a_server_of_ones_own_may_want_no_key(name: str, emulate: Emulate, speak: Speak) -> None:
    provider = make(job_over(await emulate(name, api_key=None), provider__api_key_env=None).provider)
    await provider.prepare()
    assert probe(await speak(provider, TEXT)).seconds > 1
    await provider.aclose()


@emulated
async def test_the_key_goes_to_the_server_it_is_for_and_into_no_message(
    settings: ProviderSettings, emulate: Emulate, tmp_path: Path
) -> None:
    elsewhere = await emulate(settings.name, api_key="that of another account")
    provider = make(replace(settings, base_url=elsewhere.url))
    with pytest.raises(JobError) as refused:
        await provider.speak(Utterance(TEXT), tmp_path / ".clip.part")
    await provider.aclose()
    assert KEY not in repr(refused.value)


# -- those with an engine ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEEDS)
async def test_an_embedded_voice_has_nothing_to_say_to_signs_alone(name: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS[name])
    provider = make(ProviderSettings(name))
    for text in ("* * *", "…", "!?", "😀", " "):
        with pytest.raises(ChunkError, match="no letter or digit") as refused:
            await provider.speak(Utterance(text), tmp_path / "nothing.part")
        assert refused.value.kind == "unspeakable"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["hibari", "espeak", "tone"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"voice": "nobody"}, "knows no voice 'nobody': known are "),
        ({"model": "large"}, "provider.model is 'large'"),
        ({"format": "ogg"}, "provider.format is 'ogg'"),
        ({"options": {"sped": 1}}, "knows no option 'sped': "),
    ],
)
def test_settings_it_does_not_know_are_refused_by_name(name: str, change: dict[str, Any], message: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    with pytest.raises(JobError, match=message):
        make(ProviderSettings(name, **change))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("hibari", {"voice": "hart"}, "did you mean heart"),
        (
            "hibari",
            {"options": {"speed": "fast"}},
            "provider.options.speed is 'fast': must be a number from 0.8 to 1.5",
        ),
        ("hibari", {"options": {"speed": 2}}, "provider.options.speed is 2: must be a number from 0.8"),
        ("hibari", {"options": {"seed": True}}, "provider.options.seed is True: must be a whole number"),
        ("espeak", {"voice": "germn"}, "did you mean german"),
        (
            "espeak",
            {"options": {"speed": 100.5}},
            "provider.options.speed is 100.5: must be a whole number from 80 to 450",
        ),
        ("espeak", {"options": {"pitch": "high"}}, "provider.options.pitch is 'high': must be a whole number from 0"),
        ("tone", {"voice": "sin"}, "did you mean sine"),
        ("tone", {"options": {"latenzy_s": 1}}, "did you mean latency_s"),
        ("tone", {"options": {"fail": None}}, "provider.options.fail is None: must be a number from 0 to 1"),
        ("tone", {"options": {"fail": float("nan")}}, "provider.options.fail is nan"),
        ("tone", {"options": {"rate": 96_000}}, "provider.options.rate is 96000"),
    ],
)
def test_refusal_says_what_would_be_right(name: str, change: dict[str, Any], message: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    with pytest.raises(JobError, match=message):
        make(ProviderSettings(name, **change))


@pytest.mark.parametrize(
    ("name", "remedy"), [("hibari", "pip install hibari-tts"), ("espeak", r"pip install 'cluster-tts\[espeak\]'")]
)
def test_missing_engine_is_an_error_that_says_what_to_install(
    name: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setitem(sys.modules, NEEDS[name], None)
    with pytest.raises(JobError, match=remedy):
        make(ProviderSettings(name))
    with pytest.raises(JobError, match=remedy):
        provider_class(name).revision(ProviderSettings(name))


# -- choosing one -----------------------------------------------------------------------------------------------------


def test_unknown_provider_is_refused_with_the_nearest() -> None:
    with pytest.raises(JobError, match="unknown provider 'hibary': did you mean hibari"):
        make(ProviderSettings("hibary"))


@pytest.mark.parametrize(
    ("module", "code", "message"),
    [
        ("absent_voice", None, "cannot be imported: ModuleNotFoundError: No module named 'absent_voice'"),
        ("broken_voice", "1 / 0", "cannot be imported: ZeroDivisionError"),
        ("other_voice", "class Other: pass", "there is no MyVoice in other_voice"),
        ("half_voice", "class MyVoice:\n    embedded = True", "has no characters_per_second, .*let it inherit"),
    ],
)
def test_a_class_of_ones_own_that_is_none_is_refused_in_words(
    module: str, code: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    if code is not None:
        (tmp_path / f"{module}.py").write_text(code)
    with pytest.raises(JobError, match=message):
        make(ProviderSettings(f"{module}:MyVoice"))


def test_choosing_a_provider_loads_no_engine_and_without_a_server_no_http() -> None:
    run_python(
        "import sys; from cluster_tts.providers import PROVIDERS, provider_class;"
        "[provider_class(name) for name in ('hibari', 'espeak', 'tone')];"
        "assert not {'hibari', 'onnxruntime', 'espeakng_loader', 'aiohttp'} & set(sys.modules);"
        "[provider_class(name) for name in PROVIDERS];"
        "assert not {'hibari', 'onnxruntime', 'espeakng_loader'} & set(sys.modules)"
    )


# -- one's own, as docs/providers.md has it ---------------------------------------------------------------------------


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A folder with the example of docs/providers.md as a file."""
    [code] = re.findall(r"```python\n(# mymodule\.py\n.*?)```", (ROOT / "docs/providers.md").read_text(), re.DOTALL)
    (tmp_path / "mymodule.py").write_text(code)
    (tmp_path / "brief.txt").write_text("The tide is out.\n\nThe boats lie in the mud.\n")
    return tmp_path


def call(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CLUSTER_TTS_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env={**inherited, **environment}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_the_documented_provider_holds_this_contract(example: Path) -> None:
    ended = call(example, "pytest", "-v", "-p", "no:cacheprovider", CONTRACT, PROVIDER="mymodule:MyVoice")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "test_same_text_is_same_bytes_in_a_fresh_process[mymodule:MyVoice] PASSED" in ended.stdout
    assert not [name for name in PROVIDERS if re.search(rf"\[{name}\b.*PASSED", ended.stdout)]


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_the_documented_provider_speaks_a_document(example: Path, engine: str) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    chosen = ("provider.name=mymodule:MyVoice", "provider.voice=high", f"engine={engine}")
    ended = call(example, "cluster_tts", "run", "brief.txt", *chosen)
    assert ended.returncode == 0, ended.stderr
    heard = probe(example / "out/documents/brief.wav")
    assert heard.seconds == pytest.approx(len("The tide is out.The boats lie in the mud.") / 15 + 0.6, abs=0.05)
    assert call(example, "cluster_tts", "voices", *chosen[:1]).stdout.split()[-2:] == ["low", "high"]
