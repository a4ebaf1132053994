from pathlib import Path

import pytest

from tests.unit.stitching.joined import MakePiece, maker


@pytest.fixture
def make_piece(tmp_path: Path) -> MakePiece:
    return maker(tmp_path)
