#!/usr/bin/env bash
# Makes venv/ when it is missing or out of date, then runs the program: from any folder, with or without a terminal.
set -euo pipefail
script=$(readlink -f "${BASH_SOURCE[0]}" 2>/dev/null || echo "${BASH_SOURCE[0]}")
here=$(dirname "$script")
export PYTHONUTF8=1 # names of files and all output are UTF-8, also where cron or a container has no locale

( # in the project's folder; the program itself runs where it was called, so that relative paths mean what they say
  cd "$here" 2>/dev/null
  if ! source ./environment.sh 2>/dev/null; then
    echo "❌ No se puede leer $here/environment.sh con el usuario $(id -un 2>/dev/null)" >&2
    echo "   Qué hacer: Como el dueño de esa carpeta, ejecute dentro de ella: chmod a+rX . && chmod -R a+rX app *.py *.sh *.txt" >&2
    exit 3
  fi
  trap 'explain_end $?' EXIT
  require_readable
  prepare requirements.txt
  for argument in "$@"; do
    if [[ $argument == --demo ]]; then
      prepare requirements-demo.txt --no-deps
    fi
  done
)
exec "$here/venv/bin/python" "$here/generate_face_embeddings.py" "$@"
