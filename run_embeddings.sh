#!/usr/bin/env bash
# Makes venv/ when it is missing or out of date, then runs the program: from any folder, with or without a terminal.
set -euo pipefail
script=$(readlink -f "${BASH_SOURCE[0]}" 2>/dev/null || echo "${BASH_SOURCE[0]}")
here=$(cd "$(dirname "$script")" && pwd)

( # in the project's folder; the program itself runs where it was called, so that relative paths mean what they say
  cd "$here"
  source ./environment.sh
  prepare requirements.txt
  for argument in "$@"; do
    if [[ $argument == --demo ]]; then
      prepare requirements-demo.txt --no-deps
    fi
  done
)
exec "$here/venv/bin/python" "$here/generate_face_embeddings.py" "$@"
