#!/usr/bin/env bash
# Writes the hash-locked requirements and the conda environment with the same pins; needs uv.
set -euo pipefail
cd "$(dirname "$0")"
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links --no-annotate "$@"
}
compile ../pyproject.toml --output-file requirements.txt
compile ../pyproject.toml --group ../pyproject.toml:dev --constraint requirements.txt \
    --output-file requirements-dev.txt
# The plugins for clusters, to be installed on top of the others.
compile ../pyproject.toml --extra cluster --constraint requirements.txt \
    $(sed -nE "s/^([A-Za-z0-9_.-]+)==.*/--no-emit-package \1/p" requirements.txt) \
    --output-file requirements-cluster.txt
# What judges in the tests, on top of the development environment. The stubs and Hugging Face's
# transfers are large, and nothing here imports them.
compile ../pyproject.toml --group ../pyproject.toml:judges --constraint requirements-dev.txt \
    $(sed -nE "s/^([A-Za-z0-9_.-]+)==.*/--no-emit-package \1/p" requirements-dev.txt) \
    --no-emit-package pandas-stubs --no-emit-package hf-xet \
    --output-file requirements-judges.txt
{
    echo "# Written by lock.sh: the pins of requirements.txt for conda."
    echo "name: flareset"
    echo "channels: [conda-forge]"
    echo "dependencies:"
    echo "  - python=3.12"
    echo "  - pip"
    echo "  - pip:"
    sed -nE "s/^([A-Za-z0-9_.-]+==[^ ]+)( ; (.*[^ \\\\]))? *\\\\?$/\1\2/p" requirements.txt \
        | sed "s/\"/'/g; s/.*/      - \"&\"/"
} > flareset.yaml
