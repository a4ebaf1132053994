"""What the API server's schemas say of an object: core kinds by kubernetes_validate, Ray's by KubeRay's own CRDs.

The CRDs are not part of this project. They are looked for in ``CLUSTER_TTS_KUBERAY_CRDS``, or in a folder
``shared/kuberay-crds`` beside or above the checkout.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import celpy
import jsonschema
import kubernetes_validate
import yaml

from tests.manifests.rendering import ROOT, Manifest

KUBERNETES = "1.35"
RAY_KINDS = {"RayJob": "ray.io_rayjobs.yaml", "RayCluster": "ray.io_rayclusters.yaml"}
DROPPED = ("default", "format", "description", "nullable")  # and whatever begins with x-kubernetes-


def crds() -> Path | None:
    """Where KubeRay's CRDs are; None where they are not."""
    named = os.environ.get("CLUSTER_TTS_KUBERAY_CRDS")
    places = [Path(named)] if named else [above / "shared" / "kuberay-crds" for above in (ROOT, *ROOT.parents)]
    return next((place for place in places if all((place / file).is_file() for file in RAY_KINDS.values())), None)


def refusals(document: Manifest) -> list[str]:
    """What the server would not accept, each with its place; nothing for Ray's kinds where there are no CRDs."""
    if document["kind"] not in RAY_KINDS:
        try:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            return [f"{'.'.join(map(str, error.path))}: {error.message}"]
        return []
    if crds() is None:
        return []
    validator, schema = _of(document["kind"])
    found = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    return found or list(_broken_rules(schema, document, "$"))


@cache
def _of(kind: str) -> tuple[Any, Manifest]:
    """The strict schema of a kind of Ray's, and the schema as it stands."""
    folder = crds()
    assert folder is not None
    crd = yaml.load((folder / RAY_KINDS[kind]).read_text(encoding="utf-8"), yaml.CSafeLoader)
    [schema] = [version["schema"]["openAPIV3Schema"] for version in crd["spec"]["versions"] if version["name"] == "v1"]
    strict = _strict(schema)
    strict["properties"]["metadata"] = {"type": "object"}  # names are for the rules
    return jsonschema.Draft202012Validator(strict), schema


def _strict(schema: Any) -> Any:
    """JSON Schema of what OpenAPI says, in which unknown fields are errors, as for the server's strict validation."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: part for name, part in schema.items() if name not in DROPPED and not name.startswith("x-kubernetes-")}
    strict = {
        name: {field: _strict(part) for field, part in parts.items()} if name == "properties" else _strict(parts)
        for name, parts in kept.items()
    }
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
        strict["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    elif schema.get("nullable"):
        strict["type"] = [strict["type"], "null"]
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource")
    if schema.get("type") == "object" and "properties" in schema and not open_ended:
        strict.setdefault("additionalProperties", False)
    return strict


def _broken_rules(schema: Manifest, value: Any, place: str) -> Iterator[str]:
    """The rules in CEL that ``value`` breaks; those about changes of an object do not apply."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and not _program(rule["rule"]).evaluate({"self": celpy.json_to_cel(value)}):
            yield f"{place}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        others = schema.get("additionalProperties")
        for name, part in value.items():
            inner = schema.get("properties", {}).get(name, others)
            if isinstance(inner, dict):
                yield from _broken_rules(inner, part, f"{place}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for number, part in enumerate(value):
            yield from _broken_rules(schema["items"], part, f"{place}[{number}]")


@cache
def _program(rule: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))
