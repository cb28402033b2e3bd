#!/usr/bin/env bash
# Installs Debian's Node.js and npm, for the TypeScript client and the dashboard's lint, where there are none.
set -euo pipefail
command -v npm >/dev/null && exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nodejs npm
