"""Ray job entry point: the same as ``cluster-tts run``, on the cluster the job runs on.

    ray job submit --working-dir . -- python jobs/synthesize.py samples --out /shared/out

What the submit command returns is not the outcome (a stopped job counts as a success): read ``OUT/report.json``.
"""

import sys
from pathlib import Path

from cluster_tts.cli import main

WORKING_DIR_COPY = "working_dir_files"  # where Ray unpacks --working-dir; gone with the job

if __name__ == "__main__":
    out = next((sys.argv[n + 1] for n, word in enumerate(sys.argv[:-1]) if word == "--out"), "out")
    if WORKING_DIR_COPY in str(Path.cwd()) and not Path(out).is_absolute():
        sys.stderr.write(
            f"synthesize.py: '--out {out}' is relative, and this job's folder is a copy that vanishes with it; "
            "give an absolute path that every node sees\n"
        )
        sys.exit(2)
    sys.argv[1:1] = ["run"]
    main()
