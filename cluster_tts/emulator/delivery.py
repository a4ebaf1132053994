"""An answer onto the wire: whole, or broken in the ways that connections and servers break."""

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping

from aiohttp.web import BaseRequest, Response, StreamResponse

from cluster_tts.emulator.wire import JSON, Answer, html_page

MOST_PIECES = 8
PIECE_S = 0.25  # one for about each quarter of a second of speaking
BROKEN_AFTER = 0.5  # of the body
BAD_BODIES = {
    "json": Answer(200, b'{"error":"internal error while generating audio"}', JSON),
    "html": html_page(200, "Service temporarily unavailable"),
}


async def send(call: BaseRequest, answer: Answer) -> StreamResponse:
    """Send a whole answer with its length."""
    response = Response(
        status=answer.status, body=answer.body, content_type=answer.media_type, headers=dict(answer.headers)
    )
    return await _finished(call, response)


async def stream(call: BaseRequest, answer: Answer, within_s: float, ending: Callable[[], None]) -> StreamResponse:
    """Send an answer in chunks, as the providers send audio: at once, or bit by bit ``within_s``."""
    pieces = min(MOST_PIECES, int(within_s / PIECE_S) + 1)
    headers = {**answer.headers, "Content-Type": answer.media_type}
    if within_s and pieces == 1:
        await asyncio.sleep(within_s)
    if pieces == 1:
        ending()
        response = Response(status=answer.status, body=answer.body, headers=headers)
        response.enable_chunked_encoding()
        return await _finished(call, response)
    slow = _open(answer, headers)
    await slow.prepare(call)
    size = len(answer.body) // pieces + 1
    for start in range(0, len(answer.body), size):
        await slow.write(answer.body[start : start + size])
        await asyncio.sleep(within_s / pieces)
    ending()
    await slow.write_eof()
    return slow


async def break_off(
    call: BaseRequest, answer: Answer, ending: Callable[[], None], *, with_length: bool
) -> StreamResponse:
    """Send half of an answer and close: no last chunk, or less than the length that was promised."""
    response = _open(answer, {**answer.headers, "Content-Type": answer.media_type})
    if with_length:
        response.content_length = len(answer.body)
    await response.prepare(call)
    ending()
    await response.write(answer.body[: int(len(answer.body) * BROKEN_AFTER)])
    if call.transport is not None:
        call.transport.close()  # what was written still goes out; writing the end raises, which aiohttp expects
    return response


async def stall(call: BaseRequest, answer: Answer | None, stopping: asyncio.Event) -> StreamResponse:
    """Send half of an answer, or nothing of it, and then keep silent until the client leaves or the server stops."""
    response = StreamResponse()
    if answer is not None:
        response = _open(answer, {**answer.headers, "Content-Type": answer.media_type})
        await response.prepare(call)
        await response.write(answer.body[: int(len(answer.body) * BROKEN_AFTER)])
    await stopping.wait()
    if call.transport is not None:
        call.transport.abort()
    return response


async def reset(call: BaseRequest) -> StreamResponse:
    """Reset the connection before the first byte."""
    if call.transport is not None:
        raw = call.transport.get_extra_info("socket")
        if raw is not None:  # lingering for 0 s makes close() send RST instead of FIN
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        call.transport.abort()
    return StreamResponse()


async def deliver(
    call: BaseRequest,
    answer: Answer,
    fault: str | None,
    stopping: asyncio.Event,
    within_s: float = 0.0,
    ending: Callable[[], None] = lambda: None,
) -> StreamResponse:
    """Send audio, whole or broken off; ``ending`` is called just before its last byte leaves, if it gets there."""
    if fault in ("cut", "cut_length"):
        return await break_off(call, answer, ending, with_length=fault == "cut_length")
    if fault == "stall":
        return await stall(call, answer, stopping)
    return await stream(call, answer, within_s, ending)


def spoilt(answer: Answer, fault: str | None) -> Answer:
    """An answer with another body under the same 200, where that is the fault."""
    if fault not in BAD_BODIES or answer.spoilt:
        return answer
    bad = BAD_BODIES[fault]
    return Answer(answer.status, bad.body, bad.media_type, answer.headers)


def _open(answer: Answer, headers: Mapping[str, str]) -> StreamResponse:
    return StreamResponse(status=answer.status, headers=headers)


async def _finished(call: BaseRequest, response: Response) -> StreamResponse:
    """Written to the end here and now: whoever has given back its place for this must not be held up."""
    await response.prepare(call)
    await response.write_eof()
    return response
