"""The job: its layers and their order, what is refused and how it is named, and that it can be saved and read again."""

import dataclasses
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster_tts import config
from cluster_tts.config import load, to_yaml
from cluster_tts.errors import JobError, nearest
from cluster_tts.job import Job
from cluster_tts.ranges import RULES


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refusal(*overrides: str, files: tuple[Path, ...] = (), environ: dict[str, str] | None = None) -> str:
    with pytest.raises(JobError) as caught:
        load(files, overrides, environ or {})
    return str(caught.value)


def leaves(part: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


# -- layers -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own, with one provider."""
    folder = tmp_path / "conf"
    (folder / "provider").mkdir(parents=True)
    write(folder / "default.yaml", "retry: {max_attempts: 11}\nprovider: {name: tone}\n")
    monkeypatch.setattr(config, "conf_dir", lambda: folder)
    return folder


def test_each_layer_lies_over_the_one_before(conf: Path, tmp_path: Path) -> None:
    """Dataclass < default.yaml < provider file < -c files in their order < environment < key=value."""
    assert Job().retry.max_attempts == 4
    files: list[Path] = []
    environ: dict[str, str] = {}
    overrides: list[str] = []

    def attempts() -> int:
        return load(files, overrides, environ).retry.max_attempts

    assert attempts() == 11
    write(conf / "provider/tone.yaml", "retry: {max_attempts: 12}")
    assert attempts() == 12
    files.append(write(tmp_path / "z-first.yaml", "retry: {max_attempts: 13}"))
    assert attempts() == 13
    files.append(write(tmp_path / "a-second.yaml", "retry: {max_attempts: 14}"))
    assert attempts() == 14
    environ["CLUSTER_TTS_RETRY__MAX_ATTEMPTS"] = "15"
    assert attempts() == 15
    overrides.append("retry.max_attempts=16")
    assert attempts() == 16
    overrides.append("retry.max_attempts=17")
    assert attempts() == 17


@pytest.mark.parametrize("layer", ["file", "environment", "command line"])
def test_the_provider_file_is_that_of_the_provider_any_layer_names(conf: Path, tmp_path: Path, layer: str) -> None:
    write(conf / "provider/other.yaml", "provider: {voice: of the other}")
    write(conf / "provider/tone.yaml", "provider: {voice: of the tone}")
    job = load(
        [write(tmp_path / "job.yaml", "provider: {name: other}")] if layer == "file" else [],
        ["provider.name=other"] if layer == "command line" else [],
        {"CLUSTER_TTS_PROVIDER__NAME": "other"} if layer == "environment" else {},
    )
    assert (job.provider.name, job.provider.voice) == ("other", "of the other")


def test_a_provider_without_a_file_is_left_to_the_provider_table_to_refuse(conf: Path) -> None:
    assert load(overrides=["provider.name=nobody"], environ={}).provider.name == "nobody"


def test_a_layer_changes_the_keys_it_names_and_no_other(tmp_path: Path) -> None:
    file = write(tmp_path / "job.yaml", "stitching:\n  gap_ms: 7\nprovider:\n  options: {one: 1}\n")
    job = load([file], ["provider.options.two=2"], {})
    assert job.stitching == dataclasses.replace(load(environ={}).stitching, gap_ms=7)
    assert job.provider.options == {"one": 1, "two": 2}


def test_values_from_the_environment_have_the_type_of_their_key() -> None:
    job = load(environ={"CLUSTER_TTS_QUOTA__MAX_CONCURRENT_REQUESTS": "5", "CLUSTER_TTS_QUOTA__SHARE": "0.5"})
    assert (job.quota.max_concurrent_requests, job.quota.share) == (5, 0.5)


def test_variables_of_this_program_that_are_no_settings_and_of_other_programs_are_left_alone() -> None:
    environ = {"CLUSTER_TTS_STATE_DIR": "/x", "OPENAI_API_KEY": "k", "CLUSTER": "c"}
    assert load(environ=environ) == load(environ={})


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_TTS_STITCHING__GAP_MS", "33")
    assert load().stitching.gap_ms == 33


def test_empty_files_change_nothing(tmp_path: Path) -> None:
    assert load([write(tmp_path / "a.yaml", ""), write(tmp_path / "b.yaml", "# only a comment\n")], (), {}) == load(
        environ={}
    )


def test_null_takes_a_setting_back_where_it_may_be_absent(tmp_path: Path) -> None:
    file = write(tmp_path / "job.yaml", "check: {characters_per_second: null}\nprovider: {voice: null}")
    job = load([file], (), {})
    assert job.check.characters_per_second is None
    assert job.provider.voice is None


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("stiching.gap_ms", "stitching.gap_ms"),
        ("stitching.gap", "stitching.gap_ms"),
        ("quota.request_per_minute", "quota.requests_per_minute"),
        ("voice", "provider.voice"),
        ("gap_ms", "stitching.gap_ms"),
        ("Engine", "engine"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_valid_one(typed: str, meant: str) -> None:
    message = refusal(f"{typed}=3")
    assert f"'{typed}' on the command line" in message
    assert re.search(rf"did you mean .*\b{re.escape(meant)}\b.*\?", message)


def test_an_unknown_key_is_named_with_where_it_stands(tmp_path: Path) -> None:
    file = write(tmp_path / "job.yaml", "stiching:\n  gap_ms: 3\n")
    assert f"'stiching.gap_ms' in {file}: did you mean stitching.gap_ms" in refusal(files=(file,))
    message = refusal(environ={"CLUSTER_TTS_STICHING__GAP_MS": "3"})
    assert "'stiching.gap_ms' in the environment (CLUSTER_TTS_STICHING__GAP_MS)" in message


def test_a_key_like_no_other_gets_a_list_to_choose_from() -> None:
    assert "known are out, engine" in refusal("zzz=1")


def test_nearest_names_the_words_most_alike_else_the_first_dozen() -> None:
    assert nearest("spek", ["speak", "plan"]) == "did you mean speak?"
    assert nearest("q", ["speak", "plan"]) == "known are speak, plan"
    assert nearest("q", [f"word{n}" for n in range(20)]).endswith("word11, ...")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("retry.max_attempts", "2.5"),
        ("retry.max_attempts", "many"),
        ("retry.max_attempts", "null"),
        ("retry.max_attempts", "true"),
        ("quota.share", "half"),
        ("quota.burst", "1.5"),
        ("stitching.gap_ms", "a while"),
        ("chunking.join_paragraphs", "maybe"),
        ("provider.voice", "[a, b]"),
        ("provider.options", "5"),
        ("provider", "tone"),
        ("check.characters_per_second", "5"),
        ("check.characters_per_second", "[a, b]"),
        ("workers.count", "true"),
        ("out", "null"),
        ("engine", "null"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_its_key(key: str, value: str) -> None:
    message = refusal(f"{key}={value}")
    assert f"'{key}" in message
    assert "on the command line" in message


def test_a_value_of_the_wrong_type_is_named_with_where_it_stands(tmp_path: Path) -> None:
    file = write(tmp_path / "job.yaml", "quota:\n  share: half\n")
    message = refusal(files=(file,))
    assert "'quota.share'" in message
    assert str(file) in message
    message = refusal(environ={"CLUSTER_TTS_QUOTA__SHARE": "half"})
    assert "'quota.share'" in message
    assert "in the environment (CLUSTER_TTS_QUOTA__SHARE)" in message


@pytest.mark.parametrize("key", ["chunking.language", "provider.voice"])
def test_norwegian_is_not_taken_for_false(tmp_path: Path, key: str) -> None:
    """YAML reads a bare ``no`` as false, which as text would be the language "False"."""
    section, name = key.split(".")
    file = write(tmp_path / "job.yaml", f"{section}: {{{name}: no}}")
    with pytest.raises(JobError, match=f"'{key}' in .*put it in quotes"):
        load([file], (), {})
    for given in ("no", "'no'"):
        assert getattr(getattr(load(overrides=[f"{key}={given}"], environ={}), section), name) == "no"


@pytest.mark.parametrize(
    "text", ["0123", "12:30", "1e5", "1.10", "off", "2026-01-06", "a: b", "x # y", "${oc.env:HOME}"]
)
def test_a_text_on_the_command_line_and_in_the_environment_is_as_it_stands(text: str) -> None:
    """YAML 1.1 would make 83 of 0123 and 750 of 12:30, silently, and it would be paid for."""
    assert load(overrides=[f"provider.voice={text}"], environ={}).provider.voice == text
    assert load(environ={"CLUSTER_TTS_PROVIDER__VOICE": text}).provider.voice == text


def test_nothing_is_put_in_for_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-0123456789")
    file = write(tmp_path / "job.yaml", "provider: {options: {instructions: 'a ${oc.env:SOME_KEY} b'}}")
    job = load([file], ["provider.options.greeting=hello ${nowhere}"], {})
    assert job.provider.options == {"instructions": "a ${oc.env:SOME_KEY} b", "greeting": "hello ${nowhere}"}
    saved = write(tmp_path / "saved.yaml", to_yaml(job))
    assert load([saved], (), {}) == job


OUT_OF_RANGE = [
    ("out", "' '"),
    ("engine", "rocket"),
    ("provider.base_url", "ftp://host/v1"),
    ("provider.base_url", "host:8000/v1"),
    ("provider.base_url", "https://"),
    ("provider.base_url", "https://host:99999"),
    ("provider.base_url", "https://key@host"),
    ("provider.base_url", "https://host?key=secret"),
    ("provider.base_url", "'https://ho st'"),
    ("provider.base_url", "''"),
    ("provider.api_key_env", "sk-proj-secret"),
    ("provider.api_key_env", "sk_secret"),
    ("provider.timeout_s", "0"),
    ("provider.connect_timeout_s", "0"),
    ("provider.idle_timeout_s", "-1"),
    ("retry.max_attempts", "0"),
    ("chunking.max_characters", "0"),
    ("chunking.context_characters", "-1"),
    ("chunking.context_characters", "1001"),
    ("chunking.balance", "0"),
    ("chunking.balance", "1001"),
    ("check.characters_per_second", "[4]"),
    ("check.characters_per_second", "[0, 4]"),
    ("check.characters_per_second", "[40, 4]"),
    ("stitching.format", "wma"),
    ("stitching.sample_rate", "7999"),
    ("stitching.sample_rate", "192001"),
    ("stitching.gap_ms", "-1"),
    ("stitching.gap_ms", "60001"),
    ("stitching.paragraph_gap_ms", "-1"),
    ("stitching.speaker_gap_ms", "-1"),
    ("stitching.heading_gap_ms", "60001"),
    ("stitching.crossfade_ms", "2001"),
    ("stitching.loudness_lufs", "-8"),
    ("reading.dialogue", "perhaps"),
    ("timeline.fit", "tight"),
    ("timeline.group", "word"),
    ("timeline.pause_ms", "-1"),
    ("timeline.max_speed", "0.9"),
    ("timeline.max_stretch", "2.1"),
    ("timeline.max_shift_ms", "-1"),
    ("media.video", "all"),
    ("media.track", "over"),
    ("media.duck_db", "-1"),
    ("media.language", "english"),
    ("logging.format", "xml"),
    ("workers.count", "0"),
    ("workers.count", "several"),
    ("workers.slots", "0"),
    ("quota.requests_per_minute", "0"),
    ("quota.characters_per_minute", "-5"),
    ("quota.max_concurrent_requests", "0"),
    ("quota.burst", "0"),
    ("quota.burst_characters", "0"),
    ("quota.max_unknown", "0"),
    ("quota.weight", "0"),
    ("quota.weight", "inf"),
    ("quota.window_s", "0"),
    ("quota.window_s", "nan"),
    ("quota.window_s", "inf"),
    ("quota.guard_ms", "-1"),
    ("quota.share", "0"),
    ("quota.share", "1.01"),
    ("quota.weight", "0"),
    ("quota.max_unknown", "0"),
    ("quota.burst_characters", "0"),
    ("quota.patience_s", "0"),
    ("quota.budget_usd", "0"),
    ("quota.budget_usd", "inf"),
    ("quota.budget_characters", "-1"),
    ("catalogue.read_on", "yesterday"),
    ("catalogue.read_on", "2026-W47-5"),
    ("catalogue.counted_by", "key"),
    ("catalogue.latency_s", "-1"),
    ("catalogue.latency_s_per_character", "-1"),
    ("catalogue.models.m.unit", "rune"),
    ("catalogue.models.m.max_characters", "0"),
    ("catalogue.models.m.usd_per_million_characters", "-1"),
    ("catalogue.models.m.usd_per_minute", "-1"),
    ("catalogue.models.m.usd_per_machine_second", "-1"),
    ("catalogue.models.m.credits_per_character", "inf"),
    ("catalogue.models.m.shutdown", "2027-02-30"),
    ("catalogue.plans.p.requests_per_minute", "0"),
    ("catalogue.plans.p.characters_per_minute", "0"),
    ("catalogue.plans.p.max_concurrent_requests", "0"),
    ("catalogue.plans.p.burst", "0"),
    ("catalogue.plans.p.groups.g.requests_per_minute", "0"),
    ("catalogue.plans.p.groups.g.characters_per_minute", "0"),
    ("catalogue.plans.p.groups.g.max_concurrent_requests", "0"),
    ("catalogue.plans.p.groups.g.burst", "0"),
    ("catalogue.plans.p.models", "[[a]]"),
    ("catalogue.plans.p.usd_per_month", "-1"),
    ("catalogue.plans.p.credits_per_month", "0"),
    ("catalogue.classes.c.requests_per_minute", "0"),
    ("catalogue.classes.c.characters_per_minute", "0"),
    ("catalogue.classes.c.max_concurrent_requests", "0"),
    ("catalogue.classes.c.burst", "0"),
]


@pytest.mark.parametrize(("key", "value"), OUT_OF_RANGE)
def test_a_value_out_of_its_range_is_refused_by_its_key(key: str, value: str) -> None:
    assert refusal(f"{key}={value}").startswith(f"'{key}' is ")


def test_every_rule_is_tried_above() -> None:
    assert {key for key, _, _ in RULES} == {re.sub(r"\.[mpgc]\b", ".*", key) for key, _ in OUT_OF_RANGE}


@pytest.mark.parametrize(
    "setting", ["provider.api_key_env=sk-secret", "provider.base_url=https://secret@host", "provider.base_url=secret"]
)
def test_what_may_be_a_secret_is_not_repeated_in_the_refusal(setting: str) -> None:
    assert "secret" not in refusal(setting)


@pytest.mark.parametrize(
    "url", ["https://api.openai.com/v1", "http://localhost:8880/v1", "http://[::1]:8000", "https://host"]
)
def test_addresses_of_servers_hold(url: str) -> None:
    assert load(overrides=[f"provider.base_url={url}"], environ={}).provider.base_url == url


def test_values_at_the_edge_of_their_range_hold() -> None:
    load(
        overrides=[
            "retry.max_attempts=1", "chunking.max_characters=1", "stitching.sample_rate=192000", "stitching.gap_ms=0",
            "stitching.paragraph_gap_ms=60000", "workers.count=1", "workers.slots=auto", "quota.share=1",
            "quota.guard_ms=0", "quota.burst=1", "engine=local", "stitching.format=flac",
            "chunking.context_characters=1000", "provider.api_key_env=MY_KEY_2", "catalogue.latency_s=0",
            "catalogue.models.m.usd_per_minute=0", "catalogue.plans.p.usd_per_month=0",
        ],
        environ={},
    )  # fmt: skip


def test_mp3_knows_no_rate_above_48_khz() -> None:
    assert "sample_rate" in refusal("stitching.format=mp3", "stitching.sample_rate=96000")
    load(overrides=["stitching.format=mp3", "stitching.sample_rate=48000"], environ={})


@pytest.mark.parametrize(
    "content",
    ["a: [", "out: a\nout: b", "\t: x", "- a\n- b", "5", "true", "3.5", "out: &x [*x]", "a: !!python/object:os.x {}"],
)
def test_what_is_no_mapping_in_yaml_is_refused_by_the_file_that_holds_it(tmp_path: Path, content: str) -> None:
    file = write(tmp_path / "broken.yaml", content)
    assert str(file) in refusal(files=(file,))


def test_a_file_that_is_missing_a_folder_or_not_utf_8_is_refused_by_its_path(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"out: \xff\xfe")
    for path in (tmp_path / "none.yaml", tmp_path, latin):
        assert str(path) in refusal(files=(path,))


@pytest.mark.parametrize("text", ["provider.voice", "=5", "", "out={"])
def test_what_is_no_key_and_value_is_refused(text: str) -> None:
    """A key without a value must not quietly become null."""
    refusal(text)


# -- default.yaml -----------------------------------------------------------------------------------------------------


def test_default_yaml_holds_every_key_with_the_default_of_the_dataclass() -> None:
    content = yaml.safe_load((config.conf_dir() / "default.yaml").read_text(encoding="utf-8"))
    expected = dict(leaves(Job()))

    def flat(part: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for key, value in part.items():
            if isinstance(value, dict) and f"{prefix}{key}" not in expected:
                yield from flat(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    assert dict(flat(content)) == expected
    assert set(expected) == {re.sub(r"\.\*.*", "", key) for key in config.ALL_KEYS}


def test_every_key_of_default_yaml_has_a_comment() -> None:
    text = (config.conf_dir() / "default.yaml").read_text(encoding="utf-8")
    settings = [line for line in text.splitlines() if re.match(r"\s*\w+:\s*[^\s#]", line)]
    assert len(settings) == len(dict(leaves(Job())))
    assert [line for line in settings if "# " not in line] == []
    in_tables = {key.rpartition(".")[2] for key in config.ALL_KEYS if "*" in key}
    assert {field for field in in_tables if not re.search(rf"^# .*\b{field}\b", text, re.MULTILINE)} == set()


@pytest.mark.parametrize("name", [path.stem for path in (config.conf_dir() / "provider").glob("*.yaml")])
def test_every_provider_file_holds_valid_settings(name: str) -> None:
    assert load(overrides=[f"provider.name={name}"], environ={}).provider.name == name


# -- saving -----------------------------------------------------------------------------------------------------------


def test_a_saved_job_reads_back_equal(tmp_path: Path) -> None:
    job = load(
        overrides=[
            "out='Bücher: zwei #1'", "provider.name=tone", "provider.voice='no'", "provider.options.latency_s=0.25",
            "provider.options.list=[1, a, null]", "check.characters_per_second=null", "workers.count=3",
            "quota.requests_per_minute=600", "stitching.sample_rate=16000",
        ],
        environ={},
    )  # fmt: skip
    assert job.out == "Bücher: zwei #1"
    assert load([write(tmp_path / "job.yaml", to_yaml(job))], environ={}) == job


def test_reading_a_saved_job_does_not_look_at_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = write(tmp_path / "job.yaml", to_yaml(load(environ={})))
    monkeypatch.setenv("CLUSTER_TTS_STITCHING__GAP_MS", "33")
    assert load([saved], environ={}).stitching.gap_ms == 250


def test_what_is_loaded_is_plain_and_frozen() -> None:
    """Nothing past ``config`` has heard of OmegaConf."""
    job = load(overrides=["provider.options.a={b: [1]}"], environ={})
    assert type(job) is Job
    assert type(job.provider.options) is dict
    assert type(job.provider.options["a"]["b"]) is list
    assert type(job.check.characters_per_second) is list
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.out = "elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize(
    "given",
    [
        f"provider.name={'n' * 300}", "provider.name=../default", "provider.voice=\udc80", f"quota.share={'9' * 400}",
        f"provider.options={'[' * 5000}", "catalogue.plans.x=1", 'provider.options={a: "\udcff"}', "voices[a].b=1",
        "catalogue.models[\udc89].unit=byte",
    ],
)  # fmt: skip
def test_what_mutation_has_found_is_refused_in_words_or_taken(given: str) -> None:
    with suppress(JobError):
        to_yaml(load((), [given], {}))


@pytest.mark.parametrize("voice", ["12", "{b: c}", "[a]", "null", "''"])
def test_a_speaker_s_voice_is_a_text(tmp_path: Path, voice: str) -> None:
    with pytest.raises(JobError, match=r"^'voices\.ANNA' in "):
        load([write(tmp_path / "job.yaml", f"voices: {{ANNA: {voice}}}")], environ={})


def test_a_speaker_s_voice_on_the_command_line_means_itself() -> None:
    job = load((), ["voices.ANNA=0123", "voices.Ben Ali=12:30"], {"CLUSTER_TTS_VOICES__CARL": "7"})
    assert job.voices == {"ANNA": "0123", "Ben Ali": "12:30", "carl": "7"}


def test_a_provider_is_not_looked_for_outside_the_folder_of_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    monkeypatch.setattr(Path, "is_file", lambda path: bool(looked.append(path)))
    load((), ["provider.name=../job/x"], {})
    assert not [path for path in looked if ".." in path.parts]


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_address_is_not_taken_for_the_providers_own(value: str) -> None:
    told = "'provider.base_url' is empty: give an address, or null for the provider's own"
    with pytest.raises(JobError, match=told):
        load(overrides=[f"provider.base_url={value}"], environ={})
    with pytest.raises(JobError, match=told):
        load(environ={"CLUSTER_TTS_PROVIDER__BASE_URL": value})
    assert load(overrides=["provider.base_url=null"], environ={}).provider.base_url is None


def test_a_job_of_ours_is_meant_where_only_a_folder_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = load(["digest"], (), {})
    (tmp_path / "digest").mkdir()
    assert load(["digest"], (), {}) == ours
    (tmp_path / "digest").rmdir()
    write(tmp_path / "digest", "stitching: {gap_ms: 7}")
    assert load(["digest"], (), {}).stitching.gap_ms == 7
    (tmp_path / "texts").mkdir()
    with pytest.raises(JobError, match="Is a directory"):
        load(["texts"], (), {})
