"""The layers that settings come in: files, the environment, the command line. Each says what it sets, and no more."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cluster_tts.config.known import TEXTS
from cluster_tts.errors import JobError

ENV_PREFIX = "CLUSTER_TTS_"
ENV_OTHER = {"CLUSTER_TTS_STATE_DIR"}  # of this program, but no settings
NO_TEXT, NOT_BARE = ("", "null", "~"), ("'", '"', "[", "{")
OF_TEXTS = ("voices.", "reading.columns.")  # whose values are texts, whatever YAML would make of them
UNREADABLE = (yaml.YAMLError, OmegaConfBaseException, ValueError, OverflowError, RecursionError)  # UnicodeError is one


def read_yaml(path: Path) -> DictConfig:
    """What the file at ``path`` sets; ``JobError`` where it cannot be read."""
    try:
        content = OmegaConf.load(path)
    except OSError as error:
        reason = error.strerror or error
        raise JobError(f"cannot read the configuration file '{path}' ({reason}): check the path") from None
    except UNREADABLE as error:
        raise JobError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, DictConfig):
        raise JobError(f"'{path}' is a list: settings are written as 'key: value' lines")
    return _literal(content)


def override(given: str | Mapping[str, Any]) -> DictConfig:
    """What ``key=value``, or values by dotted key, set; ``JobError`` where they cannot be read."""
    if isinstance(given, str):
        return _dotted(given)
    layer = OmegaConf.create()
    for key, value in given.items():
        try:
            OmegaConf.update(layer, key, os.fspath(value) if isinstance(value, Path) else value)
        except (OmegaConfBaseException, ValueError) as error:
            raise JobError(f"'{key}' is {value!r}, which cannot be read: {str(error).splitlines()[0]}") from None
    return _literal(layer)


def _dotted(text: str) -> DictConfig:
    if "=" not in text:
        raise JobError(f"cannot read '{text}' as key=value: there is no '='")
    key, _, value = text.partition("=")
    if key == "provider.base_url" and not value.strip():  # as a variable that is not set leaves it: another server
        raise JobError(f"'{key}' is empty: give an address, or null for the provider's own")
    try:
        if (key in TEXTS or key.startswith(OF_TEXTS)) and value not in NO_TEXT and value[0] not in NOT_BARE:
            layer = OmegaConf.create()
            OmegaConf.update(layer, key, value)  # as it stands: YAML would make 83 of 0123, and 750 of 12:30
            return _literal(layer)
        return _literal(OmegaConf.from_dotlist([text]))
    except UNREADABLE as error:
        raise JobError(f"cannot read '{text}' as key=value: {' '.join(str(error).split())}") from None


def _literal(layer: DictConfig) -> DictConfig:
    """``layer`` with every text meaning itself: nothing is put in for ``${...}``, least of all a key for its name."""
    content = OmegaConf.to_container(layer, resolve=False)
    return layer if "${" not in str(content) else OmegaConf.create(_escaped(content))


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _escaped(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value


def environment(environ: Mapping[str, str]) -> Iterator[tuple[DictConfig, str]]:
    """What each variable sets, with the words for where it came from."""
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX) and name not in ENV_OTHER:
            key = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            yield _dotted(f"{key}={environ[name]}"), f"in the environment ({name})"
