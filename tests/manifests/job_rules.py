"""What the API server asks of a Job beyond its schema, and what our exit codes ask of it."""

from collections.abc import Iterator

from cluster_tts.commands import GRACE_S
from cluster_tts.errors import EXIT_CONTINUE, EXIT_INCOMPLETE, EXIT_OK, EXIT_REFUSED, EXIT_UNEXPECTED, EXIT_USAGE
from tests.manifests.pods import pods
from tests.manifests.rendering import Manifest

FINAL = {EXIT_USAGE, EXIT_INCOMPLETE, EXIT_REFUSED}  # no retry helps
AGAIN = {EXIT_CONTINUE, EXIT_UNEXPECTED, 137}
ACTIONS = ("Ignore", "FailJob", "FailIndex", "Count")
SLOW_S = 15
INDEX = "$(JOB_COMPLETION_INDEX)"
LEAST_SHM_BYTES = 80_000_000
UNITS = {"Mi": 2**20, "Gi": 2**30}


def faults_of_job(document: Manifest) -> Iterator[str]:
    """Of a Job: the run is its container's own process."""
    spec = document["spec"]
    [pod] = pods(document)
    indexed = spec.get("completionMode") == "Indexed"
    if spec.get("activeDeadlineSeconds", 0) <= 0:
        yield "has no activeDeadlineSeconds"
    if spec.get("ttlSecondsAfterFinished") is None:
        yield "is never cleaned up: set ttlSecondsAfterFinished"
    if spec.get("podReplacementPolicy") != "Failed":
        yield "may have two pods on one OUT: podReplacementPolicy must be Failed"
    if {"backoffLimitPerIndex", "maxFailedIndexes"} & set(spec) and not indexed:
        yield "has limits for each index, and is not Indexed"
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        yield "has maxFailedIndexes without backoffLimitPerIndex"
    if pod.grace_s < GRACE_S + SLOW_S:
        yield f"is killed after {pod.grace_s} s, and needs {GRACE_S:g} + {SLOW_S}"
    if pod.main.get("command"):
        yield "has a command in place of the image's tini: signals and dead children are nobody's"
    if "livenessProbe" in pod.main:
        yield "is killed by a livenessProbe when storage answers late"
    shm = [volume for volume in pod.spec.get("volumes", []) if volume["name"] == pod.mounts("emptyDir").get("/dev/shm")]
    if not shm or shm[0]["emptyDir"].get("medium") != "Memory" or _size(shm[0]["emptyDir"]) < LEAST_SHM_BYTES:
        yield "has no room in /dev/shm for Ray's object store"
    yield from _of_policy(spec, pod.main["name"], "FailIndex" if indexed else "FailJob")
    if indexed:
        yield from _of_shards(document, pod.main)


def _of_policy(spec: Manifest, container: str, final: str) -> Iterator[str]:
    rules = spec.get("podFailurePolicy", {}).get("rules", [])
    if not rules or rules[0].get("action") != "Ignore" or "DisruptionTarget" not in str(rules[0]):
        yield "counts a pod that was drained or preempted as a failure: Ignore DisruptionTarget first"
    for rule in rules:
        codes = rule.get("onExitCodes", {})
        values = codes.get("values", [])
        if rule.get("action") not in ACTIONS:
            yield f"has an action that is none: {rule.get('action')}"
        if values != sorted(set(values)) or (codes.get("operator") == "In" and 0 in values):
            yield f"has exit codes {values}: they must be in order, each once, and without 0"
        if codes and codes.get("containerName", container) != container:
            yield f"looks at a container {codes['containerName']}, which there is not"
        if rule.get("action") == "FailIndex" and "backoffLimitPerIndex" not in spec:
            yield "has FailIndex without backoffLimitPerIndex"
    wrong = {code for code in FINAL if _action(rules, code) != final}
    if wrong:
        yield f"tries again what no retry helps: {final} on {sorted(wrong)}"
    wrong = {code for code in AGAIN if _action(rules, code) != "Count"}
    if wrong:
        yield f"does not continue after {sorted(wrong)}"
    if _action(rules, EXIT_OK) != "Count":
        yield "has a rule for 0"


def _action(rules: list[Manifest], code: int) -> str:
    """What is done about a pod that ended with ``code``: as the first rule says that fits, else it counts."""
    for rule in rules:
        codes = rule.get("onExitCodes")
        if codes and (code in codes["values"]) == (codes["operator"] == "In") and (code or codes["operator"] == "In"):
            return str(rule["action"])
    return "Count"


def _of_shards(document: Manifest, container: Manifest) -> Iterator[str]:
    spec, words = document["spec"], container.get("args", [])
    out = words[words.index("--out") + 1] if "--out" in words else ""
    if INDEX not in out or not any(INDEX in word for word in words[1 : words.index("--out")] if out):
        yield f"has shards that share documents or OUT: both must hold {INDEX}"
    if not {"completions", "backoffLimitPerIndex"} <= set(spec):
        yield "needs completions and backoffLimitPerIndex"
    if spec.get("maxFailedIndexes", 0) > spec.get("completions", 0):
        yield "has more maxFailedIndexes than completions"
    if len(f"{document['metadata']['name']}-{spec.get('completions', 1) - 1}") > 63:
        yield "has a name that is too long for its pods' host names"


def _size(volume: Manifest) -> int:
    text = volume.get("sizeLimit", "0Mi")
    return int(text[:-2]) * UNITS[text[-2:]]
