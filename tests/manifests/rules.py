"""The rules that no schema holds: ``faults`` of everything that is applied together."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster_tts.config import load
from cluster_tts.errors import JobError
from cluster_tts.job import Job
from tests.manifests.job_rules import faults_of_job
from tests.manifests.pods import PART_OF, faults_of_pod, pods, texts_with_secrets
from tests.manifests.ray_rules import faults_of_ray
from tests.manifests.rendering import Manifest

DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
OPEN_PORTS = {53, 443, 6443}  # that pods may reach anywhere: names, providers and storage, the API server
OPERATOR = {"app.kubernetes.io/name": "kuberay-operator"}
SETTINGS = "/etc/cluster-tts"


def faults(documents: list[Manifest]) -> list[str]:
    """What is wrong with these objects, each as a line that names the object; none: they may be applied."""
    found = []
    for document in documents:
        name = f"{document['kind']}/{document['metadata']['name']}"
        found += [f"{name} {fault}" for fault in _of_one(document, documents)]
    return found


def _of_one(document: Manifest, documents: list[Manifest]) -> Iterator[str]:
    kind, metadata = document["kind"], document["metadata"]
    if not DNS_1123.fullmatch(metadata["name"]) or len(metadata["name"]) > (63 if kind == "Job" else 253):
        yield "has a name that is none (DNS-1123)"
    if kind != "Namespace" and not metadata.get("namespace"):
        yield "is in no namespace"
    for pod in pods(document):
        if wrong := [value for value in pod.labels.values() if not LABEL.fullmatch(value)]:
            yield f"{pod.role} has labels that are none: {wrong}"
        yield from (f"{pod.role} {fault}" for fault in faults_of_pod(pod))
        yield from (f"{pod.role} {fault}" for fault in _of_references(pod.spec, documents))
    if kind == "Secret":
        yield "is a secret in a file: make it by kubectl create secret, and refer to it"
    yield from texts_with_secrets({name: part for name, part in document.items() if name in ("spec", "data")})
    if kind in ("RayJob", "RayCluster"):
        yield from faults_of_ray(document)
    elif kind == "Job":
        yield from faults_of_job(document)
    elif kind == "NetworkPolicy":
        yield from _of_network(document["spec"])
    elif kind == "PodDisruptionBudget":
        yield from _of_budget(document["spec"], documents)
    elif kind == "Namespace" and metadata.get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "takes pods that are not restricted"
    elif kind == "PersistentVolumeClaim" and document["spec"]["accessModes"] != ["ReadWriteMany"]:
        yield "can be mounted by one node only: ReadWriteMany"
    if kind in ("Job", "RayJob", "RayCluster"):
        if any(other["kind"] in ("PersistentVolumeClaim", "Namespace") for other in documents):
            yield "is applied, and deleted, together with the volume or namespace that holds its audio"
        if kind != "Job" and not any(other["kind"] == "PodDisruptionBudget" for other in documents):
            yield "has a head that anybody may evict: no disruption budget"
        yield from _of_settings(document, documents)


def _of_references(spec: Manifest, documents: list[Manifest]) -> Iterator[str]:
    known = {other["metadata"]["name"] for other in documents if other["kind"] == "ConfigMap"}
    for volume in spec.get("volumes", []):
        if "configMap" in volume and volume["configMap"]["name"] not in known:
            yield f"mounts the ConfigMap {volume['configMap']['name']}, which is not there"


def _of_settings(document: Manifest, documents: list[Manifest]) -> Iterator[str]:
    """The job file is read as a run reads it."""
    [settings] = [other["data"]["job.yaml"] for other in documents if "job.yaml" in other.get("data", {})] or [""]
    spec = document["spec"]
    try:
        job = _job(settings)
    except JobError as error:
        yield f"has settings that a run refuses: {error}"
        return
    if SETTINGS not in pods(document)[0].mounts("configMap"):
        yield f"does not have its settings at {SETTINGS}"
    if document["kind"] != "Job":
        if job.engine != "ray":
            yield "has a cluster, and an engine that leaves it alone"
        if not isinstance(job.workers.count, int):
            yield "counts the CPUs of a cluster that has no workers yet: workers.count must be a number"
        return
    parallelism = spec.get("parallelism", 1)
    if abs(job.quota.share * parallelism - 1) > 0.01:
        yield f"has {parallelism} pods with quota.share {job.quota.share:g} each: together they must have 1"
    if parallelism > 1 and job.clips.dir is None:
        yield "has shards that pay for the same clip each by itself: set clips.dir"


@cache
def _job(settings: str) -> Job:
    with TemporaryDirectory() as folder:
        path = Path(folder, "job.yaml")
        path.write_text(settings, encoding="utf-8")
        return load([path], [], environ={})


def _of_network(spec: Manifest) -> Iterator[str]:
    if not PART_OF.items() <= spec["podSelector"].get("matchLabels", {}).items():
        yield "is not about our pods alone"
    types = spec.get("policyTypes", [])
    if ("egress" in spec) != ("Egress" in types) or ("ingress" in spec) != ("Ingress" in types):
        yield "has policyTypes that are not those of its rules"
    for rule in spec.get("egress", []):
        ports = {port.get("port") for port in rule.get("ports", [])}
        if not rule.get("to") and not (ports and ports <= OPEN_PORTS):
            yield f"lets pods reach anybody, at ports {sorted(ports, key=str) or 'of any number'}"
    for rule in spec.get("ingress", []):
        if not rule.get("from"):
            yield "lets anybody reach the pods"
        for peer in rule.get("from", []):
            if "ipBlock" in peer or (peer.get("namespaceSelector") == {} and "podSelector" not in peer):
                yield "lets pods of any namespace, or addresses, reach the pods"
            if "namespaceSelector" in peer and not rule.get("ports"):
                yield "opens every port to other namespaces"
    if {"Ingress", "Egress"} <= set(types) and not any(
        peer.get("podSelector", {}).get("matchLabels") == OPERATOR
        and {"port": 8265, "protocol": "TCP"} in rule["ports"]
        for rule in spec.get("ingress", [])
        for peer in rule.get("from", [])
    ):
        yield "shuts out the operator, which then never learns that a job has ended"


def _of_budget(spec: Manifest, documents: list[Manifest]) -> Iterator[str]:
    if spec.get("minAvailable") != 1 or "maxUnavailable" in spec:
        yield "must have minAvailable 1: of an owner without a scale, as a RayCluster, nothing else is understood"
    wanted = spec.get("selector", {}).get("matchLabels", {})
    roles = [pod.role for document in documents for pod in pods(document) if wanted.items() <= pod.labels.items()]
    if roles != ["head"]:
        yield f"is about {roles or 'no pod'}, and must be about the head of this run"
