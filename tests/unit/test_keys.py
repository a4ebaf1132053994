"""API keys: where they are found, what goes to other nodes, and that no message shows them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster_tts import keys
from cluster_tts.errors import JobError
from cluster_tts.job import Job, ProviderSettings, QuotaSettings

NAME = "TEST_API_KEY"
OPENAI = ProviderSettings("openai", api_key_env=NAME)

Write = Callable[[str | bytes], None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process that holds no key yet, in a folder of its own."""
    monkeypatch.setattr(keys, "_handed_over", {})
    monkeypatch.setattr(keys, "_seen", set())
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes ``.env``."""

    def write(content: str | bytes) -> None:
        (folder / ".env").write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


# Where a key is found


def test_no_key_anywhere() -> None:
    assert keys.find(NAME) is None
    assert keys.find(None) is None
    assert keys.find("") is None


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (f"{NAME}=sk-1", "sk-1"),
        (f"{NAME} = sk-1 ", "sk-1"),
        (f"export {NAME}=sk-1\n", "sk-1"),
        (f"{NAME}='sk-1'\r\n", "sk-1"),
        (f'{NAME}="sk-1" # mine\n', "sk-1"),
        (f"# {NAME}=sk-0\n\nOTHER=é\n{NAME}=sk-1#2\n", "sk-1#2"),
        (f"{NAME}=sk-0\n{NAME}=sk-1\n", "sk-1"),
        (f"\ufeff{NAME}=sk-1\n", "sk-1"),
        (f"{NAME}=\n", None),
        (f"{NAME}\n", None),
        (f"{NAME}='  '\n", None),
        ("", None),
        ("OTHER=sk-1\n", None),
    ],
)
def test_key_in_a_file_beside_the_command(write: Write, content: str, key: str | None) -> None:
    write(content)
    assert keys.find(NAME) == key


def test_environment_goes_before_what_was_handed_over_and_that_before_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(f"{NAME}=of-file")
    assert keys.find(NAME) == "of-file"
    keys.hand_over({NAME: "handed-over"})
    assert keys.find(NAME) == "handed-over"
    monkeypatch.setenv(NAME, "of-environment")
    assert keys.find(NAME) == "of-environment"


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_a_blank_variable_hides_no_key(write: Write, monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    write(f"{NAME}=of-file")
    monkeypatch.setenv(NAME, blank)
    assert keys.find(NAME) == "of-file"
    assert keys.to_hand_over(OPENAI) == {NAME: "of-file"}


def test_white_space_around_a_key_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, " sk-1\n")
    assert keys.find(NAME) == "sk-1"


def test_the_folder_is_that_of_now(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(f"{NAME}=sk-1")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert keys.find(NAME) is None


@pytest.mark.parametrize("key", ["sk-“1”", "sk-1\nsk-2", "sk\t1", "clé", "sk-\u200b1"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(NAME, key)
    with pytest.raises(JobError, match=f"the key in {NAME} holds characters that no key has") as refused:
        keys.find(NAME)
    assert key not in str(refused.value)


def test_a_file_in_another_encoding_is_an_error_that_names_it(write: Write, folder: Path) -> None:
    write(f"{NAME}=sk-1 # für später".encode("latin-1"))
    with pytest.raises(JobError, match=r"cannot read '.*/.env'"):
        keys.find(NAME)


def test_a_file_that_may_not_be_read_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(keys, "dotenv_values", refuse)
    with pytest.raises(JobError, match=r"cannot read '.*/.env': .*Permission denied"):
        keys.find(NAME)


def test_reading_the_file_leaves_the_environment_alone(write: Write) -> None:
    write(f"{NAME}=sk-1")
    keys.find(NAME)
    assert NAME not in os.environ


# Whether one is needed


@pytest.mark.parametrize(
    "settings",
    [
        ProviderSettings("openai", api_key_env=NAME, base_url="http://127.0.0.1:8880/v1"),
        ProviderSettings("hibari"),
    ],
)
def test_servers_of_ones_own_and_embedded_voices_need_no_key(settings: ProviderSettings) -> None:
    keys.require(settings)


def test_the_providers_own_servers_need_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobError, match=f"there is no API key for openai: set {NAME} in the environment or in a file"):
        keys.require(OPENAI)
    monkeypatch.setenv(NAME, "sk-1")
    keys.require(OPENAI)


# What goes to other nodes


def test_the_key_of_the_file_is_handed_over_and_no_other(write: Write) -> None:
    write(f"{NAME}=of-file\nOTHER_API_KEY=another")
    assert keys.to_hand_over(OPENAI) == {NAME: "of-file"}
    assert keys.to_hand_over(ProviderSettings("hibari")) == {}
    assert keys.to_hand_over(ProviderSettings("openai", api_key_env="NO_SUCH_KEY")) == {}


def test_a_key_of_the_environment_is_not_handed_over(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(f"{NAME}=of-file")
    monkeypatch.setenv(NAME, "of-environment")
    assert keys.to_hand_over(OPENAI) == {}


def test_what_was_handed_over_is_found() -> None:
    keys.hand_over({NAME: "sk-1"})
    keys.hand_over({"OTHER_API_KEY": "sk-2"})
    assert (keys.find(NAME), keys.find("OTHER_API_KEY")) == ("sk-1", "sk-2")


# Messages


def test_keys_that_were_found_are_taken_out_of_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "sk-12345")
    assert keys.redact("bad key: sk-12345.") == "bad key: sk-12345.", "not known yet"
    keys.find(NAME)
    keys.hand_over({"OTHER_API_KEY": "r8_abcdef"})
    keys.find("OTHER_API_KEY")
    assert keys.redact("sk-12345, sk-12345 and r8_abcdef") == "***, *** and ***"


def test_a_key_so_short_that_it_may_be_a_word_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, told in (("sevenly", "a sevenly one"), ("eightful", "a *** one")):
        monkeypatch.setenv(NAME, key)
        keys.find(NAME)
        assert keys.redact(f"a {key} one") == told


def test_a_key_that_holds_another_is_taken_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"KEY_{length}" for length in range(8, 40)]
    for length, name in enumerate(names, 8):
        monkeypatch.setenv(name, "abcdefghijklmnopqrstuvwxyz0123456789ABCD"[:length])
        keys.find(name)
    assert keys.redact("abcdefghijklmnopqrstuvwxyz0123456789ABC") == "***"


# Accounts


def test_account_is_provider_server_and_key_but_never_the_key_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "sk-1")
    assert keys.account(Job(provider=OPENAI)) == "openai:0f2c10bf3d12"
    here = ProviderSettings("openai", api_key_env=NAME, base_url="http://127.0.0.1/v1")
    assert keys.account(Job(provider=here)) == "openai:http://127.0.0.1/v1:0f2c10bf3d12"


def test_another_key_is_another_account_and_the_same_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for key in ("sk-1", "sk-2", "sk-1"):
        monkeypatch.setenv(NAME, key)
        names.append(keys.account(Job(provider=OPENAI)))
    assert names[0] == names[2] != names[1]


def test_the_name_that_a_job_gives_its_account_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "sk-1")
    assert keys.account(Job(provider=OPENAI, quota=QuotaSettings(account="ours"))) == "ours"


def test_without_a_key_the_account_is_provider_and_server() -> None:
    assert keys.account(Job(provider=OPENAI)) == "openai"
    assert keys.account(Job()) == "hibari"
