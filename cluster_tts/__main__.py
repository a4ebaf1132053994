"""``python -m cluster_tts`` is the same program as ``cluster-tts``."""

from cluster_tts.cli import main

if __name__ == "__main__":
    main()
