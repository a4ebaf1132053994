"""The pods that an object stands for, and the rules that hold for every one of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.manifests.rendering import Manifest

PART_OF = {"app.kubernetes.io/part-of": "cluster-tts"}  # by which the network policy knows them
WRITABLE = ("/home/tts", "/tmp")
SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
SECRET_TEXT = re.compile(
    r"(api_?key|token|secret|password)\w*\s*[=:]\s*['\"]?\w|\bsk[-_]\w{8}|\bAKIA\w{8}", re.IGNORECASE
)
NAMES_OF_SECRETS = re.compile(r"api_key_env|RAY_AUTH_MODE", re.IGNORECASE)  # which may be said
POD_LEVEL = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")


@dataclass(frozen=True, slots=True)
class Pod:
    """A template, and what it is for: run, head, worker or submitter. ``extra``: containers that the operator adds."""

    role: str
    template: Manifest
    extra: list[Manifest] = field(default_factory=list)
    scales: bool = False  # whether the autoscaler is in it

    @property
    def spec(self) -> Manifest:
        return self.template.get("spec", {})

    @property
    def labels(self) -> dict[str, str]:
        return self.template.get("metadata", {}).get("labels", {})

    @property
    def main(self) -> Manifest:
        return self.spec["containers"][0]

    @property
    def containers(self) -> list[Manifest]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"], *self.extra]

    @property
    def grace_s(self) -> int:
        return int(self.spec.get("terminationGracePeriodSeconds", 30))

    def variable(self, name: str) -> str | None:
        """The value of an environment variable of the first container."""
        return next((one.get("value") for one in self.main.get("env", []) if one["name"] == name), None)

    def mounts(self, source: str) -> dict[str, str]:
        """Where volumes of one kind are mounted in the first container: the volume's name by its path."""
        named = {volume["name"] for volume in self.spec.get("volumes", []) if source in volume}
        return {one["mountPath"]: one["name"] for one in self.main.get("volumeMounts", []) if one["name"] in named}


def pods(document: Manifest) -> list[Pod]:
    """The pods of one object, first the one that the driver is in."""
    spec = document.get("spec", {})
    if document["kind"] == "Job":
        return [Pod("run", spec["template"])]
    cluster = spec.get("rayClusterSpec", spec) if document["kind"] in ("RayJob", "RayCluster") else None
    if cluster is None:
        return []
    scales = bool(cluster.get("enableInTreeAutoscaling"))
    autoscaler = {"name": "autoscaler", "image": None, **cluster.get("autoscalerOptions", {})}
    found = [Pod("head", cluster["headGroupSpec"]["template"], [autoscaler] if scales else [], scales)]
    found += [Pod("worker", group["template"]) for group in cluster.get("workerGroupSpecs", [])]
    if document["kind"] == "RayJob":
        found.append(
            Pod("submitter", spec.get("submitterPodTemplate", {"spec": {"containers": [{"name": "default"}]}}))
        )
    return found


def faults_of_pod(pod: Pod) -> Iterator[str]:
    """What no pod may be, or lack."""
    spec, inside = pod.spec, pod.spec.get("securityContext", {})
    if not inside.get("runAsNonRoot") or inside.get("runAsUser") != 1000:
        yield "does not run as the image's user 1000, and not as root"
    if inside.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile RuntimeDefault"
    if "fsGroup" in inside and inside.get("fsGroupChangePolicy") != "OnRootMismatch":
        yield "has an fsGroup that is set on every file at every start: fsGroupChangePolicy must be OnRootMismatch"
    for name in POD_LEVEL:
        if spec.get(name):
            yield f"has {name}"
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            yield f"mounts a folder of the node as {volume['name']}"
    if spec.get("restartPolicy") != "Never":
        yield "has another restartPolicy than Never"
    if spec.get("enableServiceLinks") is not False:
        yield "has service links: services named cluster-tts-* become variables CLUSTER_TTS_*, which are settings"
    if PART_OF.items() - pod.labels.items():
        yield f"has no label {PART_OF}: the network policy does not know it"
    if bool(spec.get("automountServiceAccountToken", True)) != pod.scales:
        yield "needs automountServiceAccountToken exactly where the autoscaler is"
    for container in pod.containers:
        for fault in faults_of_container(pod, container):
            yield f"container {container['name']} {fault}"


def faults_of_container(pod: Pod, container: Manifest) -> Iterator[str]:
    """What no container may be, or lack; the autoscaler's among them, whose image is the head's."""
    inside = container.get("securityContext", {})
    if inside.get("allowPrivilegeEscalation") is not False or inside.get("privileged"):
        yield "may gain privileges"
    if inside.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if not inside.get("readOnlyRootFilesystem"):
        yield "has a root file system that can be written"
    if inside.get("runAsNonRoot") is False or inside.get("runAsUser", 1000) == 0:
        yield "runs as root"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "takes a port of the node"
    image = container.get("image", "")
    if image is not None and "@sha256:" not in image and image.rpartition("/")[2].partition(":")[2] in ("", "latest"):
        yield f"has the image '{image}', which is another one tomorrow: give it a tag"
    mounted = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
    for path in WRITABLE:
        if "emptyDir" not in volumes.get(mounted.get(path, ""), {}):
            yield f"has no emptyDir at {path}"
    if missing := set(mounted.values()) - set(volumes):
        yield f"mounts what is no volume: {sorted(missing)}"
    yield from faults_of_resources(container.get("resources", {}))
    for variable in container.get("env", []):
        if SECRET_NAME.search(variable["name"]) and variable.get("value"):
            yield f"has {variable['name']} inline: refer to a secret"
    if "RAY_LOG_TO_STDERR" in {variable["name"] for variable in container.get("env", [])}:
        yield "has RAY_LOG_TO_STDERR: the job's log, which the operator follows, breaks"


def faults_of_resources(resources: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Requests, without which it lands anywhere; and memory that is as much as it may become."""
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    if not {"cpu", "memory"} <= set(requests) or "memory" not in limits:
        yield "has no requests for CPU and memory, or no limit of memory"


def texts_with_secrets(value: Any, place: str = "") -> Iterator[str]:
    """Where a text looks as if it held a key: commands, arguments, settings, whatever can be read in the object."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from texts_with_secrets(part, f"{place}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from texts_with_secrets(part, place)
    elif isinstance(value, str):
        for line in value.splitlines():
            if SECRET_TEXT.search(line.partition("#")[0]) and not NAMES_OF_SECRETS.search(line):
                yield f"{place.strip('.')} seems to hold a key, and everybody can read it there"
