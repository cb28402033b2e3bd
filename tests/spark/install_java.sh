#!/usr/bin/env bash
# Installs Debian's Java 17, which Spark runs on, where there is no Java.
set -euo pipefail
java -version >/dev/null 2>&1 && exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless
