from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cluster_tts.providers.base import Provider

Speak = Callable[[Provider, str], Awaitable[Path]]


@pytest.fixture
def speak(tmp_path: Path) -> Speak:
    """Speaks a text to a file of its own, named as the clips in the making are."""
    count = 0

    async def speak(provider: Provider, text: str) -> Path:
        nonlocal count
        count += 1
        target = tmp_path / f".clip.{count}.part"
        await provider.speak(text, target)
        return target

    return speak
