#!/usr/bin/env bash
# Installs Debian's nginx, which the test of docs/web-app.md's block runs, where there is none.
# Nothing of it is started: the test runs its own, with its own configuration.
set -euo pipefail
[ -x /usr/sbin/nginx ] && exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq nginx-light
