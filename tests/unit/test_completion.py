"""Completion: which documents are whole, in clips that documents share."""

import tracemalloc
from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_tts.completion import SOUND_DTYPE, Completion, unpack
from cluster_tts.model import Sound

SOUND = Sound(100, 8_000, 244, "ab" * 32)


def completion_of(**documents: str) -> Completion:
    """Documents whose clips are the letters of a word, in reading order."""
    completion = Completion()
    for name, clips in documents.items():
        completion.add(name)
        for clip in clips:
            completion.need(name, clip, 10)
    return completion


def counts(completion: Completion) -> tuple[int, int]:
    return completion.clips, completion.there


def test_equal_chunks_are_one_clip_within_a_document_and_between_two() -> None:
    completion = completion_of(one="aba", two="bc")
    assert counts(completion) == (3, 0)
    assert (completion.missing("one"), completion.missing("two")) == (2, 2)
    assert completion.have("b", SOUND) == []
    assert completion.have("a", SOUND) == ["one"]
    assert completion.is_whole("one")
    assert not completion.is_whole("two")
    assert completion.have("c", SOUND) == ["two"]
    assert counts(completion) == (3, 3)


def test_one_clip_may_settle_many_documents_at_once() -> None:
    assert completion_of(one="a", two="a", three="ab").have("a", SOUND) == ["one", "two"]


def test_a_clip_that_is_there_already_settles_nothing_again() -> None:
    completion = completion_of(one="a")
    assert completion.have("a", SOUND) == ["one"]
    assert completion.have("a", SOUND) == []
    assert completion.fail("a") == []
    assert completion.is_whole("one")


def test_a_document_is_settled_once_all_that_it_lacks_was_given_up() -> None:
    completion = completion_of(one="abc")
    assert completion.fail("a") == []
    assert completion.fail("a") == [], "given up twice is given up once"
    assert completion.have("b", SOUND) == []
    assert not completion.is_settled("one")
    assert completion.fail("c") == ["one"]
    assert completion.is_settled("one")
    assert not completion.is_whole("one")
    assert completion.missing("one") == 2


def test_a_late_success_is_taken() -> None:
    completion = completion_of(one="ab", two="a")
    assert completion.fail("a") == ["two"]
    assert completion.have("a", SOUND) == ["two"]
    assert completion.is_whole("two")
    assert completion.have("b", SOUND) == ["one"]
    assert completion.is_whole("one")


def test_a_clip_is_needed_until_it_is_there_or_given_up() -> None:
    completion = completion_of(one="ab")
    assert completion.needs("a")
    assert not completion.needs("z")
    completion.have("a", SOUND)
    completion.fail("b")
    assert not completion.needs("a")
    assert not completion.needs("b")


def test_a_lost_clip_is_needed_again_by_all_its_documents() -> None:
    completion = completion_of(one="a", two="ab")
    completion.have("a", SOUND)
    completion.lose("a")
    completion.lose("a")
    assert completion.needs("a")
    assert counts(completion) == (2, 0)
    assert (completion.missing("one"), completion.missing("two")) == (1, 2)
    assert completion.have("a", SOUND) == ["one"]


def test_a_late_success_that_is_lost_again_is_needed_again() -> None:
    completion = completion_of(one="a")
    completion.fail("a")
    completion.have("a", SOUND)
    completion.lose("a")
    assert completion.needs("a")
    assert not completion.is_settled("one")


def test_an_unknown_clip_is_nobody_s_business() -> None:
    completion = completion_of(one="a")
    assert completion.have("z", SOUND) == completion.fail("z") == []
    assert counts(completion) == (1, 0)


def test_a_released_document_takes_only_its_own_clips_along() -> None:
    completion = completion_of(one="ab", two="bc")
    completion.have("a", SOUND)
    completion.have("b", SOUND)
    completion.release("one")
    assert counts(completion) == (2, 1)
    assert completion.have("a", SOUND) == [], "nobody needs it any more"
    assert not completion.needs("a")
    assert completion.have("c", SOUND) == ["two"]


def test_a_clip_that_was_released_and_is_needed_again_counts_again() -> None:
    """A document that turns out unreadable half way is released; the next one may have the same sentences."""
    completion = completion_of(one="ab")
    completion.release("one")
    completion.add("two")
    completion.need("two", "a")
    assert counts(completion) == (1, 0)
    assert completion.have("a", SOUND) == ["two"]
    assert counts(completion) == (1, 1)


def test_a_document_that_comes_later_knows_what_was_given_up() -> None:
    completion = completion_of(one="a")
    completion.fail("a")
    completion.add("two")
    completion.need("two", "a")
    assert completion.is_settled("two")
    assert not completion.is_whole("two")


def test_lacking_tells_the_clips_without_sound_once_each_with_all_who_wait() -> None:
    completion = completion_of(one="aab", two="bc", three="d")
    completion.have("c", SOUND)
    completion.fail("a")
    completion.release("three")
    assert list(completion.lacking()) == [("a", 10, ("one",)), ("b", 10, ("one", "two"))]


def test_sounds_come_in_reading_order_repeats_included() -> None:
    completion = completion_of(one="aba")
    other = Sound(7, 48_000, 9, "cd" * 32)
    completion.have("a", SOUND)
    completion.have("b", other)
    assert list(map(unpack, completion.sounds("one"))) == [SOUND, other, SOUND]


@given(
    st.lists(
        st.builds(
            Sound,
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**64 - 1),
            st.binary(min_size=32, max_size=32).map(bytes.hex),
        ),
        max_size=4,
    )
)
@settings(max_examples=30, deadline=None)
def test_packed_sounds_come_out_as_they_went_in(sounds: list[Sound]) -> None:
    """Also digests that end in zero bytes, which numpy's strings would lose."""
    completion = Completion()
    completion.add("document")
    for number, sound in enumerate(sounds):
        completion.need("document", str(number), 1)
        completion.have(str(number), sound)
    packed = completion.sounds("document")
    assert packed.dtype == SOUND_DTYPE
    assert packed.nbytes == 52 * len(sounds)
    assert list(map(unpack, np.frombuffer(packed.tobytes(), SOUND_DTYPE))) == sounds


def test_more_clips_than_there_was_room_for_at_first_keep_their_sounds() -> None:
    completion = Completion()
    completion.add("long")
    for number in range(5_000):
        completion.need("long", str(number), 1)
    for number in range(5_000):
        completion.have(str(number), Sound(number, 8_000, 1, "ab" * 32))
    assert [unpack(row).frames for row in completion.sounds("long")] == list(range(5_000))


class Naive:
    """The same in sets, everything computed anew each time."""

    def __init__(self) -> None:
        self.documents: dict[str, set[str]] = {}
        self.there: set[str] = set()
        self.failed: set[str] = set()

    def wanted(self) -> set[str]:
        return set().union(*self.documents.values())

    def missing(self, name: str) -> set[str]:
        return self.documents[name] - self.there

    def settled(self, name: str) -> bool:
        return self.missing(name) <= self.failed

    def settled_with(self, clip: str) -> list[str]:
        return [name for name in self.documents if clip in self.documents[name] and self.settled(name)]

    def forget_unwanted(self) -> None:
        self.there &= self.wanted()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["need", "need", "need", "have", "fail", "lose", "release"]),
        st.sampled_from("XYZ"),
        st.sampled_from("abcd"),
    ),
    max_size=30,
)


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_any_history_adds_up_as_plain_sets_do(steps: Iterable[tuple[str, str, str]]) -> None:
    completion, naive = Completion(), Naive()
    for action, name, clip in steps:
        if action == "need":
            if name not in naive.documents:
                completion.add(name)
                naive.documents[name] = set()
            completion.need(name, clip)
            naive.documents[name].add(clip)
        elif action == "have" and clip in naive.wanted():
            new = clip not in naive.there
            naive.there.add(clip)
            naive.failed.discard(clip)
            assert sorted(completion.have(clip, SOUND)) == sorted(naive.settled_with(clip) if new else [])
        elif action == "fail" and clip in naive.wanted():
            new = clip not in naive.there | naive.failed
            naive.failed |= {clip} - naive.there
            assert sorted(completion.fail(clip)) == sorted(naive.settled_with(clip) if new else [])
        elif action == "lose" and clip in naive.wanted():
            naive.there.discard(clip)
            completion.lose(clip)
        elif action == "release" and name in naive.documents:
            del naive.documents[name]
            naive.forget_unwanted()
            completion.release(name)
        assert counts(completion) == (len(naive.wanted()), len(naive.there))
        assert {clip for clip, _, _ in completion.lacking()} == naive.wanted() - naive.there
        for document in naive.documents:
            assert completion.missing(document) == len(naive.missing(document))
            assert completion.is_settled(document) == naive.settled(document)
        for clip in "abcd":
            assert completion.needs(clip) == (clip in naive.wanted() - naive.there - naive.failed)


def test_a_sentence_common_to_many_documents_costs_each_of_them_little() -> None:
    tracemalloc.start()
    completion = completion_of(**{f"document {number}": "a" for number in range(8_000)})
    size_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size_bytes < 8_000 * 1_000
    completion.release("document 0")
    assert completion.have("a", SOUND) == [f"document {number}" for number in range(1, 8_000)]
