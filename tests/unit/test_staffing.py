"""How many workers a run has, and how many clips each makes at once."""

from dataclasses import replace

import pytest

from cluster_tts.job import ClusterSettings, Job, QuotaSettings, WorkersSettings
from cluster_tts.staffing import LEAST_SLOTS, MOST_REMOTE_WORKERS, MOST_SLOTS, REMOTE_SLOTS, Staff, expected, staff

RAY, LOCAL = Job(engine="ray"), Job(engine="local")


@pytest.mark.parametrize(
    ("job", "cores", "hired"),
    [
        (RAY, 4, Staff(4, 1)),
        (RAY, 64, Staff(64, 1)),
        (LOCAL, 4, Staff(1, 4)),
        (replace(RAY, workers=WorkersSettings(count=3)), 4, Staff(3, 1)),
        (replace(RAY, workers=WorkersSettings(slots=2)), 4, Staff(4, 2)),
    ],
)
def test_an_embedded_voice_speaks_one_clip_a_core(job: Job, cores: int, hired: Staff) -> None:
    assert staff(job, embedded=True, cores=cores) == hired


@pytest.mark.parametrize(
    ("job", "cores", "hired"),
    [
        (RAY, 4, Staff(4, REMOTE_SLOTS)),
        (RAY, 64, Staff(MOST_REMOTE_WORKERS, REMOTE_SLOTS)),  # they only wait for a server
        (RAY, 0, Staff(1, REMOTE_SLOTS)),
        (LOCAL, 4, Staff(1, REMOTE_SLOTS)),
        (replace(RAY, workers=WorkersSettings(count=20)), 4, Staff(20, REMOTE_SLOTS)),
        (replace(LOCAL, workers=WorkersSettings(count=20)), 4, Staff(1, REMOTE_SLOTS)),
        (replace(RAY, workers=WorkersSettings(count=2, slots=3)), 4, Staff(2, 3)),
    ],
)
def test_who_waits_for_a_server_needs_no_core(job: Job, cores: int, hired: Staff) -> None:
    assert staff(job, embedded=False, cores=cores) == hired


@pytest.mark.parametrize(
    ("most", "cores", "slots"), [(3, 1, 16), (20, 1, 48), (20, 4, 16), (100, 4, 52), (5000, 1, 256)]
)
def test_twice_as_many_clips_are_in_the_making_as_may_be_in_flight(most: int, cores: int, slots: int) -> None:
    """While an answer is being checked, the next request waits at the gate already."""
    job = replace(RAY, quota=QuotaSettings(max_concurrent_requests=most))
    hired = staff(job, embedded=False, cores=cores)
    assert (hired.slots, LEAST_SLOTS, MOST_SLOTS) == (slots, 16, 256)
    assert hired.places >= min(2 * most, cores * MOST_SLOTS)


def test_before_a_run_has_seen_its_cluster_the_most_is_expected_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert expected(RAY).count == 2
    assert expected(replace(RAY, cluster=ClusterSettings(address="ray://there"))).count == MOST_REMOTE_WORKERS
    monkeypatch.setenv("RAY_ADDRESS", "there:6379")
    assert expected(RAY).count == MOST_REMOTE_WORKERS
    assert expected(LOCAL).count == 1
