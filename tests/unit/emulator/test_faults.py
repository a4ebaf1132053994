"""Faults: drawn from seed and arrival, never from the text; names in many spellings, each meaning one thing."""

from collections import Counter

import pytest

from cluster_tts.emulator import EMULATORS, wire_class
from cluster_tts.emulator.faults import CHARGED, TRANSPORT, Faults, plain
from cluster_tts.emulator.settings import Settings, read_rates
from cluster_tts.errors import JobError

TABLES = {
    "openai": ["400", "401", "403", "404", "429", "500", "502", "503", "504", "rate_limit_exceeded", "slow_down",
               "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
               "project_spend_limit_exceeded", "organization_usage_limit_exceeded", "server_is_overloaded",
               "invalid_api_key", "model_not_found"],
    "elevenlabs": ["400", "401", "402", "403", "422", "429", "500", "max_character_limit_exceeded", "voice_not_found",
                   "invalid_api_key", "missing_permissions", "detected_unusual_activity", "quota_exceeded",
                   "paid_plan_required", "only_for_creator+", "too_many_concurrent_requests",
                   "concurrent_limit_exceeded", "system_busy", "rate_limit_exceeded"],
    "cartesia": ["400", "401", "402", "404", "429", "500", "503", "concurrency_limited", "quota_exceeded",
                 "model_not_found"],
    "replicate": ["401", "402", "404", "422", "429", "500", "503", "failed", "canceled", "aborted", "expired",
                  "processing", "starting", "list_output", "data_output", "object_output", "file_404", "poll_429"],
}  # fmt: skip


@pytest.mark.parametrize("provider", EMULATORS)
def test_every_status_and_code_of_a_table_can_be_asked_for(provider: str) -> None:
    known = [*TRANSPORT, *wire_class(provider)(Settings(provider)).fault_names()]
    assert {"busy", *TABLES[provider]} <= set(known)
    Faults(dict.fromkeys([*TABLES[provider], "busy", "stall"], 0.01), known)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("cut-body", "cut"),
        ("cut_body", "cut"),
        ("empty-body", "empty"),
        ("header-only", "header_only"),
        ("Wrong-Format", "wrong_format"),
        ("bad_json", "json"),
        ("html-in-200", "html"),
        ("json_in_a_200", "json"),
        ("http-503", "503"),
        ("slow-down", "slow_down"),
        ("only_for_creator+", "only_for_creator+"),
    ],
)
def test_names_have_many_spellings(spelling: str, name: str) -> None:
    assert plain(spelling) == name


def test_an_unknown_name_lists_all() -> None:
    with pytest.raises(JobError, match=r"unknown fault 'eclipse': known are .*cut, .*wrong_format"):
        Faults({"eclipse": 0.1}, TRANSPORT)


def test_rates_add_up_to_at_most_1() -> None:
    Faults({"cut": 0.5, "stall": 0.5}, TRANSPORT)
    Faults(dict.fromkeys(TRANSPORT[:10], 0.1), TRANSPORT)
    with pytest.raises(JobError, match=r"add up to 1\.1"):
        Faults({"cut": 0.6, "stall": 0.5}, TRANSPORT)
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(JobError, match="must be from 0 to 1"):
            Faults({"cut": wrong}, TRANSPORT)


def test_what_is_drawn_depends_on_seed_and_arrival_alone() -> None:
    rates = {"cut": 0.2, "empty": 0.1}
    one, same, other = (Faults(rates, TRANSPORT, seed) for seed in (1, 1, 2))
    drawn = [one.draw(number) for number in range(1000)]
    assert drawn == [same.draw(number) for number in range(1000)]
    assert drawn != [other.draw(number) for number in range(1000)]
    counted = Counter(drawn)
    assert 150 < counted["cut"] < 250
    assert 60 < counted["empty"] < 140


def test_slowness_is_log_normal_with_a_median_of_1() -> None:
    faults = Faults({}, TRANSPORT)
    drawn = sorted(faults.slowness(number, 1.0) for number in range(2001))
    assert drawn[1000] == pytest.approx(1.0, rel=0.1)
    assert drawn[-40] > 6  # one in fifty takes more than six times as long
    assert faults.slowness(7, 0.0) == 1.0


def test_lateness_is_spread_evenly_and_follows_the_seed() -> None:
    drawn = [Faults({}, TRANSPORT, 1).lateness(number) for number in range(1000)]
    assert all(0 <= late < 1 for late in drawn)
    assert all(200 <= sum(low <= late < low + 0.25 for late in drawn) <= 300 for low in (0, 0.25, 0.5, 0.75))
    assert drawn[7] != Faults({}, TRANSPORT, 2).lateness(7)


def test_what_was_generated_is_charged_whatever_becomes_of_it() -> None:
    charged = {
        "stall",
        "hang",
        "cut",
        "cut_length",
        "cut_quietly",
        "empty",
        "header_only",
        "json",
        "html",
        "wrong_format",
    }
    assert charged == CHARGED


def test_rates_are_read_from_arguments() -> None:
    assert read_rates(["cut=0.05", "429=5%", "cut=0.01"]) == {"cut": pytest.approx(0.06), "429": 0.05}
    for wrong in ("cut", "cut=", "=0.1", "cut=often"):
        with pytest.raises(JobError, match="must be NAME=RATE"):
            read_rates([wrong])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"provider": "opnai"}, "did you mean openai"),
        ({"count": "leaky"}, "--count 'leaky'"),
        ({"port": 70_000}, "--port 70000"),
        ({"window_s": 0}, "--window 0 must be more than 0"),
        ({"requests_per_minute": -1}, "--requests-per-minute -1"),
        ({"latency_s": float("nan")}, "--latency nan"),
        ({"burst": 3}, "--burst is for --count bucket"),
        ({"burst": 0, "count": "bucket"}, "--burst 0"),
        ({"burst_characters": 3}, "--burst-characters is for --count bucket"),
        ({"burst_characters": 0, "count": "bucket"}, "--burst-characters 0"),
        ({"queue": True}, "--queue needs --max-concurrent"),
        ({"queue": True, "max_concurrent": 0}, "--queue needs --max-concurrent"),
        ({"travel_s": -1}, "--travel -1"),
        ({"log": -1}, "--log -1"),
        ({"requests_per_minute": 3, "window_s": 1}, "--window 20"),
        ({"plan": "gold"}, "--plan 'gold'"),
        ({"credit_status": 403}, "--credit-status '403'"),
        ({"self_hosted": True, "provider": "cartesia"}, "--self-hosted"),
    ],
)
def test_settings_that_make_no_sense_are_one_clear_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(JobError, match=message) as caught:
        Settings(**{"provider": "openai", **options})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
