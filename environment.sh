# Sourced by run_embeddings.sh and run_tests.sh: finds a Python and keeps venv/ in step with the requirements.

OLDEST="3.10"
TOO_NEW="3.14" # no TensorFlow for it yet
IMPORTED="import app.cli, mysql.connector.constants, sqlalchemy.dialects.mysql.mysqlconnector
import deepface.models.facial_recognition.onnx.Facenet"
export PIP_DISABLE_PIP_VERSION_CHECK=1

suits() { # is this command a Python that the requirements can be installed for?
  "$1" -c "import sys, venv, ensurepip
v = '.'.join(map(str, sys.version_info[:2]))
key = lambda text: tuple(map(int, text.split('.')))
sys.exit(not key('$OLDEST') <= key(v) < key('$TOO_NEW'))" 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 python; do
    if suits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "No se encontró un Python de $OLDEST a 3.13 con el módulo venv." >&2
  echo "Instálelo (en Debian y Ubuntu: apt install python3 python3-venv) y vuelva a ejecutar." >&2
  exit 2
}

stamp_of() { # the file that says which version of a requirements file is installed
  echo "venv/.installed-$1"
}

is_installed() { # a stamp alone says little once the system's Python was replaced
  cmp -s "$1" "$2" && venv/bin/python -c "import rich" 2>/dev/null
}

prepare() { # prepare FILE [PIP OPTIONS]: install FILE into venv/ unless this very version of it is
  local file=$1 stamp
  shift
  stamp=$(stamp_of "$file")
  if is_installed "$file" "$stamp"; then
    return
  fi
  (
    # Two cron lines at once: the second waits, and then finds the work done.
    if command -v flock >/dev/null; then
      if ! touch .venv.lock 2>/dev/null; then
        echo "Hay que instalar $file, y este usuario no puede escribir en $PWD." >&2
        echo "Ejecute una vez, como el dueño de esa carpeta: ./run_embeddings.sh --help" >&2
        exit 2
      fi
      exec 9>.venv.lock
      flock 9
    fi
    is_installed "$file" "$stamp" || install "$file" "$stamp" "$@"
  )
}

install() {
  local file=$1 stamp=$2 python
  shift 2
  if ! venv/bin/python -m pip --version &>/dev/null; then
    python=$(find_python)
    "$python" -m venv --clear venv
  fi
  echo "Instalando $file en venv/ (la primera vez tarda alrededor de un minuto)..." >&2
  # Without --no-compile pip would compile all of TensorFlow, of which a run imports nothing.
  if ! venv/bin/python -m pip install --quiet --no-compile "$@" -r "$file" >&2; then
    echo "No se pudo instalar $file: revise la conexión a la red y el mensaje de arriba." >&2
    exit 2
  fi
  # ... but what a run does import is compiled here, once: cron may run as somebody who cannot write to venv/.
  env -u PYTHONDONTWRITEBYTECODE venv/bin/python -c "$IMPORTED"
  cp "$file" "$stamp"
}
