"""What KubeRay's operator, or Ray, asks of a RayJob and a RayCluster, and no schema says."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import yaml

from tests.manifests.pods import Pod, pods
from tests.manifests.rendering import Manifest

LONGEST = {"RayJob": 47, "RayCluster": 53}
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
PLAIN_COMMAND = re.compile(r"[\w./:@%+,=?-]+( [\w./:@%+,=?-]+)*")
MODES = ("K8sJobMode", "HTTPMode", "SidecarMode")
ALPHA = ("networkPolicy", "tlsOptions", "historyServerOptions", "gcsFaultToleranceOptions")
SLOW_S = 15  # beyond the orderly end of everything
STOP_WAIT_S = 20  # what a driver needs between `ray job stop` and SIGKILL
PARAMETERS_OF_RESOURCES = {"num-cpus", "num-gpus", "memory", "resources"}
AGENT_PORT, DRAIN_S = 52365, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
QUEUE = "kueue.x-k8s.io/queue-name"
SPOT = {
    "cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority", "eks.amazonaws.com/capacityType",
    "karpenter.sh/capacity-type",
}  # fmt: skip


def faults_of_ray(document: Manifest) -> Iterator[str]:
    """Of a RayJob with the cluster in it, or of a RayCluster."""
    name, spec = document["metadata"]["name"], document["spec"]
    if len(name) > LONGEST[document["kind"]] or not DNS_1035.fullmatch(name):
        yield f"is named '{name}': at most {LONGEST[document['kind']]} characters, a letter first (DNS-1035)"
    if document["kind"] == "RayJob":
        yield from _of_job(spec)
        cluster = spec.get("rayClusterSpec")
        if cluster is None:
            return
    else:
        cluster = spec
    yield from _of_cluster(cluster)
    yield from _of_pods(document, cluster)
    if QUEUE in document["metadata"].get("labels", {}):
        yield from _of_queue(spec, cluster)


def _of_job(spec: Manifest) -> Iterator[str]:
    if not spec.get("shutdownAfterJobFinishes"):
        yield "does not shut its cluster down: it leaks"
        if spec.get("ttlSecondsAfterFinished"):
            yield "has ttlSecondsAfterFinished without shutdownAfterJobFinishes"
        if spec.get("suspend"):
            yield "cannot be suspended without shutdownAfterJobFinishes"
    if spec.get("deletionStrategy"):
        yield "has a deletionStrategy: its rules know no stopped job, and exclude shutdownAfterJobFinishes"
        if "DeleteWorkers" in str(spec["deletionStrategy"]) and _scales(spec.get("rayClusterSpec", {})):
            yield "cannot DeleteWorkers of an autoscaled cluster"
    if spec.get("activeDeadlineSeconds", 0) <= 0:
        yield "has no activeDeadlineSeconds"
    if spec.get("preRunningDeadlineSeconds", 1) <= 0 or spec.get("backoffLimit", 0) < 0:
        yield "has a deadline or limit that is not positive"
    if spec.get("clusterSelector") or "rayClusterSpec" not in spec:
        yield "has no cluster of its own: retries and clean-up are made for one that comes and goes with it"
    if not PLAIN_COMMAND.fullmatch(spec.get("entrypoint", "")):
        yield f"has the entrypoint {spec.get('entrypoint')!r}: it goes through two shells, so it must be plain words"
    if {"entrypointNumCpus", "entrypointNumGpus", "entrypointResources"} & set(spec):
        yield "asks for resources for its driver, which then leaves the head for any node"
    if spec.get("submissionMode", MODES[0]) not in MODES:
        yield f"has the submissionMode {spec['submissionMode']}, which starts no run by itself, or is none"
    if spec.get("submissionMode") == "SidecarMode" and {"submitterPodTemplate", "submitterConfig"} & set(spec):
        yield "has a submitter's fields in SidecarMode"
    environment = (yaml.safe_load(spec.get("runtimeEnvYAML", "")) or {}).get("env_vars", {})
    if int(environment.get("RAY_JOB_STOP_WAIT_TIME_S", 3)) < STOP_WAIT_S:
        yield f"is killed {environment.get('RAY_JOB_STOP_WAIT_TIME_S', 3)} s after `ray job stop`: set the wait"


def _of_cluster(cluster: Manifest) -> Iterator[str]:
    if cluster.get("rayVersion") != version("ray"):
        yield f"has rayVersion {cluster.get('rayVersion')}, and the image Ray {version('ray')}"
    if cluster.get("authOptions", {}).get("mode") != "token":
        yield "takes jobs from whoever reaches it: authOptions.mode must be token"
    for name in ALPHA:
        if name in cluster:
            yield f"has {name}, which operators refuse unless a gate is open, or is of no use to a job"
    groups = cluster.get("workerGroupSpecs", [])
    for group in groups:
        least, most = group.get("minReplicas"), group.get("maxReplicas")
        if least is None or most is None or not 0 <= least <= group.get("replicas", least) <= most:
            yield f"group {group['groupName']} needs minReplicas <= replicas <= maxReplicas"
    for name, group in [("head", cluster["headGroupSpec"]), *((group["groupName"], group) for group in groups)]:
        parameters: dict[str, Any] = group.get("rayStartParams", {})
        if wrong := [key for key, value in parameters.items() if not isinstance(value, str)]:
            yield f"group {name} has rayStartParams that are no texts: {wrong}"
        if PARAMETERS_OF_RESOURCES & set(parameters) and group.get("resources"):
            yield f"group {name} has its resources twice"
        if "labels" in parameters:
            yield f"group {name} has labels among rayStartParams"
    if cluster["headGroupSpec"].get("rayStartParams", {}).get("num-cpus") != "0":
        yield 'has workers on the head, beside the driver: num-cpus must be "0"'


def _of_pods(document: Manifest, cluster: Manifest) -> Iterator[str]:
    found = pods(document)
    for pod in found:
        if pod.role == "submitter":
            continue
        drain_s = int(pod.variable(DRAIN_S) or 30)
        for name in "livenessProbe", "readinessProbe":
            if pod.main.get(name, {}).get("httpGet", {}).get("port") != AGENT_PORT:
                yield f"{pod.role} has no {name} that asks Ray's agent by HTTP: the image has no wget"
        if pod.variable("RAY_USAGE_STATS_ENABLED") != "0":
            yield f"{pod.role} sends usage statistics"
        first_s = _pre_stop_s(pod) if pod.role == "head" else 0
        if pod.role == "head" and not first_s:
            yield "head has no preStop that ends the driver: it hears nothing of the pod's SIGTERM"
        if pod.grace_s < first_s + drain_s + SLOW_S:
            yield f"{pod.role} is killed after {pod.grace_s} s, and needs {first_s} + {drain_s} + {SLOW_S}"
    head, workers = found[0], [pod for pod in found if pod.role == "worker"]
    if _spot(head, "NotIn") != SPOT or head.spec.get("tolerations"):
        yield "head may be put on a machine that may be taken away"
    for worker in workers:
        if worker.spec.get("tolerations") and _spot(worker, "In") != SPOT:
            yield "worker may be put on machines that may be taken away, and need not"
        if worker.mounts("persistentVolumeClaim") != head.mounts("persistentVolumeClaim"):
            yield "worker and head do not see the same volumes at the same paths"
        if worker.main.get("envFrom") != head.main.get("envFrom"):
            yield "worker and head do not get the same secrets"


def _of_queue(spec: Manifest, cluster: Manifest) -> Iterator[str]:
    if _scales(cluster):
        yield "waits in a queue of Kueue, which counts what it will have: no autoscaling"
    if spec.get("clusterSelector") or len(cluster.get("workerGroupSpecs", [])) > 7:
        yield "is more than Kueue can count: no clusterSelector, at most 7 groups of workers"


def _scales(cluster: Manifest) -> bool:
    return bool(cluster.get("enableInTreeAutoscaling"))


def _pre_stop_s(pod: Pod) -> int:
    """How long the preStop hook may wait for the driver; 0 where there is none."""
    command = pod.main.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    if command[:3] != ["python", "/app/driver.py", "stop"]:
        return 0
    return int(command[command.index("--within") + 1]) if "--within" in command else 45


def _spot(pod: Pod, operator: str) -> set[str]:
    """The labels of such machines that its affinity names, with this operator."""
    required = pod.spec.get("affinity", {}).get("nodeAffinity", {})
    terms = required.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
    rules = [rule for term in terms for rule in term.get("matchExpressions", [])]
    return {rule["key"] for rule in rules if rule["operator"] == operator}
