#!/usr/bin/env bash
# Makes venv/ when it is missing or out of date, then runs the program: from any folder, with or without a terminal.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./environment.sh

prepare requirements.txt
for argument in "$@"; do
  if [[ $argument == --demo ]]; then
    prepare requirements-demo.txt --no-deps
  fi
done
exec venv/bin/python generate_face_embeddings.py "$@"
