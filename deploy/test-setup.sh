#!/usr/bin/env bash
# Installs what `make test` needs and this machine lacks: a C compiler for the
# race detector, Redis, Chromium, Node. Nothing it installs is started: the
# tests run private servers of their own.
set -euo pipefail

packages=()
need() { # COMMAND PACKAGE...
  command -v "$1" >/dev/null 2>&1 || packages+=("${@:2}")
}
need gcc gcc libc6-dev
need redis-server redis-server
need chromium chromium fonts-dejavu-core
need node nodejs
need npm npm

if [ ${#packages[@]} -eq 0 ]; then
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
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing: ${packages[*]}"
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
