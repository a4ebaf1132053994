"""Each of these is a manifest that somebody would write, and that does harm; each must be refused, by name."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("jsonschema", reason="checks manifests: pip install jsonschema kubernetes-validate cel-python")
pytest.importorskip("kubernetes_validate", reason="checks manifests: pip install kubernetes-validate")
pytest.importorskip("celpy", reason="checks manifests: pip install cel-python")

from tests.manifests.rendering import Manifest, needs_kubectl, rendered
from tests.manifests.rules import faults
from tests.manifests.schemas import RAY_KINDS, crds, refusals

pytestmark = needs_kubectl

HEAD = "spec.rayClusterSpec.headGroupSpec.template.spec"
WORKER = "spec.rayClusterSpec.workerGroupSpecs.0.template.spec"
GROUP = "spec.rayClusterSpec.workerGroupSpecs.0"
SUBMITTER = "spec.submitterPodTemplate.spec"
POD = "spec.template.spec"
RULES = "spec.podFailurePolicy.rules"
GONE: Any = object()

Change = tuple[str, Any]  # a path and what is put there


def changed(document: Manifest, *changes: Change) -> None:
    for path, value in changes:
        *way, last = path.split(".")
        place: Any = document
        for step in way:
            place = place[int(step) if isinstance(place, list) else step]
        key: Any = int(last) if isinstance(place, list) else last
        if value is GONE:
            del place[key]
        elif isinstance(place, list) and key == len(place):
            place.append(value)
        else:
            place[key] = value


def ray(name: str, says: str, *changes: Change, overlay: str = "bulk") -> Any:
    return pytest.param(overlay, "RayJob", changes, says, id=name)


def job(name: str, says: str, *changes: Change, overlay: str = "shards") -> Any:
    return pytest.param(overlay, "Job", changes, says, id=name)


def other(name: str, says: str, kind: str, *changes: Change, overlay: str = "bulk") -> Any:
    return pytest.param(overlay, kind, changes, says, id=name)


BY_RULES = [
    ray("a name that KubeRay cuts", "at most 47 characters", ("metadata.name", "a" * 48)),
    ray("a name that begins with a digit", "DNS-1035", ("metadata.name", "7-digests")),
    ray("a cluster that stays", "it leaks", ("spec.shutdownAfterJobFinishes", False)),
    ray("no deadline", "no activeDeadlineSeconds", ("spec.activeDeadlineSeconds", GONE)),
    ray("a deadline of nothing", "deadline or limit", ("spec.preRunningDeadlineSeconds", 0)),
    ray(
        "rules of deletion", "know no stopped job",
        ("spec.deletionStrategy", {"deletionRules": [{"policy": "DeleteCluster", "condition": {"jobStatus": "FAILED"}}]}),
    ),
    ray("a variable for the shell", "plain words", ("spec.entrypoint", "python /app/jobs/synthesize.py $TEXTS")),
    ray("two commands", "plain words", ("spec.entrypoint", "cd /app && python jobs/synthesize.py s3://a")),
    ray("a key in the entrypoint", "seems to hold a key", ("spec.entrypoint", "env OPENAI_API_KEY=abc123 python a.py")),
    ray(
        "a key in the runtime environment", "seems to hold a key",
        ("spec.runtimeEnvYAML", "env_vars:\n  RAY_JOB_STOP_WAIT_TIME_S: '60'\n  ELEVENLABS_API_KEY: abc123\n"),
    ),
    ray(
        "a key inline", "inline: refer to a secret",
        (f"{HEAD}.containers.0.env.0", {"name": "OPENAI_API_KEY", "value": "abc"}),
    ),
    ray("three seconds to stop", "is killed 3 s after `ray job stop`", ("spec.runtimeEnvYAML", "env_vars: {}\n")),
    ray("a driver anywhere", "leaves the head", ("spec.entrypointNumCpus", 1)),
    ray("a mode that there is not", "has the submissionMode Batch", ("spec.submissionMode", "Batch")),
    ray("a submitter that there is not", "SidecarMode", ("spec.submissionMode", "SidecarMode")),
    ray("another Ray than the image's", "has rayVersion 2.9.0", ("spec.rayClusterSpec.rayVersion", "2.9.0")),
    ray("no token", "takes jobs from whoever", ("spec.rayClusterSpec.authOptions", GONE)),
    ray("a gate that is closed", "has tlsOptions", ("spec.rayClusterSpec.tlsOptions", {"enabled": True})),
    ray("fewer than nothing", "minReplicas <= replicas <= maxReplicas", (f"{GROUP}.minReplicas", 9)),
    ray(
        "resources twice", "has its resources twice",
        ("spec.rayClusterSpec.headGroupSpec.resources", {"CPU": "1"}),
    ),
    ray(
        "workers on the head", "num-cpus must be",
        ("spec.rayClusterSpec.headGroupSpec.rayStartParams.num-cpus", "2"),
    ),
    ray("a head without preStop", "hears nothing of the pod's SIGTERM", (f"{HEAD}.containers.0.lifecycle", GONE)),
    ray("a head that is killed too early", "needs 45 + 30 + 15", (f"{HEAD}.terminationGracePeriodSeconds", 60)),
    ray("a worker that is killed too early", "worker is killed after 30 s", (f"{WORKER}.terminationGracePeriodSeconds", GONE)),
    ray("a head that restarts", "another restartPolicy", (f"{HEAD}.restartPolicy", "Always")),
    ray("a head on spot machines", "may be taken away", (f"{HEAD}.affinity", GONE)),
    ray("a submitter with capabilities", "submitter container ray-job-submitter keeps", (f"{SUBMITTER}.containers.0.securityContext.capabilities", GONE)),
    ray("an autoscaler that may gain privileges", "autoscaler may gain", ("spec.rayClusterSpec.autoscalerOptions.securityContext", GONE)),
    ray("an autoscaler without rights", "exactly where the autoscaler is", (f"{HEAD}.automountServiceAccountToken", False)),
    ray("a worker with rights", "exactly where the autoscaler is", (f"{WORKER}.automountServiceAccountToken", True)),
    ray("a root user", "user 1000", (f"{WORKER}.securityContext.runAsUser", 0)),
    ray("no seccomp profile", "no seccomp profile", (f"{SUBMITTER}.securityContext.seccompProfile", GONE)),
    ray("a folder of the node", "a folder of the node", (f"{WORKER}.volumes.3", {"name": "all", "hostPath": {"path": "/"}})),
    ray("a root that can be written", "root file system", (f"{WORKER}.containers.0.securityContext.readOnlyRootFilesystem", False)),
    ray("nowhere to write", "no emptyDir at /tmp", (f"{WORKER}.containers.0.volumeMounts.2", GONE)),
    ray("an image that moves", "another one tomorrow", (f"{WORKER}.containers.0.image", "registry.example:5000/cluster-tts")),
    ray("the newest image", "another one tomorrow", (f"{HEAD}.containers.0.image", "registry.example/cluster-tts:latest")),
    ray("services as settings", "services named cluster-tts-*", (f"{HEAD}.enableServiceLinks", GONE)),
    ray("probes by wget", "the image has no wget", (f"{HEAD}.containers.0.livenessProbe", {"exec": {"command": ["wget", "x"]}})),
    ray("no requests", "no requests for CPU", (f"{WORKER}.containers.0.resources", {})),
    ray("logs to stderr", "RAY_LOG_TO_STDERR", (f"{HEAD}.containers.0.env.0", {"name": "RAY_LOG_TO_STDERR", "value": "1"})),
    ray("workers without keys", "the same secrets", (f"{WORKER}.containers.0.envFrom", GONE)),
    ray("a submitter behind the wall", "the network policy does not know it", ("spec.submitterPodTemplate.metadata", GONE)),
    ray("a volume elsewhere on workers", "the same paths", (f"{WORKER}.containers.0.volumeMounts.3.mountPath", "/mnt"), overlay="bulk-volume"),
    ray("an owner for every file", "set on every file", (f"{WORKER}.securityContext.fsGroupChangePolicy", GONE), overlay="bulk-volume"),
    ray("a queue for what grows", "no autoscaling", ("spec.rayClusterSpec.enableInTreeAutoscaling", True), overlay="bulk-kueue"),
    job("exit codes that are tried for ever", "tries again what no retry helps", (f"{RULES}.1", GONE)),
    job("a bad account tried again", "FailIndex on [78]", (f"{RULES}.1.onExitCodes.values", [2, 3])),
    job("an interrupted run given up", "does not continue after [75]", (f"{RULES}.1.onExitCodes.values", [2, 3, 75, 78])),
    job("drained nodes counted", "Ignore DisruptionTarget first", (f"{RULES}.0", GONE)),
    job("an action that there is not", "is none: FailAll", (f"{RULES}.1.action", "FailAll")),
    job("exit codes in no order", "they must be in order", (f"{RULES}.1.onExitCodes.values", [78, 2, 3])),
    job("a container that there is not", "which there is not", (f"{RULES}.1.onExitCodes.containerName", "main")),
    job("an index without one", "is not Indexed", ("spec.completionMode", "NonIndexed")),
    job("FailIndex without its limit", "without backoffLimitPerIndex", ("spec.backoffLimitPerIndex", GONE)),
    job("a pod that restarts by itself", "another restartPolicy", (f"{POD}.restartPolicy", "OnFailure")),
    job("two pods on one OUT", "may have two pods", ("spec.podReplacementPolicy", "TerminatingOrFailed")),
    job("more pods than quota", "together they must have 1", ("spec.parallelism", 8)),
    job("shards in one OUT", "share documents or OUT", (f"{POD}.containers.0.args.3", "s3://my-bucket/audio")),
    job("every shard reads everything", "share documents or OUT", (f"{POD}.containers.0.args.1", "s3://my-bucket/texts/")),
    job("a shell in place of tini", "in place of the image's tini", (f"{POD}.containers.0.command", ["sh", "-c"])),
    job("64 MB of shared memory", "no room in /dev/shm", (f"{POD}.containers.0.volumeMounts.3", GONE)),
    job("killed while it writes", "is killed after 5 s", (f"{POD}.terminationGracePeriodSeconds", 5)),
    job("never cleaned up", "never cleaned up", ("spec.ttlSecondsAfterFinished", GONE)),
    job("a liveness probe", "when storage answers late", (f"{POD}.containers.0.livenessProbe", {"exec": {"command": ["true"]}})),
    other("a budget that nobody understands", "must have minAvailable 1", "PodDisruptionBudget", ("spec.minAvailable", GONE), ("spec.maxUnavailable", 0)),
    other("a budget for workers too", "is about ['head', 'worker'", "PodDisruptionBudget", ("spec.selector.matchLabels", {"app.kubernetes.io/part-of": "cluster-tts"})),
    other("a setting that is none", "unknown setting 'voise'", "ConfigMap", ("data", {"job.yaml": "voise: x"})),
    other("the CPUs of no workers", "workers.count must be a number", "ConfigMap", ("data", {"job.yaml": "{}"})),
    other("settings under another name", "which is not there", "ConfigMap", ("metadata.name", "settings")),
    other("clips that each pays for", "set clips.dir", "ConfigMap", ("data", {"job.yaml": "quota: {share: 0.25}"}), overlay="shards"),
    other("a namespace for everything", "not restricted", "Namespace", ("metadata.labels", GONE), overlay="setup"),
    other("a volume for one node", "ReadWriteMany", "PersistentVolumeClaim", ("spec.accessModes", ["ReadWriteOnce"]), overlay="setup-volume"),
]  # fmt: skip

OPEN = [
    ("egress to everybody", "reach anybody", ("spec.egress.2", {})),
    ("a port to everybody", "reach anybody", ("spec.egress.2.ports.0.port", 6379)),
    ("ingress from everybody", "lets anybody reach", ("spec.ingress.0", {})),
    ("ingress from every namespace", "any namespace", ("spec.ingress.0.from.0", {"namespaceSelector": {}})),
    ("an operator that is shut out", "shuts out the operator", ("spec.ingress.1", GONE)),
    ("egress forgotten", "not those of its rules", ("spec.policyTypes", ["Ingress"])),
]

BY_SCHEMA = [
    ray("a word misspelt", "backofLimit", ("spec.backofLimit", 1)),
    ray("a number as a text", "backoffLimit", ("spec.backoffLimit", "1")),
    ray("a parameter that is no text", "object-store-memory", ("spec.rayClusterSpec.headGroupSpec.rayStartParams.object-store-memory", 1)),
    ray("a container without a name", "'name' is a required", (f"{WORKER}.containers.0.name", GONE)),
    ray("a condition of two", "JobStatus and JobDeploymentStatus|jobStatus", (
        "spec.deletionStrategy",
        {"deletionRules": [{"policy": "DeleteSelf", "condition": {"jobStatus": "FAILED", "jobDeploymentStatus": "Failed"}}]},
    )),
    job("a word misspelt in a job", "tolerationz", (f"{POD}.tolerationz", [])),
]  # fmt: skip


def made(overlay: str, kind: str, changes: tuple[Change, ...]) -> tuple[list[Manifest], Manifest]:
    """Everything of an overlay with one object changed, and that object."""
    documents = rendered(overlay)
    broken = next(document for document in documents if document["kind"] == kind)
    changed(broken, *changes)
    return documents, broken


@pytest.mark.parametrize(("overlay", "kind", "changes", "says"), BY_RULES)
def test_what_does_harm_is_refused_by_a_rule(overlay: str, kind: str, changes: tuple[Change, ...], says: str) -> None:
    documents, _ = made(overlay, kind, changes)
    assert any(says in fault for fault in faults(documents)), faults(documents)


@pytest.mark.parametrize(("name", "says", "change"), OPEN, ids=[name for name, _, _ in OPEN])
def test_an_open_network_is_refused_by_a_rule(name: str, says: str, change: Change) -> None:
    documents, _ = made("setup", "NetworkPolicy", (change,))
    assert any(says in fault for fault in faults(documents)), name


@pytest.mark.parametrize(("overlay", "kind", "changes", "says"), BY_SCHEMA)
def test_what_the_server_does_not_know_is_refused_by_its_schema(
    overlay: str, kind: str, changes: tuple[Change, ...], says: str
) -> None:
    if kind in RAY_KINDS and crds() is None:
        pytest.skip("KubeRay's CRDs are not here: set CLUSTER_TTS_KUBERAY_CRDS to their folder")
    _, broken = made(overlay, kind, changes)
    refused = refusals(broken)
    assert any(word in refusal for refusal in refused for word in says.split("|")), refused


@pytest.mark.parametrize("name", ["setup", "setup-volume"])
def test_what_holds_the_audio_is_not_deleted_with_a_run(name: str) -> None:
    told = faults([*rendered(name), *rendered("bulk")])
    assert any("together with the volume or namespace" in fault for fault in told)


def test_a_secret_in_a_file_is_refused() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "a"}, "stringData": {}}
    assert any("is a secret in a file" in fault for fault in faults([secret]))


def test_a_change_is_made_where_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a manifest would pass for broken that was never touched."""
    document: Manifest = {"spec": {"list": [{"a": 1}], "gone": 1}}
    make: Callable[..., None] = changed
    make(document, ("spec.list.0.a", 2), ("spec.gone", GONE), ("spec.list.1", {"b": 1}))
    assert document == {"spec": {"list": [{"a": 2}, {"b": 1}]}}
