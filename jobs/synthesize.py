"""Ray job entry point: the same as ``cluster-tts run``, on the cluster the job runs on.

    ray job submit --working-dir . -- python jobs/synthesize.py samples --out /shared/out

What the submit command returns is not the outcome (a stopped job counts as a success): read ``OUT/report.json``.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from cluster_tts.cli import main
from cluster_tts.errors import EXIT_USAGE
from cluster_tts.storage import is_url

WORKING_DIR_COPY = "working_dir_files"  # where Ray unpacks --working-dir; it goes with the job

if __name__ == "__main__":
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--out")
    given, rest = parser.parse_known_args()
    out = given.out or next((word.removeprefix("out=") for word in reversed(rest) if word.startswith("out=")), "out")
    if WORKING_DIR_COPY in str(Path.cwd()) and not Path(out).is_absolute() and not is_url(out):
        sys.stderr.write(
            f"synthesize.py: --out '{out}' is relative, and this job's folder is a copy that vanishes with it: "
            "give an absolute path that every node sees, or a URL\n"
        )
        sys.exit(EXIT_USAGE)
    sys.argv[1:1] = ["run"]
    main()
