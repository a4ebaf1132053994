"""How loud a sound is to the ear: integrated loudness after ITU-R BS.1770-4 and EBU R 128, measured as it streams by.

The K weighting is two biquads. BS.1770 gives their coefficients for 48 kHz only; here they come from the analogue
prototypes behind them by the bilinear transform, as in libebur128, hence for any rate. They are applied in the
frequency domain, block by block, since numpy has no recursive filter: of what was heard 100 ms ago they keep nothing.

One channel, weighted 1.0: played on two speakers at once it is 3 LU louder, as everywhere.
"""

import math
from array import array

import numpy as np
from numpy.typing import NDArray

from cluster_tts.audio import Samples

Floats = NDArray[np.float32]

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LU = -0.691  # so that 997 Hz at 0 dBFS on one channel is -3.01 LUFS
STEPS = 4  # of 100 ms make one gating block; the next begins a step later
FULL_SCALE = 32768.0
LEAST_STEPS_AT_ONCE = 12  # blocks overlap by one

LOUDEST_PEAK = 10 ** (-1 / 20)
MOST_GAIN = 10.0  # +20 dB: beyond it, noise is lifted


class Meter:
    """The loudness and the peak of one channel that comes in pieces of any size.

    Memory does not grow but for 8 bytes for each 100 ms.
    """

    def __init__(self, rate: int) -> None:
        self._step = (rate + 5) // 10
        size = 2 ** math.ceil(math.log2((1 + LEAST_STEPS_AT_ONCE) * self._step))
        self._block = (size // self._step - 1) * self._step
        self._weighting = k_weighting(rate, size)
        self._before: Floats = np.zeros(
            self._step, np.float32
        )  # what went by before what waits, for the filter to know
        self._waiting: list[Floats] = []
        self._waits = 0
        self._energies = array("d")  # of each step, as a mean square
        self.peak = 0.0
        """The largest sample so far; 1.0 is full scale."""

    def add(self, block: Samples | NDArray[np.floating]) -> None:
        """The next samples: 16 bit, or floats from -1 to 1, of which NaN counts as silence."""
        for first in range(0, len(block), self._block):
            floats = _floats(block[first : first + self._block])
            self.peak = max(self.peak, float(floats.max()), -float(floats.min()))
            self._waiting.append(floats)
            self._waits += len(floats)
            if self._waits >= self._block:
                self._measure()

    def integrated(self) -> float | None:
        """The gated loudness in LUFS of all that came so far; None where nothing is above -70 LUFS.

        Of less than 400 ms, which have no gating block, the plain mean.
        """
        weighted = self._weighted(np.concatenate([self._before, *self._waiting]))
        steps = np.concatenate([self._energies, self._means(weighted)])
        if len(steps) < STEPS:
            return _audible(float(np.square(weighted).mean(dtype=np.float64)) if len(weighted) else 0.0)
        until = np.concatenate([[0.0], np.cumsum(steps)])
        blocks = (until[STEPS:] - until[:-STEPS]) / STEPS
        loud = blocks[blocks > _energy(ABSOLUTE_GATE_LUFS)]
        if not len(loud):
            return None
        return _lufs(float(loud[loud > loud.mean() * 10 ** (RELATIVE_GATE_LU / 10)].mean()))

    def _measure(self) -> None:
        """The energies of what waits in whole blocks; the rest goes on waiting."""
        waiting = np.concatenate([self._before, *self._waiting])
        step, block = self._step, self._block
        for _ in range(self._waits // block):
            self._energies.extend(self._means(self._weighted(waiting[: step + block])))
            waiting = waiting[block:]
        self._before, rest = waiting[:step].copy(), waiting[step:].copy()
        self._waiting, self._waits = [rest], len(rest)

    def _weighted(self, samples: Floats) -> Floats:
        """``samples`` as the ear weighs them, without the step at their beginning, which is there for the filter."""
        size = 2 * (len(self._weighting) - 1)
        weighted = np.fft.irfft(np.fft.rfft(samples, size) * self._weighting, size)
        return weighted[self._step : len(samples)].astype(np.float32, copy=False)

    def _means(self, weighted: Floats) -> NDArray[np.float64]:
        """The mean square of each whole step."""
        whole = weighted[: len(weighted) // self._step * self._step].reshape(-1, self._step)
        means: NDArray[np.float64] = np.einsum("ij,ij->i", whole, whole).astype(np.float64) / self._step
        return means


def gain_for(loudness: float | None, peak: float, target: float) -> float:
    """By what to multiply a sound to bring it to ``target`` LUFS; 1.0 where its ``loudness`` is None.

    It is lifted by 20 dB at most, and never so that its peak is above -1 dBFS.
    """
    if loudness is None:
        return 1.0
    gain = min(MOST_GAIN, 10 ** ((target - loudness) / 20))
    return min(gain, max(1.0, LOUDEST_PEAK / peak)) if peak > 0 else gain


def k_weighting(rate: int, size: int) -> NDArray[np.complex64]:
    """The response of the K weighting at the frequencies of an FFT of ``size`` real samples.

    A shelf of +4 dB above 1.7 kHz, for what the head does, and a high pass at 38 Hz. With z for one sample's delay and
    s = (1 - z) / (1 + z) / tan(pi * hertz / rate), they are (h s^2 + b s / q + 1) / (s^2 + s / q + 1), where h is 4 dB
    and b about its root, and s^2 / (s^2 + s / q + 1), scaled as in BS.1770: its coefficients there are 1, -2, 1.
    """
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    high, root = 10 ** (3.999843853973347 / 20), 10 ** (3.999843853973347 * 0.4996667741545416 / 20)
    shelf_hertz, shelf_q = 1681.974450955533, 0.7071752369554196
    pass_hertz, pass_q = 38.13547087602444, 0.5003270373238773
    shelf = _quadratic(z, (high, root / shelf_q, 1.0), math.tan(math.pi * shelf_hertz / rate))
    shelf /= _quadratic(z, (1.0, 1.0 / shelf_q, 1.0), math.tan(math.pi * shelf_hertz / rate))
    tangent = math.tan(math.pi * pass_hertz / rate)
    high_pass = (1 - z) ** 2 * (1.0 + tangent / pass_q + tangent**2)
    high_pass /= _quadratic(z, (1.0, 1.0 / pass_q, 1.0), tangent)
    response: NDArray[np.complex64] = (shelf * high_pass).astype(np.complex64)
    return response


def _quadratic(
    z: NDArray[np.complex128], factors: tuple[float, float, float], tangent: float
) -> NDArray[np.complex128]:
    """a s^2 + b s + c after the bilinear transform, times ((1 + z) * tangent)^2."""
    a, b, c = factors
    value: NDArray[np.complex128] = a * (1 - z) ** 2 + b * tangent * (1 - z) * (1 + z) + c * (tangent * (1 + z)) ** 2
    return value


def _floats(block: Samples | NDArray[np.floating]) -> Floats:
    if block.dtype == np.int16:
        return np.multiply(block, 1 / FULL_SCALE, dtype=np.float32)
    return np.nan_to_num(block.astype(np.float32))


def _lufs(energy: float) -> float:
    return OFFSET_LU + 10 * math.log10(energy)


def _energy(lufs: float) -> float:
    return 10 ** ((lufs - OFFSET_LU) / 10)


def _audible(energy: float) -> float | None:
    return _lufs(energy) if energy > _energy(ABSOLUTE_GATE_LUFS) else None
