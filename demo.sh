#!/bin/sh
# The whole loop on real data: propose, run, report, apply. Called by `make demo`, which sets BIN.
set -eu
cd "$(dirname "$0")"
PATH="$BIN:$PATH"
export PATH

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }
if [ -n "${NO_COLOR-}" ] || [ ! -t 1 ]; then
    say() { printf '\n$ %s\n' "$*"; "$@"; }
fi

mkdir -p demo
cd demo
if [ ! -f retrain.toml ]; then
    say retrain init --example breast_cancer
    # The registry stands at the top of the repository, for whoever opens it there.
    { echo 'db = "sqlite:///../experiments.db"'; cat retrain.toml; } > with_db && mv with_db retrain.toml
fi
say orchestrator --method random --configs 8
say orchestrator --method bayesian --configs 12
say orchestrator --summary
say orchestrator confirm
say retrain --apply-hp best --dry-run
printf '\nGo on from here: cd demo && . ../.venv/bin/activate && orchestrator ls\n'
