# ruff: noqa: E501 -- a table is none any more when its rows are broken
"""Every row of every provider's error table, every broken connection and every bad 200, each with its decision.

The provider asks its emulator, over loopback, through ``Synthesis``; nobody waits, for the clock is the test's. Each
case fails the same way for ever, so that its decision can be read off the number of attempts and the waits in between.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from itertools import product
from typing import NamedTuple

import pytest

from cluster_tts.emulator import EMULATORS, wire_class
from cluster_tts.emulator.faults import BAD_AUDIO, TRANSPORT
from cluster_tts.emulator.settings import Settings
from cluster_tts.emulator.wire import ErrorRow
from cluster_tts.errors import AccountRefused, Interrupted, JobError
from cluster_tts.job import Job
from cluster_tts.model import Status
from cluster_tts.providers import PROVIDERS, cartesia, elevenlabs, openai, replicate
from cluster_tts.providers.answers import COMMON, Row
from tests.provider.conftest import OWN, Emulate, SpeakAll, Time, job_over

pytestmark = pytest.mark.skipif(OWN is not None, reason="PROVIDER names one of one's own")

TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom."
NAMED_S = 7  # what refusals name that name a delay
PATIENCE_S = 30  # after which nothing but refusals ends the run


class Decision(NamedTuple):
    """What follows, as many attempts later as there are waits; ``cools``: the gate is told of each wait."""

    ends: Status | type[JobError]
    waits: tuple[float, ...] = ()
    cools: bool = False


# fmt: off
#                                ends         waits                          cools        how it is counted
AGAIN    = Decision(Status.FAILED,            (1, 2, 4))                                  # counted, up to max_attempts
LONGER   = Decision(Status.FAILED,            (4, 8, 16))                                 # counted
NAMED    = Decision(Interrupted,              (NAMED_S,) * 4,                True)        # not counted: patience ends
SLOWER   = Decision(Interrupted,              (1, 2, 4, 8, 16),              True)        # not counted
A_PLACE  = Decision(Interrupted,              (1, 2, 4, 4, 4, 4, 4, 4, 4))                # not counted
LOST     = Decision(Status.FAILED)                                                        # this clip never
HALT     = Decision(JobError)                                                             # no clip: exit code 2
REFUSED  = Decision(AccountRefused)                                                       # no clip: exit code 78
SPOKEN   = Decision(Status.SPOKEN)
# fmt: on


class Cost(NamedTuple):
    """What one attempt costs at the emulator, and what of it the manifest is told."""

    charged: int
    billed: int | None


FREE = Cost(0, None)
PAID = Cost(1, len(TEXT))
UNSEEN = Cost(1, None)  # generated, but nothing of it ever came
FEARED = Cost(0, len(TEXT))  # whether it is charged is unverified: counted rather than not
WAIVED = Cost(0, 0)


class Case(NamedTuple):
    """``fault`` is what the emulator is told, ``says`` the status and codes that the client reads ('': none came).

    With a ``row`` the emulator is given that first: only real servers are known to say so.
    """

    fault: str
    says: str
    kind: str
    decision: Decision
    cost: Cost = FREE
    row: ErrorRow | None = None

    @property
    def status(self) -> int | None:
        return int(self.says.split()[0]) if self.says else None

    @property
    def codes(self) -> list[str]:
        return self.says.partition(" ")[2].split("/")

    def __str__(self) -> str:
        return f"{self.says} (real)" if self.row else self.fault


def real(says: str, kind: str, decision: Decision, *codes: str) -> Case:
    """A case that the emulator is taught: its answer has this status and these codes."""
    status = int(says.split()[0])
    return Case(codes[-1] if codes else str(status), says, kind, decision, row=ErrorRow(status, codes, "", "Sorry."))


EVERYWHERE = (  # what holds for all, where their own tables say nothing; no emulator answers so of itself
    #    says     kind               decision
    real("307",   "",                HALT),
    real("401",   "account_refused", REFUSED),
    real("402",   "no_credit",       REFUSED),
    real("403",   "account_refused", REFUSED),
    real("404",   "",                HALT),
    real("405",   "",                HALT),
    real("408",   "server_error",    AGAIN),
    real("409",   "server_error",    AGAIN),
    real("410",   "",                HALT),
    real("418",   "refused_text",    LOST),
    real("425",   "server_error",    AGAIN),
    real("503",   "busy",            LONGER),
    real("507",   "server_error",    AGAIN),
    real("529",   "busy",            LONGER),
)  # fmt: skip
STREAMS = (  # how speech breaks off that is sent as it is made
    #    fault         says   kind         decision  cost
    Case("reset",      "",    "reset",     AGAIN),
    Case("hang",       "",    "timeout",   AGAIN,    UNSEEN),
    Case("stall",      "200", "timeout",   AGAIN,    PAID),
    Case("cut",        "200", "cut_audio", AGAIN,    PAID),
    Case("cut_length", "200", "cut_audio", AGAIN,    PAID),
)  # fmt: skip
OPENAI = (
    #    fault                                says                                                       kind               decision
    Case("400",                               "400 invalid_request_error",                               "refused_text",    LOST),
    real("400 invalid_model",                                                                            "",                HALT, "invalid_model"),
    Case("invalid_api_key",                   "401 invalid_api_key/invalid_request_error",               "account_refused", REFUSED),
    Case("403",                               "403 invalid_request_error",                               "account_refused", REFUSED),
    Case("model_not_found",                   "404 model_not_found/invalid_request_error",               "",                HALT),
    real("429",                                                                                          "rate_limited",    SLOWER),
    Case("rate_limit_exceeded",               "429 rate_limit_exceeded/requests",                        "rate_limited",    NAMED),
    Case("slow_down",                         "429 slow_down/rate_limit_error",                          "slow_down",       SLOWER),
    *(real(f"429 {code}",                                                                                "too_many_at_once", A_PLACE, code) for code in openai.CONCURRENCY),
    real("429 service_tier_capacity_exceeded",                                                           "busy",            LONGER, "service_tier_capacity_exceeded"),
    real("429 1113",                                                                                     "no_credit",       REFUSED, "1113"),
    Case("insufficient_quota",                "429 insufficient_quota",                                  "no_credit",       REFUSED),
    Case("credit_balance_exhausted",          "429 credit_balance_exhausted/insufficient_quota",         "no_credit",       REFUSED),
    Case("organization_spend_limit_exceeded", "429 organization_spend_limit_exceeded/insufficient_quota", "no_credit",      REFUSED),
    Case("project_spend_limit_exceeded",      "429 project_spend_limit_exceeded/insufficient_quota",     "no_credit",       REFUSED),
    Case("organization_usage_limit_exceeded", "429 organization_usage_limit_exceeded/insufficient_quota", "no_credit",      REFUSED),
    real("429 credit_balance_exhausted",                                                                 "no_credit",       REFUSED, "credit_balance_exhausted"),
    real("429 organization_spend_limit_exceeded",                                                        "no_credit",       REFUSED, "organization_spend_limit_exceeded"),
    real("429 project_spend_limit_exceeded",                                                             "no_credit",       REFUSED, "project_spend_limit_exceeded"),
    real("429 organization_usage_limit_exceeded",                                                        "no_credit",       REFUSED, "organization_usage_limit_exceeded"),
    Case("500",                               "500 server_error",                                        "server_error",    AGAIN),
    Case("502",                               "502",                                                     "server_error",    AGAIN),
    Case("busy",                              "503 server_is_overloaded/service_unavailable_error",      "busy",            LONGER),
    Case("504",                               "504",                                                     "server_error",    AGAIN),
    *STREAMS, *EVERYWHERE,
)  # fmt: skip
ELEVENLABS = (
    #    fault                          says                                                              kind                decision
    Case("max_character_limit_exceeded", "400 max_character_limit_exceeded/validation_error",             "refused_text",     LOST),
    Case("voice_not_found",             "400 voice_not_found/not_found",                                  "refused_text",     LOST),
    real("401 voice_not_found",                                                                           "refused_text",     LOST, "voice_not_found"),
    Case("invalid_api_key",             "401 invalid_api_key/authentication_error",                       "account_refused",  REFUSED),
    Case("missing_permissions",         "401 missing_permissions/authentication_error",                   "account_refused",  REFUSED),
    Case("detected_unusual_activity",   "401 detected_unusual_activity/authentication_error",             "account_refused",  REFUSED),
    Case("quota_exceeded",              "401 quota_exceeded/payment_required",                            "no_credit",        REFUSED),
    Case("402",                         "402 quota_exceeded/payment_required",                            "no_credit",        REFUSED),
    Case("paid_plan_required",          "402 paid_plan_required/payment_required",                        "account_refused",  REFUSED),
    Case("only_for_creator+",           "403 only_for_creator+/authorization_error",                      "account_refused",  REFUSED),
    Case("404",                         "404",                                                            "",                 HALT),
    Case("422",                         "422",                                                            "refused_text",     LOST),
    Case("too_many_concurrent_requests", "429 concurrent_limit_exceeded/too_many_concurrent_requests/rate_limit_error", "too_many_at_once", A_PLACE),
    real("429 too_many_concurrent_requests",                                                              "too_many_at_once", A_PLACE, "too_many_concurrent_requests"),
    real("429 concurrent_limit_exceeded",                                                                 "too_many_at_once", A_PLACE, "concurrent_limit_exceeded"),
    Case("busy",                        "429 system_busy/rate_limit_error",                               "busy",             LONGER),
    Case("rate_limit_exceeded",         "429 rate_limit_exceeded/rate_limit_error",                       "rate_limited",     SLOWER),
    real("429",                                                                                           "rate_limited",     SLOWER),
    Case("500",                         "500",                                                            "server_error",     AGAIN),
    Case("502",                         "502",                                                            "server_error",     AGAIN),
    Case("503",                         "503",                                                            "busy",             LONGER),
    Case("504",                         "504",                                                            "server_error",     AGAIN),
    *STREAMS, *EVERYWHERE,
)  # fmt: skip
CARTESIA = (
    #    fault                 says                       kind                decision
    Case("400",                "400",                     "refused_text",     LOST),
    Case("401",                "401",                     "account_refused",  REFUSED),
    Case("quota_exceeded",     "402 quota_exceeded",      "no_credit",        REFUSED),
    real("403 quota_exceeded",                            "no_credit",        REFUSED, "quota_exceeded"),
    Case("403",                "403",                     "account_refused",  REFUSED),
    Case("model_not_found",    "404 model_not_found",     "",                 HALT),
    real("404 voice_not_found",                           "refused_text",     LOST, "voice_not_found"),
    Case("422",                "422",                     "refused_text",     LOST),
    Case("concurrency_limited", "429 concurrency_limited", "too_many_at_once", A_PLACE),
    real("429",                                           "too_many_at_once", A_PLACE),
    Case("500",                "500",                     "server_error",     AGAIN),
    Case("502",                "502",                     "server_error",     AGAIN),
    Case("busy",               "503",                     "busy",             LONGER),
    Case("504",                "504",                     "server_error",     AGAIN),
    *STREAMS, *EVERYWHERE,
)  # fmt: skip
REPLICATE = (
    #    fault                 says    kind               decision
    Case("unauthenticated",    "401",  "account_refused", REFUSED),
    Case("insufficient_credit", "402", "no_credit",       REFUSED),
    Case("not_found",          "404",  "",                HALT),
    Case("validation_failed",  "422",  "refused_text",    LOST),
    Case("throttled",          "429",  "rate_limited",    NAMED),
    Case("500",                "500",  "server_error",    AGAIN),
    Case("502",                "502",  "server_error",    AGAIN),
    Case("busy",               "503",  "busy",            LONGER),
    Case("504",                "504",  "server_error",    AGAIN),
    Case("reset",              "",     "reset",           AGAIN),
    Case("hang",               "",     "timeout",         AGAIN,  UNSEEN),
    Case("stall",              "200",  "",                SPOKEN, PAID),  # the file is fetched again
    Case("cut",                "200",  "",                SPOKEN, PAID),
    Case("cut_length",         "200",  "",                SPOKEN, PAID),
    Case("list_output",        "200",  "",                SPOKEN, PAID),
    Case("data_output",        "200",  "",                SPOKEN, PAID),
    Case("object_output",      "200",  "",                SPOKEN, PAID),
    Case("processing",         "200",  "",                SPOKEN, PAID),
    Case("starting",           "200",  "",                SPOKEN, PAID),
    Case("poll_429",           "200",  "",                SPOKEN, PAID),
    Case("failed",             "200",  "model_failed",    AGAIN,  FEARED),
    Case("canceled",           "200",  "canceled",        AGAIN,  PAID),
    Case("aborted",            "200",  "aborted",         AGAIN,  WAIVED),
    Case("expired",            "200",  "expired",         AGAIN,  PAID),
    Case("file_404",           "200",  "expired",         AGAIN,  PAID),
    *EVERYWHERE,
)  # fmt: skip
CASES = {"cartesia": CARTESIA, "elevenlabs": ELEVENLABS, "openai": OPENAI, "replicate": REPLICATE}

BAD_200S: dict[str, dict[str, str]] = {  # kind of the failure, by what was asked for; each is paid, and AGAIN follows
    # "wav" has sizes that nobody filled in, "file" true ones, "raw" no header, "sse" is wav inside of events
    "cut_quietly":  {"wav": "cut_audio",    "file": "cut_audio",    "raw": "cut_audio",
                     "mp3": "cut_audio",    "flac": "cut_audio",    "ogg": "cut_audio",    "sse": "cut_audio"},
    "empty":        {"wav": "empty_audio",  "file": "empty_audio",  "raw": "empty_audio",
                     "mp3": "empty_audio",  "flac": "empty_audio",  "ogg": "empty_audio",  "sse": "cut_audio"},
    "header_only":  {"wav": "empty_audio",  "file": "cut_audio",    "raw": "implausible_length",
                     "mp3": "cut_audio",    "flac": "cut_audio",    "ogg": "cut_audio",    "sse": "cut_audio"},
    "json":         {"wav": "not_audio",    "file": "not_audio",    "raw": "not_audio",
                     "mp3": "not_audio",    "flac": "not_audio",    "ogg": "not_audio",    "sse": "cut_audio"},
    "html":         {"wav": "not_audio",    "file": "not_audio",    "raw": "not_audio",
                     "mp3": "not_audio",    "flac": "not_audio",    "ogg": "not_audio",    "sse": "cut_audio"},
    "wrong_format": {"wav": "wrong_format", "file": "wrong_format", "raw": "wrong_format",
                     "mp3": "wrong_format", "flac": "wrong_format", "ogg": "wrong_format", "sse": "cut_audio"},
}  # fmt: skip
FORMATS = {  # what is asked for, as which column above
    "cartesia": {
        "wav": "wav", "wav_pcm_mulaw_8000": "wav", "raw": "raw", "raw_pcm_f32le_22050": "raw",
        "raw_pcm_alaw_8000": "raw", "mp3": "mp3",
    },
    "elevenlabs": {
        "wav_24000": "wav", "pcm_24000": "raw", "ulaw_8000": "raw", "mp3_44100_128": "mp3", "mp3_22050_32": "mp3",
        "opus_48000_96": "ogg",
    },
    "openai": {"wav": "wav", "pcm": "raw", "mp3": "mp3", "flac": "flac", "opus": "ogg", "sse": "sse"},
    "replicate": {"wav": "file", "mp3": "mp3", "flac": "flac"},
}  # fmt: skip
FEW_BITS = {  # formats whose encoders smear an end that is none: in these the cut is looked for at many places
    "cartesia": ["mp3_44100_32", "mp3_24000_32", "mp3_22050_32", "mp3_16000_32", "mp3_8000_32"],
    "elevenlabs": ["mp3_44100_32", "mp3_44100_64", "mp3_24000_48", "mp3_22050_32", "opus_48000_32", "ulaw_8000"],
    "openai": ["mp3", "opus"],
    "replicate": ["mp3"],
}  # fmt: skip
CUTS = range(60, 300, 23)  # characters of the texts that are cut; none of the cuts is as far into a frame as another


def hurried(job: Job, fault: str) -> Job:
    """``job`` with time-outs that a stall is quick to reach."""
    timeout_s = 0.1 if fault == "hang" else job.provider.timeout_s
    idle_timeout_s = 0.5 if job.provider.name == "replicate" else 0.1  # once, for there it is fetched again
    return replace(job, provider=replace(job.provider, timeout_s=timeout_s, idle_timeout_s=idle_timeout_s))


@pytest.mark.parametrize(
    ("name", "case"), [pytest.param(name, case, id=f"{name}-{case}") for name, cases in CASES.items() for case in cases]
)
async def test_each_row_leads_to_its_decision(
    name: str, case: Case, emulate: Emulate, speak_all: SpeakAll, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case.row:
        monkeypatch.setattr(wire_class(name), "errors", (case.row, *wire_class(name).errors))
    emulator = await emulate(name, faults={case.fault: 1}, retry_after_s=NAMED_S)
    ended = await speak_all(hurried(job_over(emulator, quota__patience_s=PATIENCE_S), case.fault), TEXT)
    decision, attempts, stats = case.decision, len(case.decision.waits) + 1, emulator.stats()

    assert time.waits == list(decision.waits)
    assert ended.cooled == list(decision.waits if decision.cools else ())
    assert (stats["arrivals"], stats["charged"]) == (attempts, attempts * case.cost.charged)
    assert sorted(ended.clips.listing()) == [f"{0:032x}"] * (decision.ends is Status.SPOKEN)
    if isinstance(decision.ends, Status):
        assert ended.error is None
        assert ended.statuses == [Status.RETRIED] * (attempts - 1) + [decision.ends]
    else:
        assert type(ended.error) is decision.ends
        assert set(ended.statuses) <= {Status.RETRIED}, "neither made nor given up"
        assert len(ended.outcomes) == {AccountRefused: attempts, Interrupted: attempts - 1, JobError: 0}[decision.ends]
    assert ended.kinds == ({case.kind} if case.kind else set())
    assert {outcome.http_status for outcome in ended.outcomes} <= {case.status}
    assert {outcome.billed_characters for outcome in ended.outcomes} <= {case.cost.billed}
    if case.status and case.status >= 300:
        words = str(ended.error or ended.outcomes[-1].error_message)
        assert f"{name} answered {case.says}: " in words, "the message says who answered what"


def spoilt() -> Iterator[tuple[str, str, str]]:
    """Every provider, every format, every bad 200."""
    for name, forms in FORMATS.items():
        for form, fault in product(forms, BAD_200S):
            yield name, form, fault


@pytest.mark.parametrize(("name", "form", "fault"), list(spoilt()))
async def test_each_bad_200_is_tried_again_and_then_a_failure_and_never_a_clip(
    name: str, form: str, fault: str, emulate: Emulate, speak_all: SpeakAll, time: Time
) -> None:
    emulator = await emulate(name, faults={fault: 1})
    job = job_over(emulator)
    asked = {"options": {"stream_format": "sse"}} if form == "sse" else {"format": form}
    ended = await speak_all(replace(job, provider=replace(job.provider, **asked)), TEXT)
    assert not ended.clips.listing()
    assert ended.statuses == [Status.RETRIED] * 3 + [Status.FAILED]
    assert ended.kinds == {BAD_200S[fault][FORMATS[name][form]]}
    assert (time.waits, ended.cooled) == ([1, 2, 4], [])
    stats = emulator.stats()
    assert (stats["arrivals"], stats["charged"], stats["served"]) == (4, 4, 0)
    assert sum(outcome.billed_characters or 0 for outcome in ended.outcomes) == stats["charged_characters"]
    assert {outcome.http_status for outcome in ended.outcomes} == {200}


@pytest.mark.parametrize(("name", "form"), [(name, form) for name, forms in FEW_BITS.items() for form in forms])
async def test_speech_that_stops_early_is_noticed_wherever_it_stops(
    name: str, form: str, emulate: Emulate, speak_all: SpeakAll
) -> None:
    job = job_over(await emulate(name, faults={"cut_quietly": 1}), retry__max_attempts=1, provider__format=form)
    ended = await speak_all(job, *[(TEXT * 4)[:length] for length in CUTS])
    believed = [outcome.characters for outcome in ended.outcomes if outcome.status is Status.SPOKEN]
    assert believed == []
    assert ended.kinds == {"cut_audio"}


# -- the tables above are complete ------------------------------------------------------------------------------------

TABLES = {"cartesia": cartesia.TABLE, "elevenlabs": elevenlabs.TABLE, "openai": openai.TABLE,
          "replicate": replicate.TABLE}  # fmt: skip


def test_each_provider_with_a_server_has_a_table_here() -> None:
    modules = {name: import_module(target.partition(":")[0]) for name, target in PROVIDERS.items()}
    with_table = {name for name, module in modules.items() if hasattr(module, "TABLE")}
    assert with_table == set(EMULATORS) == set(CASES) == set(FORMATS)


@pytest.mark.parametrize("name", CASES)
def test_each_fault_of_the_emulator_has_a_case_and_each_case_a_fault(name: str) -> None:
    wire = wire_class(name)(Settings(name))
    asked = [case.fault for case in CASES[name] if not case.row]
    assert len(set(map(str, CASES[name]))) == len(CASES[name]), "no case twice"
    assert set(asked) <= {*wire.fault_names(), *TRANSPORT}
    assert {wire.row(fault) for fault in asked} >= set(wire.errors)
    assert {*asked, *BAD_200S} >= {"busy", *wire.own_faults, *TRANSPORT}
    assert set(BAD_200S) == set(BAD_AUDIO)


@pytest.mark.parametrize("name", CASES)
def test_each_row_of_the_client_decides_a_case(name: str) -> None:
    rows = [*TABLES[name], *COMMON]
    can_decide = [row for at, row in enumerate(rows) if (row[0], "") not in [earlier[:2] for earlier in rows[:at]]]
    decided = {next(row for row in rows if fits(row, case)) for case in CASES[name] if (case.status or 0) >= 300}
    assert [row for row in can_decide if row not in decided] == []


def fits(row: Row, case: Case) -> bool:
    assert case.status
    return row[0] in (case.status, f"{case.status // 100}xx", "*") and row[1] in ("", *case.codes)
