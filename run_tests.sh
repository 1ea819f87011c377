#!/usr/bin/env bash
# Everything a fresh machine needs, then lint, types and tests. Arguments go to pytest: ./run_tests.sh -k retry
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
source ./environment.sh

# The server's programs alone, without the package that would also start it as a service.
MARIADB_PACKAGES=(mariadb-server-core mariadb-client-core)

have_mariadb() {
  PATH="$PATH:/usr/sbin:/usr/local/sbin" type mariadbd mariadb-install-db &>/dev/null
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

prepare_mariadb() {
  if have_mariadb; then
    return
  fi
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "Instalando MariaDB para las pruebas (ningún servicio se pone en marcha)..." >&2
    # A machine that was just set up has no list of packages yet.
    apt_install "${MARIADB_PACKAGES[@]}" || { apt-get update -q >&2 && apt_install "${MARIADB_PACKAGES[@]}"; } || true
  fi
  if ! have_mariadb; then
    echo "Falta el servidor MariaDB: las pruebas que lo usan se omiten." >&2
    echo "Instálelo (en Debian y Ubuntu: sudo apt install mariadb-server) y vuelva a ejecutar." >&2
  fi
}

prepare requirements.txt
prepare requirements-demo.txt --no-deps
prepare requirements-dev.txt
prepare_mariadb

venv/bin/ruff check
venv/bin/ruff format --check
venv/bin/mypy
exec venv/bin/python -m pytest "$@"
