"""Ray job entry point: the same as ``cluster-tts report``, where OUT is mounted on the cluster and not on your desk.

    ray job submit --working-dir . -- python jobs/report.py /shared/out --json

Writes ``report.json`` and ``report.html`` of OUT again from its manifest, over all its runs, and with ``--json`` puts
the report into the job's log. While a run is at work it writes its own: ``python -m cluster_tts status OUT`` looks on.
"""

import sys

from cluster_tts.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["report"]
    main()
