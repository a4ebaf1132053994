"""One request to a provider, whoever wrote it: it ends in a receipt and a file, or in one of our own errors."""

import asyncio
import errno
import logging
import math
from pathlib import Path

from cluster_tts.errors import ChunkError, CTTSError, RetryLater
from cluster_tts.model import Receipt, Utterance
from cluster_tts.providers.base import Provider

log = logging.getLogger(__name__)

OF_STORAGE = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ESTALE,
}  # fmt: skip


async def ask(provider: Provider, utterance: Utterance, target: Path, timeout_s: float) -> Receipt:
    """Have ``utterance`` spoken to ``target`` within ``timeout_s``.

    Raises:
        RetryLater, ChunkError, JobError: as the provider says. A network error it does not translate is tried again;
            any other defect costs this clip and not the run, and is told.
        OSError: ``target`` cannot be written.
    """
    try:
        async with asyncio.timeout(timeout_s) as limit:
            receipt = await provider.speak(utterance, target)
    except CTTSError:
        raise
    except TimeoutError as error:
        if limit.expired():
            raise RetryLater(f"no answer within {timeout_s:.3g} s (at most provider.timeout_s)", "timeout") from None
        raise RetryLater(f"the provider gave up waiting: {error or 'TimeoutError'}", "timeout") from None
    except ConnectionError as error:
        raise RetryLater(f"the connection broke: {error}", "reset") from None
    except OSError as error:  # of the network as well: `requests` and `urllib` raise nothing else
        if error.errno in OF_STORAGE or (error.filename and Path(str(error.filename)) == target):
            raise
        raise RetryLater(f"the provider failed: {type(error).__name__}: {error}", "provider_error") from error
    except (Exception, SystemExit) as error:
        log.exception("the provider failed")
        raise _defect(f"{type(error).__name__}: {error}") from error
    if not isinstance(receipt, Receipt):
        raise _defect(f"speak returned {type(receipt).__name__}, not a Receipt")
    if not target.is_file():
        raise _defect("speak wrote no file")
    if not _is_amount(receipt.billed_characters) or not _is_amount(receipt.cost_usd) or not receipt.speed > 0:
        raise _defect(f"speak returned {receipt}, in which a number cannot be")
    return receipt


def _defect(what: str) -> ChunkError:
    return ChunkError(f"the provider failed: {what}", "provider_defect")


def _is_amount(value: float | None) -> bool:
    return value is None or 0 <= value < math.inf
