#!/usr/bin/env bash
# Installs Debian's Chromium where it is missing, for the tests that measure a page in a browser; needs root.
set -euo pipefail
hash chromium 2>/dev/null && exit
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
