"""The job: every setting as a frozen dataclass, loaded in layers.

``conf/default.yaml`` < ``conf/provider/<name>.yaml`` < the plan < ``-c`` files < environment < ``key=value``. A key
nobody knows and a value of the wrong type are refused by name. Nothing past this package has heard of OmegaConf:
``known`` is every setting there is, ``layers`` is how each layer is read.
"""

import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cluster_tts.catalogue import with_inputs, with_plan, without_published
from cluster_tts.config.known import ALL_KEYS, FREE, SECTIONS, TEXTS, Setting, hint, settings, shown, wanted
from cluster_tts.config.layers import environment, override, read_yaml
from cluster_tts.errors import JobError, nearest
from cluster_tts.job import Job
from cluster_tts.ranges import check_ranges, is_utf8

PROVIDER_NAME = re.compile(r"\w[\w-]{0,63}", re.ASCII)  # that has a file of its own: it becomes part of a path
JOB_NAME = re.compile(r"\w[\w-]{0,63}", re.ASCII)


def conf_dir() -> Path:
    """The folder of YAML files: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent.parent / "conf"
    return inside if inside.is_dir() else Path(__file__).parent.parent.parent / "conf"


def load(
    files: Sequence[str | Path] = (),
    overrides: Sequence[str | Mapping[str, Any]] = (),
    environ: Mapping[str, str] | None = None,
) -> Job:
    """The job that the layers add up to.

    Args:
        files: YAML files, the later over the earlier (``-c``); a bare name is also one of ``conf/job``.
        overrides: ``key=value`` in dotted form, or values by dotted key, over everything else. A name with a dot in it
            goes into brackets: ``catalogue.models[sonic-3.5].unit=byte``.
        environ: where ``CLUSTER_TTS_A__B`` variables are looked up; the process's own by default.

    Raises:
        JobError: an unreadable file, an unknown key (with the nearest valid one), a value of the wrong type or out
            of its range, an unknown plan; the message names the key and, where it can, the layer it came from.
    """
    given = [
        *((read_yaml(_job_file(Path(file))), f"in {file}") for file in files),
        *environment(os.environ if environ is None else environ),
        *((override(each), "on the command line" if isinstance(each, str) else "in settings") for each in overrides),
    ]
    config = _published(_provider_name(given))
    keys: set[str] = set()
    for layer, origin in given:
        keys |= _merge(config, layer, origin)
    try:
        job = cast(Job, OmegaConf.to_object(config))
    except OmegaConfBaseException as error:
        raise JobError(f"'{error.full_key}': {str(error).splitlines()[0]}") from None
    check_ranges(job)
    return with_inputs(with_plan(job, given=keys))


def _job_file(given: Path) -> Path:
    """The file itself; or ``conf/job/digest.yaml`` for ``digest``, where there is no such file here (but a folder)."""
    if (given.exists() and not given.is_dir()) or not JOB_NAME.fullmatch(str(given)):
        return given
    ours = conf_dir() / "job" / f"{given}.yaml"
    if ours.is_file():
        return ours
    if given.exists():
        return given  # a folder, as reading it will say
    jobs = sorted(path.stem for path in (conf_dir() / "job").glob("*.yaml"))
    raise JobError(f"'{given}' is neither a file nor one of our jobs: {nearest(str(given), jobs)}")


def to_yaml(job: Job) -> str:
    """The job as YAML, as saved beside the manifest: ``load`` makes the same of it."""
    return OmegaConf.to_yaml(OmegaConf.structured(without_published(job)))


def _provider_name(given: Sequence[tuple[DictConfig, str]]) -> str:
    """Which provider the layers name, the last first; its own file cannot say so, but decides what they lie over."""
    for layer, _ in reversed(given):
        section = layer._get_node("provider")
        name = section._get_node("name") if isinstance(section, DictConfig) and not section._is_none() else None
        if name is not None and name._value() is not None:
            return str(name._value())
    default = conf_dir() / "default.yaml"
    return str(_read_published((default, default.stat().st_mtime_ns)).provider.name)


def _published(provider: str) -> DictConfig:
    """The settings as they come with the package, for the caller to change; ``provider``'s own among them."""
    paths = [conf_dir() / "default.yaml"]
    of_provider = conf_dir() / "provider" / f"{provider}.yaml"
    if PROVIDER_NAME.fullmatch(provider) and of_provider.is_file():
        paths.append(of_provider)
    return deepcopy(_read_published(*((path, path.stat().st_mtime_ns) for path in paths)))


@lru_cache(maxsize=32)
def _read_published(*files: tuple[Path, int]) -> DictConfig:
    """The files one over the other. Kept, since catalogues are long and reading one takes longer than all the rest."""
    config = deepcopy(_schema())
    for path, _ in files:
        _merge(config, read_yaml(path), f"in conf/{path.relative_to(conf_dir())}")
    return config


@cache
def _schema() -> DictConfig:
    """Every setting with its type."""
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


def _merge(config: DictConfig, layer: DictConfig, origin: str) -> set[str]:
    """Lay ``layer`` over ``config``; the keys that it sets."""
    given = {setting.key: setting for setting in settings(layer)}
    for setting in given.values():
        _check(setting, origin)
    try:
        OmegaConf.unsafe_merge(config, deepcopy(layer))  # unsafe for what is laid over: it cannot be used again
    except OverflowError as error:
        raise JobError(f"a number {origin} cannot be read ({error}): make it smaller") from None
    except OmegaConfBaseException as error:
        culprit = given.get(re.sub(r"\[\d+\]$", "", str(error.full_key)))
        if culprit is None:
            raise JobError(f"'{error.full_key}' {origin}: {str(error).splitlines()[0]}") from None
        raise JobError(
            f"'{culprit.key}' {origin} is {shown(culprit.node)}: {wanted(culprit.kind, culprit.key)}"
        ) from None
    return set(given)


def _check(setting: Setting, origin: str) -> None:
    """Raise ``JobError`` for a key nobody knows, and for what is no text or no section but should be."""
    key, kind, node = setting
    if kind not in ALL_KEYS and kind not in SECTIONS:
        raise JobError(
            f"unknown setting '{key}' {origin}: {hint(key, kind)} ({conf_dir() / 'default.yaml'} has them all)"
        )
    if kind in SECTIONS | FREE and not (isinstance(node, DictConfig) and not node._is_none()):
        raise JobError(f"'{key}' {origin} is {shown(node)}: {wanted(kind, key)}")
    plain = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node._value()
    if not is_utf8(key) or (key != "out" and not is_utf8(plain)):  # of which more is said where it is checked
        raise JobError(f"'{key}' {origin} is {shown(node)}: it holds what is no UTF-8, write it again")
    for name, voice in plain.items() if kind == "voices" and isinstance(plain, dict) else ():
        if not isinstance(voice, str) or not voice:
            raise JobError(f"'voices.{name!s}' {origin} is {voice!r}: must be the name of a voice; put it in quotes")
    if kind in TEXTS and isinstance(node._value(), bool):
        raise JobError(f"'{key}' {origin}: YAML takes yes, no, on and off for truth values; put it in quotes")
