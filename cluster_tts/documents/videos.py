"""The video that a subtitle file belongs to: it stands beside it and has the same name."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

from cluster_tts.documents import urls
from cluster_tts.documents.subtitles import SUFFIXES as SUBTITLES
from cluster_tts.documents.urls import Remote
from cluster_tts.errors import JobError

SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".m4v", ".avi")
# film.en.srt, film.pt-BR.forced.srt
LANGUAGE = re.compile(r"\.(?:[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*|forced|sdh|cc|default)$", re.IGNORECASE)
MOST_MARKS = 3


Stems = dict[str, list[tuple[str, Path | str]]]
"""Name and address of videos, by their names without suffix."""


class Videos:
    """The videos beside subtitle files. A folder is listed once, however many of those it has."""

    def __init__(self) -> None:
        self._listed: dict[Path, Stems] = {}

    def beside(self, path: Path) -> Path | str | None:
        """The video of the subtitle file at ``path``, by its absolute path: it is read again when the document is
        joined, wherever that is. None if it has none or is no subtitle file.

        Raises:
            JobError: there are several, or the folder cannot be listed.
        """
        if path.suffix.lower() not in SUBTITLES:
            return None
        folder = path.parent
        if folder not in self._listed:
            try:
                files = [each for each in folder.iterdir() if each.is_file()]
                self._listed[folder] = _by_stem((each, each.absolute()) for each in files)
            except OSError as error:
                raise JobError(
                    f"'{folder}' cannot be searched for videos: {error.strerror}; set media.video=none or allow it"
                ) from None
        return _choose(path, self._listed[folder])


def beside_url(url: str) -> str | None:
    """The URL of the video of the subtitle file at ``url``, None if it has none or is no subtitle file. Its names are
    tried one by one, in small and in capitals: what else is in its folder may be a whole bucket.

    Raises:
        JobError: there are several, or the bucket cannot be asked.
    """
    name = PurePath(urls.without_query(url)[0]).name
    if PurePath(name).suffix.lower() not in SUBTITLES:
        return None
    try:
        for stem in _stems(PurePath(name).stem):
            videos = (PurePath(stem + suffix) for suffix in (*SUFFIXES, *map(str.upper, SUFFIXES)))
            there = [(video, beside) for video in videos if urls.is_file(beside := urls.beside(url, video.name))]
            if there:
                found = _choose(PurePath(name), _by_stem(there))
                return None if found is None else str(found)
    except OSError as error:
        raise JobError(
            f"'{url}' cannot be searched for a video: {error.strerror}; set media.video=none or mend it"
        ) from None
    return None


def in_bucket(files: Sequence[Remote], others: Sequence[Remote]) -> dict[str, str]:
    """The URL of its video by that of each subtitle file among ``files``, which was listed with it or with ``others``.

    Raises:
        JobError: one has several.
    """
    folders: dict[PurePath, list[Remote]] = {}
    for each in (*files, *others):
        folders.setdefault(each.below.parent, []).append(each)
    stems = {folder: _by_stem((each.below, each.url) for each in remotes) for folder, remotes in folders.items()}
    subtitles = [each for each in files if each.below.suffix.lower() in SUBTITLES]
    found = {each.url: _choose(each.below, stems[each.below.parent]) for each in subtitles}
    return {url: str(video) for url, video in found.items() if video}


def _by_stem(files: Iterable[tuple[PurePath, Path | str]]) -> Stems:
    """The videos among ``files``, each with its address, by their names without suffix."""
    stems: Stems = {}
    for path, address in sorted(files):
        if path.suffix.lower() in SUFFIXES:
            stems.setdefault(path.stem, []).append((path.name, address))
    return stems


def _choose(subtitles: PurePath, stems: Stems) -> Path | str | None:
    """The one that ``subtitles`` belong to, if there is one. The longest part of their name that one has decides."""
    for stem in _stems(subtitles.stem):
        videos = stems.get(stem, [])
        if len(videos) > 1:
            raise JobError(
                f"'{subtitles}' has several videos beside it, {' and '.join(name for name, _ in videos)}: set "
                "media.video=none, or choose one in the column 'video' of a table of jobs (source, video)"
            )
        if videos:
            return videos[0][1]
    return None


def _stems(stem: str) -> Iterator[str]:
    """``film.en.forced``, ``film.en``, ``film``."""
    yield stem
    for _ in range(MOST_MARKS):
        mark = LANGUAGE.search(stem)
        if not mark:
            return
        stem = stem[: mark.start()]
        yield stem
