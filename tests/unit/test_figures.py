"""The figures for whoever watches from outside are the report's own, and what is drawn of them exists."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster_tts.figures import COUNTER, DOCUMENTS, FIGURES, HISTOGRAM, read, snapshot, times
from cluster_tts.gauge import Gauge, budget_left
from cluster_tts.job import QuotaSettings
from cluster_tts.model import Outcome, Purse, Sound, Status
from cluster_tts.quota.limits import Limits, Standing
from cluster_tts.report import DocumentLine, Report, Totals

DOCS = Path(__file__).parent.parent.parent / "docs"
STANDING = Standing(
    account="a", limits=Limits(requests=100, in_flight=4), requests=50, characters=0, in_flight=3, waiting=7, granted=1,
    refused=0, cool_s=0.0, remaining=0.5, degraded_to=2, learned={}, parties=1, notes=(),
)  # fmt: skip


def outcome(status: Status, kind: str | None = None, **more: Any) -> Outcome:
    return Outcome(
        clip_id="c", document="d", chunk_index=0, attempt=1, status=status, characters=10, error_kind=kind, **more
    )


@pytest.fixture
def totals() -> Totals:
    totals = Totals()
    sound = Sound(frames=24_000, rate=24_000, size_bytes=1, sha256="")
    for each in (
        outcome(Status.SPOKEN, sound=sound, billed_characters=12, cost_usd=0.25, latency_s=0.3, gate_wait_s=1.5),
        outcome(Status.SPOKEN, sound=sound, billed_characters=12, cost_usd=0.25, latency_s=0.7),
        outcome(Status.FOUND, sound=sound),
        outcome(Status.RETRIED, "rate_limited", latency_s=0.1),
        outcome(Status.FAILED, "server_error", latency_s=2.0),
        outcome(Status.FAILED, "gate"),
    ):
        totals.count(each)
    return totals


def test_counters_are_what_the_report_counts(totals: Totals) -> None:
    values, report = read(totals, {}, Gauge(), None), totals.as_dict(10.0)
    for figure in FIGURES:
        key = figure.report.removeprefix("totals.")
        if figure.kind == COUNTER and figure.label is None:
            assert values[figure.name] == {"": report[key]}, figure.name
    assert values["cluster_tts_errors"] == report["errors"] == {"rate_limited": 1, "server_error": 1, "gate": 1}
    assert values["cluster_tts_clips"] == {str(status): report[str(status)] for status in Status}


def test_histograms_have_one_value_for_each_request(totals: Totals) -> None:
    found = times(totals)
    assert set(found) == {figure.name for figure in FIGURES if figure.kind == HISTOGRAM}
    assert {len(each) for each in found.values()} == {totals.asked.requests} == {4}
    assert list(found["cluster_tts_gate_wait_seconds"]) == [1.5, 0, 0, 0]


def test_gauges_tell_how_quota_documents_and_budget_stand(totals: Totals) -> None:
    gauge = Gauge()
    gauge.read(STANDING, 1.0)
    gauge.read(STANDING, 2.0)
    quota = QuotaSettings(budget_usd=2.0, budget_characters=240)
    left = budget_left(Purse(usd=1.5, characters=240), totals, quota)
    values = read(totals, {"whole": 2, "incomplete": 1}, gauge, left)
    report = gauge.as_dict() or {}
    assert values["cluster_tts_budget_left"] == {"": 0.5}, "of dollars, of which less is left than of characters"
    assert values["cluster_tts_documents"] == {"planned": 0, "whole": 2, "incomplete": 1, "unreadable": 0}
    assert values["cluster_tts_quota_in_use"] == {"": report["in_use"]} == {"": 0.75}
    assert values["cluster_tts_quota_used"] == {"": report["share_used"]}
    assert values["cluster_tts_in_flight"] == {"": report["in_flight"]} == {"": 3}
    assert values["cluster_tts_waiting"] == {"": report["waiting"]} == {"": 7}
    assert values["cluster_tts_degraded"] == {"": 1.0}


def test_what_is_not_known_is_left_out(totals: Totals) -> None:
    values, _ = snapshot(totals, {}, Gauge(), None)
    silent = {"quota_used", "quota_in_use", "in_flight", "waiting", "degraded", "budget_left"}
    kept = {figure.name for figure in FIGURES if figure.kind != HISTOGRAM}
    assert set(values) == kept - {f"cluster_tts_{name}" for name in silent}


@pytest.mark.parametrize(
    ("purse", "quota", "left"),
    [
        (Purse(), QuotaSettings(), None),
        (Purse(usd=1.0), QuotaSettings(budget_usd=2.0), 0.25),
        (Purse(usd=0.1), QuotaSettings(budget_usd=2.0), 0.0),
        (Purse(characters=100), QuotaSettings(budget_characters=100), 0.76),
    ],
)
def test_of_a_budget_is_left_what_neither_earlier_runs_nor_this_one_spent(
    purse: Purse, quota: QuotaSettings, left: float | None, totals: Totals
) -> None:
    assert budget_left(purse, totals, quota) == left


def test_every_figure_stands_in_the_report_where_it_says(totals: Totals) -> None:
    gauge = Gauge()
    gauge.read(STANDING, 1.0)
    document = DocumentLine("d", "whole", 1, 0, 10, 1.0, None, None, None)
    report = Report(
        run_id="r", status="whole", exit_code=0, started_at="", heartbeat="", message=None, documents=(document,),
        totals={**totals.as_dict(1.0), "budget_left": None}, quota=gauge.as_dict(),
    ).as_dict()  # fmt: skip
    for figure in FIGURES:
        part: Any = report
        for key in figure.report.split("."):
            part = part[key.removesuffix("[]")] if key != "<status>" else part["spoken"]
            part = part[0] if key.endswith("[]") else part


# -- what is drawn of them, and what alarms --------------------------------------------------------------------------

EXPORTED = {
    f"ray_{figure.name}{suffix}"
    for figure in FIGURES
    for suffix in {COUNTER: ("_total",), HISTOGRAM: ("_bucket",)}.get(figure.kind, ("",))
}
NAME = re.compile(r"\bray_\w+")


def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text())
    return content


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load((DOCS / "alerts.yaml").read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def test_every_figure_is_drawn_and_nothing_else_is() -> None:
    assert {name for each in expressions() for name in NAME.findall(each)} == EXPORTED


def test_alerts_are_about_figures_that_exist_and_say_what_to_do() -> None:
    assert {rule["alert"] for rule in rules()} == {
        "ClusterTtsRefused", "ClusterTtsDegraded", "ClusterTtsNoProgress", "ClusterTtsBudgetNearlyUsed",
        "ClusterTtsDocumentsIncomplete",
    }  # fmt: skip
    for rule in rules():
        names = NAME.findall(rule["expr"])
        assert names
        assert set(names) <= EXPORTED, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert {"summary", "description"} <= set(rule["annotations"])


def test_labels_that_are_asked_for_are_labels_that_are_given() -> None:
    labels = {f"ray_{figure.name}": {"provider", "WorkerId", figure.label} for figure in FIGURES}
    for expression in [*expressions(), *(rule["expr"] for rule in rules())]:
        for name, selector in re.findall(r"\b(ray_\w+)\{([^}]*)\}", expression):
            base = re.sub(r"_(total|bucket)$", "", name)
            asked = {label for label, _ in re.findall(r"(\w+)\s*(=~|!=|=|!~)", selector)}
            assert asked <= labels[base], expression
    values = {status for each in expressions() for status in re.findall(r'documents\{[^}]*status="(\w+)"', each)}
    assert values <= set(DOCUMENTS)


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    content = dashboard()
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(content)
    assert content["id"] is None, "else it would replace another"
    ids = [panel["id"] for panel in content["panels"]]
    assert len(ids) == len(set(ids))
    placed = [panel["gridPos"] for panel in content["panels"]]
    cells = [
        (x, y) for at in placed for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells)), "no panel covers another"
    assert max(x for x, _ in cells) < 24
    for panel in content["panels"]:
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert {target["refId"] for target in panel["targets"]}


def test_the_page_about_metrics_names_every_one_with_its_place_in_the_report() -> None:
    text = (DOCS / "metrics.md").read_text()
    for figure in FIGURES:
        suffix = "_total" if figure.kind == COUNTER else ""
        assert f"| `ray_{figure.name}{suffix}` |" in text, figure.name
        row = next(line for line in text.splitlines() if line.startswith(f"| `ray_{figure.name}{suffix}` |"))
        assert f"`{figure.report}`" in row, row
