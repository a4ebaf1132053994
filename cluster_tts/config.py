"""The job: every setting as a frozen dataclass, loaded in layers.

``conf/default.yaml`` < ``conf/provider/<name>.yaml`` < ``-c`` files < environment < ``key=value``. A key nobody
knows and a value of the wrong type are refused by name. Nothing past this module has heard of OmegaConf.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, ListConfig, OmegaConf, StringNode
from omegaconf.errors import OmegaConfBaseException

from cluster_tts.errors import JobError, nearest
from cluster_tts.job import Job, check_ranges

ENV_PREFIX = "CLUSTER_TTS_"
ENV_OTHER = {"CLUSTER_TTS_STATE_DIR"}  # of this program, but no settings


def conf_dir() -> Path:
    """The folder of YAML files: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "conf"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "conf"


def load(
    files: Sequence[str | Path] = (),
    overrides: Sequence[str | Mapping[str, Any]] = (),
    environ: Mapping[str, str] | None = None,
) -> Job:
    """The job that the layers add up to.

    Args:
        files: YAML files, the later over the earlier (``-c``).
        overrides: ``key=value`` in dotted form, or values by dotted key, over everything else.
        environ: where ``CLUSTER_TTS_A__B`` variables are looked up; the process's own by default.

    Raises:
        JobError: an unreadable file, an unknown key (with the nearest valid one), a value of the wrong type or out
            of its range; the message names the key and the layer it came from.
    """
    given = [
        *((_read_yaml(Path(file)), f"in {file}") for file in files),
        *_environment(os.environ if environ is None else environ),
        *((_override(each), "on the command line" if isinstance(each, str) else "in settings") for each in overrides),
    ]
    config = _merge(_schema(), _read_yaml(conf_dir() / "default.yaml"), "in conf/default.yaml")
    provider = config
    for layer, origin in given:
        provider = _merge(provider, layer, origin)
    try:
        name = str(provider.provider.name)
    except OmegaConfBaseException as error:
        raise _refused(error) from None
    of_provider = conf_dir() / "provider" / f"{name}.yaml"
    if of_provider.is_file():
        config = _merge(config, _read_yaml(of_provider), f"in conf/provider/{name}.yaml")
    for layer, origin in given:
        config = _merge(config, layer, origin)
    try:
        job = cast(Job, OmegaConf.to_object(config))
    except OmegaConfBaseException as error:
        raise _refused(error) from None
    check_ranges(job)
    return job


def to_yaml(job: Job) -> str:
    """The resolved job as YAML, as saved beside the manifest."""
    return OmegaConf.to_yaml(OmegaConf.structured(job))


@cache
def _schema() -> DictConfig:
    """Every setting with its type. Merging copies it, so that one serves for all."""
    config = OmegaConf.structured(Job)
    _thaw(config)
    return cast(DictConfig, config)


def _thaw(config: DictConfig) -> None:
    """Frozen dataclasses make read-only nodes; layers still have to be merged into them."""
    OmegaConf.set_readonly(config, None)
    for key in config:
        node = config._get_node(key)
        if isinstance(node, DictConfig):
            _thaw(node)


def _merge(config: DictConfig, layer: DictConfig, origin: str) -> DictConfig:
    for key in _keys(layer):
        if not _known(key):
            raise JobError(
                f"unknown setting '{key}' {origin}: {_hint(key)} ({conf_dir() / 'default.yaml'} has them all)"
            )
        if key in TEXTS and _is_truth(layer, key):
            raise JobError(f"'{key}' {origin}: YAML takes yes, no, on and off for truth values; put it in quotes")
    try:
        return cast(DictConfig, OmegaConf.merge(config, layer))
    except OmegaConfBaseException as error:
        key = re.sub(r"\[\d+\]$", "", str(error.full_key or ", ".join(_keys(layer))))
        given = OmegaConf.select(layer, key, throw_on_resolution_failure=False)
        raise JobError(f"'{key}' {origin} is {_shown(given)}: {_wanted(key)}") from None


def _refused(error: OmegaConfBaseException) -> JobError:
    return JobError(f"'{error.full_key}': {str(error).splitlines()[0]}")


def _hint(key: str) -> str:
    """The nearest valid key: one that lacks its section only (``voice``), else one that looks like it."""
    whole = [known for known in ALL_KEYS if known.endswith(f".{key}")]
    return f"did you mean {' or '.join(whole)}?" if whole else nearest(key, ALL_KEYS)


def _shown(value: Any) -> str:
    return "null" if value is None else repr(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)


def _wanted(key: str) -> str:
    """What the setting ``key`` takes, in words."""
    section, _, name = key.rpartition(".")
    node: Any = (OmegaConf.select(_schema(), section) if section else _schema())._get_node(name)
    if key in SECTIONS:
        return f"it is a section, set {' or '.join(known for known in ALL_KEYS if known.startswith(f'{key}.'))}"
    if isinstance(node, DictConfig):
        return f"must be names with values, as in {key}.speed=1.2"
    kinds = {IntegerNode: "a whole number", FloatNode: "a number", BooleanNode: "true or false", StringNode: "a text"}
    wanted = kinds.get(type(node), "a list of numbers" if isinstance(node, ListConfig) else "a whole number or a word")
    return f"must be {wanted}, or null" if node._is_optional() else f"must be {wanted}"


def _keys(layer: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in layer:
        name = f"{prefix}{key!s}"
        node = layer._get_node(key)
        if isinstance(node, DictConfig) and name != "provider.options" and not node._is_none():
            yield from _keys(node, f"{name}.") if len(node) else iter([name])
        else:
            yield name


def _is_text(key: str) -> bool:
    section, _, name = key.rpartition(".")
    return isinstance((OmegaConf.select(_schema(), section) if section else _schema())._get_node(name), StringNode)


def _is_truth(layer: DictConfig, key: str) -> bool:
    return isinstance(OmegaConf.select(layer, key, throw_on_resolution_failure=False), bool)


def _known(key: str) -> bool:
    return key in ALL_KEYS or key in SECTIONS or key.startswith("provider.options.")


def _read_yaml(path: Path) -> DictConfig:
    try:
        content = OmegaConf.load(path)
    except OSError as error:
        reason = error.strerror or error
        raise JobError(f"cannot read the configuration file '{path}' ({reason}): check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise JobError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, DictConfig):
        raise JobError(f"'{path}' is a list: settings are written as 'key: value' lines")
    return content


def _override(given: str | Mapping[str, Any]) -> DictConfig:
    if isinstance(given, str):
        return _dotted(given)
    layer = OmegaConf.create()
    for key, value in given.items():
        try:
            OmegaConf.update(layer, key, os.fspath(value) if isinstance(value, Path) else value)
        except (OmegaConfBaseException, ValueError) as error:
            raise JobError(f"'{key}' is {value!r}, which cannot be read: {str(error).splitlines()[0]}") from None
    return layer


def _dotted(text: str) -> DictConfig:
    if "=" not in text:
        raise JobError(f"cannot read '{text}' as key=value: there is no '='")
    try:
        return OmegaConf.from_dotlist([text])
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        raise JobError(f"cannot read '{text}' as key=value: {' '.join(str(error).split())}") from None


def _environment(environ: Mapping[str, str]) -> Iterator[tuple[DictConfig, str]]:
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX) and name not in ENV_OTHER:
            key = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            yield _dotted(f"{key}={environ[name]}"), f"in the environment ({name})"


ALL_KEYS = tuple(_keys(_schema()))
TEXTS = {key for key in ALL_KEYS if _is_text(key)}
SECTIONS = {key.rpartition(".")[0] for key in ALL_KEYS if "." in key}
