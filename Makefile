# `make quality test` is what CI runs; both need the environment that `make test` makes.
VENV ?= .venv
BIN := $(VENV)/bin
export VENV

.PHONY: style quality test test-all docs bench clean

style:  ## put the code in the house style
	"$(BIN)/ruff" format .
	"$(BIN)/ruff" check --fix .
	"$(BIN)/python" scripts/tree.py --write

quality:  ## what CI asks of style and types
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"

test:  ## all but the slow tests
	bash scripts/test.sh

test-all:  ## every test, as in CI
	SLOW=1 bash scripts/test.sh

docs:  ## the site; a broken link or reference is an error
	"$(BIN)/python" -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 "$(BIN)/python" -m mkdocs build --strict -q

bench:  ## how fast and how lean, against a server on loopback
	"$(BIN)/python" scripts/bench_create.py

clean:  ## what the tools left behind; never data, never the environment
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
