"""What kubectl renders from k8s/ is accepted by every schema and breaks no rule."""

import pytest

pytest.importorskip("jsonschema", reason="checks manifests: pip install jsonschema kubernetes-validate cel-python")
pytest.importorskip("kubernetes_validate", reason="checks manifests: pip install kubernetes-validate")
pytest.importorskip("celpy", reason="checks manifests: pip install cel-python")

from tests.manifests.rendering import K8S, OVERLAYS, SETUPS, needs_kubectl, of_kind, rendered
from tests.manifests.rules import faults
from tests.manifests.schemas import RAY_KINDS, crds, refusals

pytestmark = needs_kubectl


@pytest.mark.parametrize("name", [*SETUPS, *OVERLAYS])
def test_what_is_rendered_breaks_no_rule(name: str) -> None:
    assert faults(rendered(name)) == []


@pytest.mark.parametrize("name", [*SETUPS, *OVERLAYS])
def test_core_kinds_are_what_kubernetes_says(name: str) -> None:
    for document in rendered(name):
        if document["kind"] not in RAY_KINDS:
            assert refusals(document) == []


@pytest.mark.skipif(crds() is None, reason="KubeRay's CRDs are not here: set CLUSTER_TTS_KUBERAY_CRDS to their folder")
@pytest.mark.parametrize("name", OVERLAYS)
def test_kinds_of_ray_are_what_kuberay_says(name: str) -> None:
    for document in rendered(name):
        if document["kind"] in RAY_KINDS:
            assert refusals(document) == []


def test_every_component_is_in_an_overlay_and_every_overlay_does_what_its_name_says() -> None:
    used = "".join((K8S / "overlays" / name / "kustomization.yaml").read_text(encoding="utf-8") for name in OVERLAYS)
    for kind in "base", "components":
        for folder in (K8S / kind).iterdir():
            assert f"{kind}/{folder.name}\n" in used or folder.name == "job", folder
    assert {name: [document["kind"] for document in rendered(name) if "spec" in document] for name in OVERLAYS} == {
        "single-pod": ["Job"],
        "single-pod-volume": ["Job"],
        "shards": ["Job"],
        "bulk": ["PodDisruptionBudget", "RayJob"],
        "bulk-volume": ["PodDisruptionBudget", "RayJob"],
        "bulk-spot": ["PodDisruptionBudget", "RayJob"],
        "bulk-kueue": ["PodDisruptionBudget", "RayJob"],
        "standing": ["PodDisruptionBudget", "RayCluster"],
    }


def test_what_two_lines_of_an_overlay_say_is_where_it_belongs() -> None:
    job = of_kind(rendered("shards"), "Job")["spec"]["template"]["spec"]["containers"][0]
    assert job["image"] == "registry.example/cluster-tts:0.1.0"
    assert job["args"][1:4] == [
        "s3://my-bucket/texts/$(JOB_COMPLETION_INDEX)/", "--out", "s3://my-bucket/audio/$(JOB_COMPLETION_INDEX)",
    ]  # fmt: skip
    spec = of_kind(rendered("bulk"), "RayJob")["spec"]
    assert spec["entrypoint"].split()[1:4] == ["/app/jobs/synthesize.py", "s3://my-bucket/texts/", "--out"]
    images = {
        template["spec"]["containers"][0]["image"]
        for template in (
            spec["submitterPodTemplate"],
            spec["rayClusterSpec"]["headGroupSpec"]["template"],
            spec["rayClusterSpec"]["workerGroupSpecs"][0]["template"],
        )
    }
    assert images == {"registry.example/cluster-tts:0.1.0"}
