"""Where to cut texts so that a document's chunks keep a number of places busy to the same moment.

Eight full chunks on five places take two rounds, of which the second leaves two places idle; ten smaller ones take two
shorter rounds. Arithmetic only: a text comes as the sizes of the atoms that must stay whole, in shares of a request,
and a cutting of it is how many atoms are used up at the end of each chunk.
"""

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

Sizes = Sequence[float]

MOST_ROUNDS = 10  # of longer documents the last round is too small a part to be worth smaller chunks
LEAST_FULL = 0.3  # shorter chunks than this would be heard, and cost more requests than they save time
STEP = 0.97  # from one candidate to the next
OVERHEAD = 0.1  # of a request's time that does not depend on its text, in shares of a full one
EPSILON = 1e-9  # twenty times 0.05 is more than 1
GOOD_ENOUGH = 1.01  # times the shortest: of two candidates the one with fewer requests


def balanced(texts_at: Callable[[float], Sequence[Sizes]], places: int) -> tuple[float, list[list[int]]]:
    """How full any request may be made, and how each text is cut, so that the last chunk ends earliest.

    Args:
        texts_at: the texts, if no request were fuller than this; they depend on it where texts share requests.
    """
    candidates = []
    limit = 1.0
    while limit >= LEAST_FULL:
        texts = texts_at(limit)
        for way in (filled, spread):
            cuttings = [way(text, limit) for text in texts]
            chunks = [size for text, cutting in zip(texts, cuttings, strict=True) for size in sizes(text, cutting)]
            candidates.append((busy_until(chunks, places), limit, cuttings))
        limit *= STEP
    shortest = min(end for end, _, _ in candidates)
    return next((limit, cuttings) for end, limit, cuttings in candidates if end <= GOOD_ENOUGH * shortest)


def filled(text: Sizes, limit: float) -> list[int]:
    """Each chunk filled up to ``limit`` before the next is begun."""
    ends: list[int] = []
    size = 0.0
    for number, atom in enumerate(text, 1):
        if ends and size + atom <= limit + EPSILON:
            ends[-1], size = number, size + atom
        else:
            ends.append(number)
            size = atom
    return ends


def spread(text: Sizes, limit: float) -> list[int]:
    """Chunks as equal as atoms allow, so many that ``limit`` would do for all if they were quite equal."""
    reached = list(accumulate(text, initial=0.0))
    chunks = max(1, math.ceil(reached[-1] / limit - EPSILON))
    ends = {len(text)}
    for number in range(1, chunks):
        ideal = reached[-1] * number / chunks
        after = bisect_left(reached, ideal)
        ends.add(after if reached[after] - ideal < ideal - reached[after - 1] else after - 1)
    cutting = sorted(ends - {0})
    fits = all(size <= 1 + EPSILON for size in sizes(text, cutting))
    return cutting if fits else filled(text, limit)


def sizes(text: Sizes, cutting: Sequence[int]) -> list[float]:
    """How full the chunks of a cutting are."""
    return [sum(text[start:end]) for start, end in pairwise([0, *cutting])]


def busy_until(chunks: Sizes, places: int) -> float:
    """When the last of ``chunks`` ends, the longest begun first by whichever place is free first."""
    free = [0.0] * places
    for size in sorted(chunks, reverse=True):
        heapq.heapreplace(free, free[0] + OVERHEAD + size)
    return max(free)
