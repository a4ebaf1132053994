"""Ray job entry point: the same as ``cluster-tts run``, on the cluster the job runs on.

    ray job submit --working-dir . -- python jobs/synthesize.py samples --out /shared/out

What the submit command returns is not the outcome (a stopped job counts as a success): read ``OUT/report.json``, or
submit ``jobs/report.py``. Its arguments, exit codes and output are those of ``cluster-tts run``; see README.md beside.
"""

import sys

from cluster_tts.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["run"]
    main()
