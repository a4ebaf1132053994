"""What OpenAI's speech endpoint knows: models, voices, formats, limits, and how it writes durations and events."""

import base64
import json
import math

from cluster_tts.emulator.wire import Ask, Audio

SHUTDOWN = "2027-01-06"  # of all speech models (providers.md 1.0)
MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15", "gpt-4o-mini-tts-2025-03-20")
VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip
SELF_HOSTED_MODELS = ("kokoro", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")  # providers.md 5
SELF_HOSTED_VOICES = ("af_heart", "af_bella", "af_sky", "am_adam", "bf_emma", "bm_george")

FIELDS = frozenset({"model", "input", "voice", "instructions", "response_format", "speed", "stream_format"})
MOST_CHARACTERS, MOST_TOKENS = 4096, 2000
FORMATS = {  # to the container and, unverified, the media type (providers.md 1.2, 5)
    "mp3": ("mp3", "audio/mpeg"),
    "opus": ("opus", "audio/opus"),
    "aac": ("aac", "audio/aac"),
    "flac": ("flac", "audio/flac"),
    "wav": ("wav", "audio/wav"),
    "pcm": ("raw", "audio/pcm"),
}
AAC_MESSAGE = "This emulator has no AAC encoder; ask for mp3, opus, flac, wav or pcm."
LIMIT_NAMES = {  # which count: its headers, its short name, the `type` of its refusal (providers.md 1.4, 1.5)
    "requests": ("requests", "RPM", "requests"),
    "characters": ("tokens", "TPM", "tokens"),
}
PIECES = 4  # of audio in an event stream


def count_tokens(text: str) -> int:
    """About how many tokens a text is: one for 4 bytes of UTF-8, or for a word if there are more of them."""
    return max(math.ceil(len(text.encode("utf-8", "surrogatepass")) / 4), len(text.split()))


def go_duration(seconds: float) -> str:
    """Seconds as Go writes a duration: ``12ms``, ``1s``, ``6m0s``, ``1h2m3.5s`` (providers.md 1.4)."""
    thousandths = math.ceil(seconds * 1000 - 1e-6)
    if thousandths < 1000:
        return f"{thousandths}ms" if thousandths else "0s"
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + text


def speech_events(ask: Ask, audio: Audio) -> bytes:
    """``stream_format: sse``: deltas, and at the end what was used, which audio that ends early never reaches."""
    size = len(audio.data) // PIECES + 1
    events: list[dict[str, object]] = [
        {"type": "speech.audio.delta", "audio": base64.b64encode(audio.data[at : at + size]).decode()}
        for at in range(0, len(audio.data), size)
    ]
    if audio.whole:
        used = {"input_tokens": count_tokens(ask.text), "output_tokens": math.ceil(audio.seconds * 20)}
        events.append({"type": "speech.audio.done", "usage": {**used, "total_tokens": sum(used.values())}})
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
