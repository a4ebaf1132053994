"""One text through eSpeak NG: UTF-8 on stdin, 16-bit samples on stdout. ``espeak.py`` runs this file by its path.

It imports nothing but the standard library, so that a process takes milliseconds to start.
"""

import ctypes
import sys

RATE = 22_050

# Names and numbers of espeak-ng/speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000  # otherwise missing data ends the process without a word to its caller
PARAMETER_RATE, PARAMETER_PITCH = 1, 3
CHARS_UTF8 = 1

SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main(library: str, data: str, voice: str, speed: str, pitch: str) -> None:
    """Speak stdin; where espeak cannot be used the exit code is 1 and the reason on stderr."""
    espeak = ctypes.CDLL(library)
    samples = bytearray()

    def collect(wave: int, frames: int, events: int) -> int:
        if frames > 0:
            samples.extend(ctypes.string_at(wave, 2 * frames))
        return 0  # go on

    callback = SynthCallback(collect)  # named, because espeak keeps no reference that Python can see
    if espeak.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data.encode(), INITIALIZE_DONT_EXIT) != RATE:
        sys.exit(f"its data in {data} cannot be used")
    espeak.espeak_SetSynthCallback(callback)
    if espeak.espeak_SetVoiceByName(voice.encode()):
        sys.exit(f"it knows no voice {voice}")
    espeak.espeak_SetParameter(PARAMETER_RATE, int(speed), 0)
    espeak.espeak_SetParameter(PARAMETER_PITCH, int(pitch), 0)
    text = sys.stdin.buffer.read()
    espeak.espeak_Synth(text, len(text) + 1, 0, 1, 0, CHARS_UTF8, None, None)
    sys.stdout.buffer.write(samples)


if __name__ == "__main__":
    main(*sys.argv[1:])
