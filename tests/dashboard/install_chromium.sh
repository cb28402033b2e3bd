#!/usr/bin/env bash
# Installs Debian's Chromium, which the browser tests drive, where there is none.
set -euo pipefail
command -v chromium >/dev/null && exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-liberation
