"""Every setting there is, with its type, and what is said of one that is not, or of a value that it cannot have."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, cast

from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, ListConfig, OmegaConf, StringNode

from cluster_tts.errors import nearest
from cluster_tts.job import CatalogueSettings, Job, LimitFacts, ModelFacts, PlanFacts

MOST_NAMED = 12  # keys in one message
# whose entries have names of their own
TABLES = {"catalogue.models", "catalogue.plans", "catalogue.plans.*.groups", "catalogue.classes"}
FREE = {  # whose names are not ours
    "provider.options", "provider.inputs", "catalogue.models.*.inputs", "voices", "reading.columns",
}  # fmt: skip


class Setting(NamedTuple):
    """One setting of a layer: its key as it is written there, the same with ``*`` for names in tables, and its node."""

    key: str
    kind: str
    node: Any


def settings(layer: DictConfig, key: str = "", kind: str = "") -> Iterator[Setting]:
    """Every setting that ``layer`` has."""
    for name in layer:
        node = layer._get_node(name)
        setting = Setting(f"{key}{name!s}", f"{kind}{'*' if kind[:-1] in TABLES else name!s}", node)
        if isinstance(node, DictConfig) and setting.kind not in FREE and not node._is_none() and len(node):
            yield from settings(node, f"{setting.key}.", f"{setting.kind}.")
        else:
            yield setting


def hint(key: str, kind: str) -> str:
    """The nearest valid key: one that lacks its section only (``voice``), else one that looks like it."""
    section, _, name = kind.rpartition(".")
    if "*" in section:
        if section in SECTIONS:
            return nearest(name, [known.removeprefix(f"{section}.") for known in _keys_of(section)])
        table = max((table for table in TABLES if kind.startswith(f"{table}.*.")), key=len, default=section)
        return f"a name with a dot in it goes into brackets, as in {table}[sonic-3.5]"
    whole = [known for known in ALL_KEYS if known.endswith(f".{key}")]
    return f"did you mean {' or '.join(whole)}?" if whole else nearest(key, ALL_KEYS)


def shown(node: Any) -> str:
    """A value as it is shown in messages."""
    value = (
        node._value() if not OmegaConf.is_config(node) else None if node._is_none() else OmegaConf.to_container(node)
    )
    return "null" if value is None else repr(value)


def wanted(kind: str, key: str) -> str:
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


ALL_KEYS = tuple(setting.kind for setting in settings(_every_setting()))
TEXTS = {kind for kind in ALL_KEYS if isinstance(_known(kind), StringNode)}
SECTIONS = {kind[: dot.start()] for kind in ALL_KEYS for dot in re.finditer(r"\.", kind)}
