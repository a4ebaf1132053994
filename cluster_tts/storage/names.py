"""Names that stay inside their folder: a manifest may have been written by somebody who wishes us ill."""

from cluster_tts.errors import JobError


def inside(name: str, folder: object) -> str:
    """``name``, which may have ``/`` between its parts, if it can only lead to somewhere below ``folder``.

    Weakness: links that stand in the folder are followed, they are the user's own.

    Raises:
        JobError: it is absolute, climbs by ``..``, or holds a NUL.
    """
    if name.startswith("/") or "\0" in name or ".." in name.split("/"):
        raise JobError(
            f"{name!r} leads out of '{folder}': its manifest was not written by this program; use another OUT"
        )
    return name
