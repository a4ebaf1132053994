"""Speech made shorter or longer at its own pitch, to the exact number of samples. Arithmetic on samples, no files.

WSOLA (Verhelst and Roelands, 1993), spliced as seldom as it can be: the sound is copied as it is until it is about
10 ms ahead of or behind where it should be; then it goes on, by a crossfade, at the place 5 to 20 ms away that is most
like what would have come. For voiced speech that is a whole number of its periods, hence the pitch stays. Of the last
three moments at which it could be done, it is done where the two differ least, which spares onsets. Everything else is
the samples that came in, down to the last. The same input gives the same output on the same kind of processor.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cluster_tts.audio import Samples

FASTEST = 2.0
SLOWEST = 0.5
FADE_S = 0.012  # of a splice, and as much is compared
DRIFT_S = 0.010  # how far ahead or behind nobody hears
NEAREST_S = 0.005  # a splice over less would bend the pitch instead of leaving out periods
SEARCH_S = 0.015  # a period of the lowest voices, 67 Hz
COARSE_HZ = 6000  # the rate at which places are compared first
MOMENTS = 3
ENDING_S = 1.0  # in which the last splice is made
ROOM = 3  # fades between a splice and the end, so that the last one has a choice too


def stretched(samples: Samples, rate: int, frames: int) -> Samples:
    """``samples`` in exactly ``frames`` samples, from half as fast to twice as fast; ValueError beyond that."""
    if not len(samples) == frames == 0 and not SLOWEST * frames <= len(samples) <= FASTEST * frames:
        raise ValueError(f"{len(samples)} samples cannot be stretched to {frames}: only from half to twice as fast")
    if len(samples) == frames:
        return samples.copy()
    splicer = _Splicer(samples, rate, frames)
    while splicer.splice():
        pass
    return splicer.ended()


class _Splicer:
    """The output in the making: ``_written`` samples of it are there, and go on with the sample ``_read``."""

    def __init__(self, samples: Samples, rate: int, frames: int) -> None:
        self._in = samples
        self._out = np.empty(frames, np.int16)
        self._speed = len(samples) / frames
        self._read = self._written = 0
        self._fade = max(1, round(rate * FADE_S))
        self._drift = rate * DRIFT_S
        self._nearest = round(rate * NEAREST_S)
        self._search = round(rate * SEARCH_S)
        self._ending = round(rate * ENDING_S)
        self._step = max(1, rate // COARSE_HZ)
        whole = len(samples) // self._step * self._step
        self._coarse = samples[:whole].reshape(-1, self._step).mean(axis=1, dtype=np.float32)

    def splice(self) -> bool:
        """Copy up to where a splice is needed and make it; False: the end is near, and nothing was done."""
        best = min(self._splices(), default=None)
        if best is None:
            return False
        _, written, target = best
        self._copy(written)
        self._crossfade(target, self._fade)
        return True

    def _splices(self) -> Iterator[tuple[float, int, int]]:
        """What could be done next: how far the two sounds differ, where in the output, and where the input goes on."""
        behind = self._speed * self._written - self._read
        drift = self._drift + (behind if self._speed < 1 else -behind)
        copied = max(0, int(drift / abs(self._speed - 1)))
        for count in range(copied, max(-1, copied - MOMENTS * self._fade), -self._fade):
            read, written = self._read + count, self._written + count
            target = self._target(read, self._speed * written)
            if target is not None and written + ROOM * self._fade <= len(self._out):
                difference = self._floats(read, self._fade) - self._floats(target, self._fade)
                yield float(np.dot(difference, difference)), written, target

    def ended(self) -> Samples:
        """The output, spliced where it is heard least so that it ends with the last sample of the input."""
        ahead = len(self._in) - len(self._out)  # of the input where it has to be from now on
        last = min(len(self._out), self._written + len(self._in) - self._read)
        first = max(self._written, -ahead, last - self._ending)
        fade = min(self._fade, last - first)
        best = first
        if last - first > fade:
            natural = self._floats(self._read + first - self._written, last - first)
            until = np.cumsum(np.square(natural - self._floats(first + ahead, last - first)), dtype=np.float64)
            best += 1 + int(np.argmin(until[fade:] - until[:-fade]))
        self._copy(best)
        self._crossfade(best + ahead, fade)
        self._copy(len(self._out))
        return self._out

    def _target(self, read: int, nominal: float) -> int | None:
        """Where in the input to go on instead of at ``read`` so that it is near ``nominal``; None: there is no room."""
        half = self._drift / 2
        if self._speed > 1:
            first = max(read + self._nearest, round(nominal - half))
            last = min(first + self._search, len(self._in) - ROOM * self._fade)
        else:
            last = min(read - self._nearest, round(nominal + half), len(self._in) - ROOM * self._fade)
            first = max(0, last - self._search)
        if first > last or read + ROOM * self._fade > len(self._in):
            return None
        return self._most_alike(read, first, last)

    def _most_alike(self, read: int, first: int, last: int) -> int:
        """The place from ``first`` to ``last`` whose sound resembles that at ``read`` most: coarsely, then exactly."""
        step, fade = self._step, self._fade
        if step > 1:
            wanted = self._coarse[read // step :][: fade // step]
            places = self._coarse[first // step : last // step + len(wanted)]
            middle = (first // step + _best(places, wanted)) * step + read % step
            first, last = max(first, middle - step), max(first, min(last, middle + step))
        return first + _best(self._floats(first, last - first + fade), self._floats(read, fade))

    def _floats(self, first: int, count: int) -> NDArray[np.float32]:
        return self._in[first : first + count].astype(np.float32)

    def _copy(self, until: int) -> None:
        count = until - self._written
        self._out[self._written : until] = self._in[self._read : self._read + count]
        self._read, self._written = self._read + count, until

    def _crossfade(self, target: int, fade: int) -> None:
        """From what would have come to what is at ``target``: they resemble each other, so amplitudes add up."""
        falling = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade, dtype=np.float32) + 0.5) / max(1, fade))
        new = self._floats(target, fade)
        self._out[self._written : self._written + fade] = np.rint(
            new + falling * (self._floats(self._read, fade) - new)
        )
        self._read, self._written = target + fade, self._written + fade


def _best(places: NDArray[np.float32], wanted: NDArray[np.float32]) -> int:
    """Where in ``places`` the sound of ``wanted`` begins, by normalised cross-correlation."""
    alike = np.correlate(places, wanted)
    energy = np.cumsum(np.square(places), dtype=np.float64)
    energy[len(wanted) :] -= energy[: -len(wanted)].copy()
    return int(np.argmax(alike / np.sqrt(energy[len(wanted) - 1 :] + 1.0)))
