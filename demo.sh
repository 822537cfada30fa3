#!/bin/sh
# The whole loop on real data: propose, run, report, apply. Called by `make demo`, which sets BIN.
set -eu
cd "$(dirname "$0")"
PATH="$BIN:$PATH"
RETRAIN_DB="sqlite:///$PWD/experiments.db"
export PATH RETRAIN_DB

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }
if [ -n "${NO_COLOR-}" ] || [ ! -t 1 ]; then
    say() { printf '\n$ %s\n' "$*"; "$@"; }
fi

mkdir -p demo
cd demo
[ -f retrain.toml ] || say retrain init --example breast_cancer
say orchestrator --method random --configs 8
say orchestrator --method bayesian --configs 12
say orchestrator --summary
say retrain --apply-hp best --dry-run
