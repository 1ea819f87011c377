#!/usr/bin/env bash
# Everything a fresh machine needs, then lint, types and tests. Arguments go to pytest: ./run_tests.sh -k retry
# --chaos, as the first one: only the tests that try to break the program, all of their rounds, and a table of figures.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
source ./environment.sh
unset PYTHONDONTWRITEBYTECODE # where it is set, each of the hundreds of processes would compile its modules anew

# The server's programs alone, without the package that would also start it as a service.
MARIADB_PACKAGES=(mariadb-server-core mariadb-client-core)

# The browser that the report's page is tested in, and what drives it.
BROWSER_PACKAGES=(chromium chromium-driver)

have_mariadb() {
  PATH="$PATH:/usr/sbin:/usr/local/sbin" type mariadbd mariadb-install-db &>/dev/null
}

have_browser() {
  type chromedriver &>/dev/null &&
    { type chromium &>/dev/null || type chromium-browser &>/dev/null || type google-chrome &>/dev/null; }
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

apt_install_if_root() { # apt_install_if_root WHAT PACKAGES
  local what=$1
  shift
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "Instalando $what..." >&2
    # A machine that was just set up has no list of packages yet.
    apt_install "$@" || { apt-get update -q >&2 && apt_install "$@"; } || true
  fi
}

prepare_mariadb() {
  if have_mariadb; then
    return
  fi
  apt_install_if_root "MariaDB para las pruebas (ningún servicio se pone en marcha)" "${MARIADB_PACKAGES[@]}"
  if ! have_mariadb; then
    echo "Falta el servidor MariaDB: las pruebas que lo usan se omiten." >&2
    echo "Instálelo (en Debian y Ubuntu: sudo apt install mariadb-server) y vuelva a ejecutar." >&2
  fi
}

prepare_browser() {
  if have_browser; then
    return
  fi
  apt_install_if_root "Chromium para las pruebas de la página del informe" "${BROWSER_PACKAGES[@]}"
  if ! have_browser; then
    echo "Falta Chromium o chromedriver: las pruebas de la página se omiten." >&2
    echo "Instálelos (en Debian: sudo apt install chromium chromium-driver) y vuelva a ejecutar." >&2
  fi
}

if [[ "${1:-}" == --chaos ]]; then
  shift
  export CHAOS=1
  only=(-m chaos)
  workers=3 # these tests measure times, so that they get more of the machine
else
  only=()
  workers=4                     # more than the two cores of a small machine, since many tests wait
  export OPENBLAS_NUM_THREADS=1 # with so many workers, further threads of OpenBLAS only wait for a core
  # Each of the hundreds of runs in one process would return its memory to the system and request it anew. Under --chaos
  # memory is measured as users have it.
  kept=$((256 << 20))
  export MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=$kept MALLOC_MMAP_THRESHOLD_=$kept
fi

prepare requirements.txt
prepare requirements-demo.txt --no-deps
prepare requirements-dev.txt
prepare requirements-ray.txt
prepare_mariadb
prepare_browser

venv/bin/ruff check
venv/bin/ruff format --check
venv/bin/mypy
exec venv/bin/python -m pytest -n "$workers" --dist worksteal ${only[@]+"${only[@]}"} "$@"
