"""Ray job entry point: the same as ``cluster-tts stitch``, where OUT is mounted on the cluster and not on your desk.

    ray job submit --working-dir . -- python jobs/stitch.py /shared/out stitching.format=flac

Joins every document of OUT again from its clips, on the head node; no request is made. Its arguments, exit codes and
output are those of ``cluster-tts stitch``; see README.md beside.
"""

import sys

from cluster_tts.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["stitch"]
    main()
