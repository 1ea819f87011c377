# Sourced by run_embeddings.sh and run_tests.sh: finds a Python and keeps venv/ in step with the requirements.
# What stops them is said in Spanish, with exit code 2 (nothing could be started) or 3 (this user cannot use venv/).

OLDEST="3.10"
TOO_NEW="3.14" # no TensorFlow for it yet
# Imported after an installation, which checks that the packages load and compiles them. A run also loads the modules in
# the last lines, by the libraries' own choice; a version without them is no fault.
IMPORTED="import contextlib, importlib, pkgutil, app
for module in pkgutil.walk_packages(app.__path__, 'app.'):
    importlib.import_module(module.name)
import mysql.connector.constants, sqlalchemy.dialects.mysql.mysqlconnector
import deepface.models.facial_recognition.onnx.Facenet
plugins = 'mysql.connector.plugins.'
for name in plugins + 'mysql_native_password', plugins + 'caching_sha2_password', 'pydantic.plugin._loader':
    with contextlib.suppress(ImportError):
        importlib.import_module(name)"
export PIP_DISABLE_PIP_VERSION_CHECK=1

refuse() { # refuse CODE SENTENCE ADVICE
  printf '❌ %s\n   Qué hacer: %s\n' "$2" "$3" >&2 || true # the caller may have closed it: the code stays
  exit "$1"
}

explain_end() { # of the preparation, with this code: what no `refuse` foresaw has printed a message of its own
  case $1 in
    0 | 2 | 3 | 129 | 130 | 143) ;;
    *) refuse 3 "No se pudo preparar venv/ en $PWD" "Corrija lo que dice el mensaje de arriba y vuelva a ejecutar." ;;
  esac
}

whoami_here() { # the user's name; its number where it has no account
  id -un 2>/dev/null || true
}

require_readable() { # a `git pull` under umask 077 leaves files that only their owner can read
  local file
  file=$(find environment.sh requirements.txt generate_face_embeddings.py app ! -readable -print -quit 2>/dev/null || true)
  if [[ -n $file ]]; then
    refuse 3 "El usuario $(whoami_here) no puede leer $PWD/$file" \
      "Como el dueño de esa carpeta, ejecute dentro de ella: chmod a+rX . && chmod -R a+rX app *.py *.sh *.txt"
  fi
}

suits() { # is this command a Python that the requirements can be installed for?
  "$1" -c "import sys, venv, ensurepip
v = '.'.join(map(str, sys.version_info[:2]))
key = lambda text: tuple(map(int, text.split('.')))
sys.exit(not key('$OLDEST') <= key(v) < key('$TOO_NEW'))" 2>/dev/null
}

find_python() {
  local candidate
  PATH=${PATH:-}:/usr/local/bin # where containers have their Python, and cron does not look
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 python; do
    if suits "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  refuse 2 "No se encontró un Python de $OLDEST a 3.13 con el módulo venv." \
    "Instálelo (en Debian y Ubuntu: apt install python3 python3-venv) y vuelva a ejecutar."
}

stamp_of() { # the file that says which version of a requirements file is installed
  echo "venv/.installed-$1"
}

is_installed() { # a stamp alone says little once the system's Python was replaced
  [[ -r $2 && $(<"$1") == "$(<"$2")" ]] && venv/bin/python -c "import rich" 2>/dev/null
}

prepare() { # prepare FILE [PIP OPTIONS]: install FILE into venv/ unless this very version of it is
  local file=$1 stamp
  shift
  stamp=$(stamp_of "$file")
  if is_installed "$file" "$stamp"; then
    return
  fi
  require_own_venv
  require_writable "$file"
  (
    umask 022 # cron may run as somebody else, who must be able to use venv/, and nobody else may change it
    # Two cron lines at once: the second waits, and then finds the work done.
    if command -v flock >/dev/null; then
      exec 9>.venv.lock
      flock 9 2>/dev/null || true # a network drive may have no locks
    fi
    is_installed "$file" "$stamp" || install "$file" "$stamp" "$@"
  )
}

require_own_venv() { # somebody else's is not made anew: they use it
  local owner
  if [[ -e venv && ! -O venv ]] && ! venv/bin/python -c "" 2>/dev/null; then
    owner=$(stat -c %U venv 2>/dev/null || echo "su dueño")
    refuse 3 "El usuario $(whoami_here) no puede ejecutar $PWD/venv/bin/python, que es de $owner" \
      "Ejecute el programa como $owner. O, como $owner: rm -rf venv && PYTHON=/usr/bin/python3 ./run_embeddings.sh --help"
  fi
}

require_writable() {
  local path
  for path in . venv .venv.lock; do
    if [[ -e $path && ! -w $path ]]; then
      refuse 2 "Hay que instalar $1, y el usuario $(whoami_here) no puede escribir en $PWD" \
        "Ejecute una vez, como el dueño de esa carpeta: ./run_embeddings.sh --help"
    fi
  done
}

cannot_install() {
  local free
  free=$(df -Pm . 2>/dev/null | tail -n 1 | { read -r _ _ _ free _ && echo "$free"; } || echo "?")
  refuse 2 "No se pudo instalar $1 en $PWD/venv" \
    "Revise el mensaje de arriba, la conexión a la red y el espacio en el disco (quedan $free MB de unos 3000 que hacen falta)."
}

install() {
  local file=$1 stamp=$2 python
  shift 2
  if ! venv/bin/python -m pip --version &>/dev/null; then
    python=$(find_python)
    "$python" -m venv --clear venv >&2 || cannot_install "$file"
  fi
  echo "Instalando $file en venv/ (la primera vez tarda alrededor de un minuto)..." >&2 || true
  # Without --no-compile pip would compile all of TensorFlow, of which a run imports nothing.
  venv/bin/python -m pip install --quiet --no-compile "$@" -r "$file" >&2 || cannot_install "$file"
  # ... but what a run does import is compiled here, once: cron may run as somebody who cannot write to venv/.
  env -u PYTHONDONTWRITEBYTECODE venv/bin/python -c "$IMPORTED" ||
    refuse 2 "Los paquetes de $file se instalaron, pero no se pueden cargar" \
      "Revise el mensaje de arriba. Si dice «failed to map segment», el disco de $PWD está montado con noexec: use otro."
  cp "$file" "$stamp" 2>/dev/null || cannot_install "$file"
}
