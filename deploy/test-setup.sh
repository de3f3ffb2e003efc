#!/usr/bin/env bash
# Installs what `make test` needs and this machine lacks: a C compiler for the
# race detector, Redis, PostgreSQL, nginx, Caddy, HAProxy, promtool, Chromium, Node. Nothing it
# installs is started: the tests run private servers of their own.
set -euo pipefail

# What npm installs: an issuer that others wrote. npm writes the file that is looked
# at when it has finished.
modules() {
  local dir
  dir="$(cd "$(dirname "$0")/.." && pwd)/idp/oidcprovider"
  [ "$dir/node_modules/.package-lock.json" -nt "$dir/package-lock.json" ] && return
  echo "installing: the modules of idp/oidcprovider"
  npm ci --prefix "$dir" --no-audit --no-fund --silent
}

packages=()
need() { # COMMAND PACKAGE...
  command -v "$1" >/dev/null 2>&1 && return
  [ -x "/usr/sbin/$1" ] && return # which is root's PATH alone
  compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null && return # Debian keeps them out of PATH
  packages+=("${@:2}")
}
need gcc gcc libc6-dev
need redis-server redis-server
need postgres postgresql
need nginx nginx
need caddy caddy
need haproxy haproxy
need promtool prometheus
need chromium chromium fonts-dejavu-core
need node nodejs
need npm npm

if [ ${#packages[@]} -eq 0 ]; then
  modules
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "make test needs: ${packages[*]}; install them with this system's package manager" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "make test needs: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
  exit 1
fi

# A policy that keeps packaged services from starting by themselves, for as long
# as this installation takes and only if there is none.
policy=/usr/sbin/policy-rc.d
remove=()
trap 'rm -f "${remove[@]}"' EXIT
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  remove+=("$policy")
fi
# Likewise, no database cluster is to be made.
if [[ " ${packages[*]} " == *" postgresql "* ]]; then
  cluster=/etc/postgresql-common/createcluster.d/lodge-test-setup.conf
  mkdir -p "$(dirname "$cluster")"
  echo "create_main_cluster = false" >"$cluster"
  remove+=("$cluster")
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing: ${packages[*]}"
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
modules
