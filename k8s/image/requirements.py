"""Prints what the package needs, with the extras that are asked for: ``python requirements.py espeak,media``.

So that an image installs its packages before our code is copied into it.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
wanted = [name for name in sys.argv[1].split(",") if name]
unknown = sorted(set(wanted) - set(project["optional-dependencies"]))
if unknown:
    sys.exit(f"requirements.py: no extra is called {', '.join(unknown)}")
for line in [*project["dependencies"], *(one for name in wanted for one in project["optional-dependencies"][name])]:
    sys.stdout.write(f"{line}\n")
