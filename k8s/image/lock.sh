#!/usr/bin/env bash
# Writes constraints.txt: the versions that an image gets, from an environment made for it. Called by `make lock`.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="${1:-python3.11}"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
  --requirement <("$python" k8s/image/requirements.py espeak,media) 'hatchling>=1.27'
{
  echo "# Written by \`make lock\`: the versions in the image, of Python 3.11 on Linux. pyproject.toml has the ranges."
  "$folder/venv/bin/pip" freeze
} > "$folder/constraints.txt"
mv "$folder/constraints.txt" k8s/image/constraints.txt
