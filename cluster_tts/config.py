"""The job: every setting as a frozen dataclass, loaded in layers.

``conf/default.yaml`` < ``conf/provider/<name>.yaml`` < the plan < ``-c`` files < environment < ``key=value``. A key
nobody knows and a value of the wrong type are refused by name. Nothing past this module has heard of OmegaConf.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, ListConfig, OmegaConf, StringNode
from omegaconf.errors import OmegaConfBaseException

from cluster_tts.catalogue import with_inputs, with_plan, without_published
from cluster_tts.errors import JobError, nearest
from cluster_tts.job import CatalogueSettings, Job, LimitFacts, ModelFacts, PlanFacts
from cluster_tts.ranges import check_ranges, is_utf8

ENV_PREFIX = "CLUSTER_TTS_"
ENV_OTHER = {"CLUSTER_TTS_STATE_DIR"}  # of this program, but no settings
MOST_NAMED = 12  # keys in one message
NO_TEXT, NOT_BARE = ("", "null", "~"), ("'", '"', "[", "{")
# whose entries have names of their own
TABLES = {"catalogue.models", "catalogue.plans", "catalogue.plans.*.groups", "catalogue.classes"}
FREE = {  # whose names are not ours
    "provider.options", "provider.inputs", "catalogue.models.*.inputs", "voices", "reading.columns",
}  # fmt: skip
OF_TEXTS = ("voices.", "reading.columns.")  # whose values are texts, whatever YAML would make of them

PROVIDER_NAME = re.compile(r"\w[\w-]{0,63}", re.ASCII)  # that has a file of its own: it becomes part of a path
JOB_NAME = re.compile(r"\w[\w-]{0,63}", re.ASCII)
UNREADABLE = (yaml.YAMLError, OmegaConfBaseException, ValueError, OverflowError, RecursionError)  # UnicodeError is one


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
        files: YAML files, the later over the earlier (``-c``); a bare name is also one of ``conf/job``.
        overrides: ``key=value`` in dotted form, or values by dotted key, over everything else. A name with a dot in it
            goes into brackets: ``catalogue.models[sonic-3.5].unit=byte``.
        environ: where ``CLUSTER_TTS_A__B`` variables are looked up; the process's own by default.

    Raises:
        JobError: an unreadable file, an unknown key (with the nearest valid one), a value of the wrong type or out
            of its range, an unknown plan; the message names the key and, where it can, the layer it came from.
    """
    given = [
        *((_read_yaml(_job_file(Path(file))), f"in {file}") for file in files),
        *_environment(os.environ if environ is None else environ),
        *((_override(each), "on the command line" if isinstance(each, str) else "in settings") for each in overrides),
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
    """The file itself; or ``conf/job/digest.yaml`` for ``digest``, where there is no such file here."""
    if (given.exists() and not given.is_dir()) or not JOB_NAME.fullmatch(str(given)):
        return given
    ours = conf_dir() / "job" / f"{given}.yaml"
    if ours.is_file():
        return ours
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
        _merge(config, _read_yaml(path), f"in conf/{path.relative_to(conf_dir())}")
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


class _Setting(NamedTuple):
    """One setting of a layer: its key as it is written there, the same with ``*`` for names in tables, and its node."""

    key: str
    kind: str
    node: Any


def _settings(layer: DictConfig, key: str = "", kind: str = "") -> Iterator[_Setting]:
    for name in layer:
        node = layer._get_node(name)
        setting = _Setting(f"{key}{name!s}", f"{kind}{'*' if kind[:-1] in TABLES else name!s}", node)
        if isinstance(node, DictConfig) and setting.kind not in FREE and not node._is_none() and len(node):
            yield from _settings(node, f"{setting.key}.", f"{setting.kind}.")
        else:
            yield setting


def _merge(config: DictConfig, layer: DictConfig, origin: str) -> set[str]:
    """Lay ``layer`` over ``config``; the keys that it sets."""
    settings = {setting.key: setting for setting in _settings(layer)}
    for setting in settings.values():
        _check(setting, origin)
    try:
        OmegaConf.unsafe_merge(config, deepcopy(layer))  # unsafe for what is laid over: it cannot be used again
    except OverflowError as error:
        raise JobError(f"a number {origin} cannot be read ({error}): make it smaller") from None
    except OmegaConfBaseException as error:
        culprit = settings.get(re.sub(r"\[\d+\]$", "", str(error.full_key)))
        if culprit is None:
            raise JobError(f"'{error.full_key}' {origin}: {str(error).splitlines()[0]}") from None
        raise JobError(
            f"'{culprit.key}' {origin} is {_shown(culprit.node)}: {_wanted(culprit.kind, culprit.key)}"
        ) from None
    return set(settings)


def _check(setting: _Setting, origin: str) -> None:
    """Raise ``JobError`` for a key nobody knows, and for what is no text or no section but should be."""
    key, kind, node = setting
    if kind not in ALL_KEYS and kind not in SECTIONS:
        raise JobError(
            f"unknown setting '{key}' {origin}: {_hint(key, kind)} ({conf_dir() / 'default.yaml'} has them all)"
        )
    if kind in SECTIONS | FREE and not (isinstance(node, DictConfig) and not node._is_none()):
        raise JobError(f"'{key}' {origin} is {_shown(node)}: {_wanted(kind, key)}")
    plain = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node._value()
    if not is_utf8(key) or (key != "out" and not is_utf8(plain)):  # of which more is said where it is checked
        raise JobError(f"'{key}' {origin} is {_shown(node)}: it holds what is no UTF-8, write it again")
    for name, voice in plain.items() if kind == "voices" and isinstance(plain, dict) else ():
        if not isinstance(voice, str) or not voice:
            raise JobError(f"'voices.{name!s}' {origin} is {voice!r}: must be the name of a voice; put it in quotes")
    if kind in TEXTS and isinstance(node._value(), bool):
        raise JobError(f"'{key}' {origin}: YAML takes yes, no, on and off for truth values; put it in quotes")


def _hint(key: str, kind: str) -> str:
    """The nearest valid key: one that lacks its section only (``voice``), else one that looks like it."""
    section, _, name = kind.rpartition(".")
    if "*" in section:
        if section in SECTIONS:
            return nearest(name, [known.removeprefix(f"{section}.") for known in _keys_of(section)])
        table = max((table for table in TABLES if kind.startswith(f"{table}.*.")), key=len, default=section)
        return f"a name with a dot in it goes into brackets, as in {table}[sonic-3.5]"
    whole = [known for known in ALL_KEYS if known.endswith(f".{key}")]
    return f"did you mean {' or '.join(whole)}?" if whole else nearest(key, ALL_KEYS)


def _shown(node: Any) -> str:
    value = (
        node._value() if not OmegaConf.is_config(node) else None if node._is_none() else OmegaConf.to_container(node)
    )
    return "null" if value is None else repr(value)


def _wanted(kind: str, key: str) -> str:
    """What the setting takes, in words."""
    if kind in SECTIONS:
        known = [each.replace(kind, key, 1).replace("*", "<name>") for each in _keys_of(kind)]
        more = ", ..." if len(known) > MOST_NAMED else ""
        return f"it is a section, set {' or '.join(known[:MOST_NAMED])}{more}"
    node = _known(kind)
    if isinstance(node, DictConfig):
        return f"must be names with values, as in {key}.speed=1.2"
    kinds = {IntegerNode: "a whole number", FloatNode: "a number", BooleanNode: "true or false", StringNode: "a text"}
    wanted = kinds.get(type(node), "a whole number or a word")
    if isinstance(node, ListConfig):
        wanted = f"a list of {'names' if node._metadata.element_type is str else 'numbers'}"
    return f"must be {wanted}, or null" if node._is_optional() else f"must be {wanted}"


def _keys_of(section: str) -> list[str]:
    return [known for known in ALL_KEYS if known.startswith(f"{section}.")]


def _read_yaml(path: Path) -> DictConfig:
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


def _override(given: str | Mapping[str, Any]) -> DictConfig:
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


def _environment(environ: Mapping[str, str]) -> Iterator[tuple[DictConfig, str]]:
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX) and name not in ENV_OTHER:
            key = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            yield _dotted(f"{key}={environ[name]}"), f"in the environment ({name})"


@cache
def _every_setting() -> DictConfig:
    """A configuration that has every setting once; ``*`` stands for the names in tables."""
    plans = {"*": PlanFacts(groups={"*": LimitFacts()})}
    catalogue = CatalogueSettings(models={"*": ModelFacts()}, plans=plans, classes={"*": LimitFacts()})
    return cast(DictConfig, OmegaConf.structured(Job(catalogue=catalogue)))


def _known(kind: str) -> Any:
    node: Any = _every_setting()
    for name in kind.split("."):
        node = node._get_node(name)
    return node


ALL_KEYS = tuple(setting.kind for setting in _settings(_every_setting()))
TEXTS = {kind for kind in ALL_KEYS if isinstance(_known(kind), StringNode)}
SECTIONS = {kind[: dot.start()] for kind in ALL_KEYS for dot in re.finditer(r"\.", kind)}
