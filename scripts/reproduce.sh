#!/usr/bin/env bash
# The paper's whole grid: for each task a human set and one created set a strategy, a sweep on each, scores in and out of
# distribution, probes, then the tables and figures. Safe to run again: what has its result file is left out, a run of
# creation or training that was killed goes on. DRY=1 prints the commands and does nothing.
#
#   DRY=1 bash scripts/reproduce.sh
#   WRITER=gpt-4o-mini TASKS="csqa creak" bash scripts/reproduce.sh
#   WRITER=my-model BASE_URL=http://localhost:8000/v1 STRATEGIES=tree SEEDS="0 1 2" bash scripts/reproduce.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MODEL="${MODEL:-roberta-large}"                             # what is trained
WRITER="${WRITER:-gpt-3.5-turbo}"                           # who writes the rows
BASE_URL="${BASE_URL:-}"                                    # another OpenAI-compatible server
TASKS="${TASKS:-piqa winogrande csqa riddle_sense boolq_open pubmedqa bioasq boolq strategyqa creak}"
STRATEGIES="${STRATEGIES:-random contrastive similar tree}"
CREATION_SEEDS="${CREATION_SEEDS:-42}"                      # each draws another formatting example
SEEDS="${SEEDS:-0}"                                         # of training; the first one sweeps
GRID="${GRID:---grid paper}"                                # or: --learning-rates 1e-5 --batch-sizes 16
TRAIN_FLAGS="${TRAIN_FLAGS:-}"                              # such as: --mixed-precision bf16
CREATE_FLAGS="${CREATE_FLAGS:-}"                            # such as: --max-cost 5
ROWS="${ROWS:-}"                                            # of every set; default: as many as the task's human rows
HUMAN_DATA="${HUMAN_DATA:-}"                                # a folder of JSON lines in place of the Hub
SPLIT="${SPLIT:-test}"                                      # of the human data, to score on
JOBS="${JOBS:-4}"                                           # tasks at once
LAUNCH="${LAUNCH:-python -m}"                               # or: accelerate launch -m
OUT="${OUT:-reproduced}"                                    # created rows, models, results, tables, figures, logs
DRY="${DRY:-}"

source scripts/venv.sh
PATH="$PWD/$VENV/bin:$VENV/bin:$PATH"
# shellcheck disable=SC2086,SC2206  # the flags above are several words on purpose
human_data=(${HUMAN_DATA:+--human-data "$HUMAN_DATA"})
base_url=(${BASE_URL:+--base-url "$BASE_URL"})

run() {  # the command, said and done
    printf '%q ' "$@"; echo
    if [ -z "$DRY" ]; then "$@"; fi
}

result() {  # where a result is: TASK SET CREATION-SEED SEED
    python -c 'import sys; from pathlib import Path; from llm_created.evaluation import results
root, task, data, model, made, seed = sys.argv[1:]
model = Path(model).resolve().name if Path(model).exists() else model
print(results.path(root, task, data, model, made, int(seed)))' "$OUT/results" "$1" "$2" "$MODEL" "$3" "$4"
}

rows_of() {  # how many human rows the paper trained on
    python -c 'import sys; sys.path.insert(0, "scripts"); import paper; print(paper.TRAIN_ROWS[sys.argv[1]])' "$1"
}

tests_of() {  # the task's own test set, and those of its family
    python -c 'import sys; from llm_created.tasks import builtin as tasks; task, split = sys.argv[1:]
mates = [name for name in tasks.names() if name != task and tasks.load(name).family == tasks.load(task).family]
print(*(f"{name}:{split}" for name in [task, *mates]))' "$1" "$SPLIT"
}

scored() {  # whether a result is there with a score on each test set: FILE TEST...
    local file="$1" test; shift
    for test in "$@"; do grep -qs "\"$test\": {" "$file" || return 1; done
}

chosen() {  # what a sweep chose: its winner's NAME, or its FLAGS
    if [ ! -e "$2" ]; then echo "CHOSEN-BY-THE-SWEEP"; return; fi
    python -c 'import json, sys; best = json.load(open(sys.argv[2]))["ranking"][0]
print(best["cell"] if sys.argv[1] == "NAME" else "--learning-rate {learning_rate} --batch-size {batch_size}".format(**best))' "$1" "$2"
}

train() {  # TASK SET CREATION-SEED ROWS...: sweep with the first seed, the winner's settings with the others, probes
    local task="$1" data="$2" made="$3"; shift 3
    local seed first="" sweep="" models="$OUT/models/$task-$data" file tests
    if [ "$made" != - ]; then models+="-$made"; fi
    tests="$(tests_of "$task")"
    for seed in $SEEDS; do
        file="$(result "$task" "$data" "$made" "$seed")"
        common=(--train "$@" --task "$task" --model "$MODEL" --seed "$seed" --results "$OUT/results"
                --on $tests ${human_data[@]+"${human_data[@]}"} $TRAIN_FLAGS)
        if [ -z "$first" ]; then
            first="$file" sweep="$(dirname "$file")/sweep-$(basename "$file" .json)/sweep.json"
            if scored "$file" $tests; then echo "# there is: $file"; continue; fi
            run $LAUNCH llm_created.train.sweep "${common[@]}" $GRID --output-dir "$models-$seed"
        else
            if scored "$file" $tests; then echo "# there is: $file"; continue; fi
            run $LAUNCH llm_created.train.finetune "${common[@]}" $(chosen FLAGS "$sweep") --output-dir "$models-$seed"
        fi
    done
    if grep -qs "\"$task:$SPLIT#no-question\"" "$first"; then return; fi
    run $LAUNCH llm_created.train.score "$models-${SEEDS%% *}/$(chosen NAME "$sweep")" --on "$task:$SPLIT" \
        --probe no-question --results "$OUT/results" ${human_data[@]+"${human_data[@]}"}
}

one_task() {  # everything about one task
    local task="$1" rows strategy made
    rows="${ROWS:-$(rows_of "$task")}"
    train "$task" "human${ROWS:+-$ROWS}" - "human${ROWS:+:$ROWS}"
    for strategy in $STRATEGIES; do
        for made in $CREATION_SEEDS; do
            run llm-created create "$task" --paper --strategy "$strategy" --model "$WRITER" --seed "$made" -n "$rows" \
                --out "$OUT/created/$task-$strategy-$made" ${base_url[@]+"${base_url[@]}"} ${human_data[@]+"${human_data[@]}"} $CREATE_FLAGS
            train "$task" "$strategy" "$made" "$OUT/created/$task-$strategy-$made"
        done
    done
}

if [ -z "$DRY" ]; then
    mkdir -p "$OUT/logs"
    if ! python -c 'import importlib.util, sys
sys.exit(not all(map(importlib.util.find_spec, ("accelerate", "matplotlib", "sentence_transformers", "sklearn"))))'; then
        python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[embed,train]"
    fi
fi
failed="" pids=()
for task in $TASKS; do
    if [ -n "$DRY" ]; then echo; echo "# $task"; one_task "$task"; continue; fi
    while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do sleep 1; done
    echo "$task: $OUT/logs/$task.log"
    (set -e; one_task "$task") > "$OUT/logs/$task.log" 2>&1 &
    pids+=("$task:$!")
done
for pid in ${pids[@]+"${pids[@]}"}; do  # an empty array is unset to old bash
    wait "${pid#*:}" || failed+=" ${pid%%:*}"
done
echo
for format in md csv; do
    run python scripts/tables.py --results "$OUT/results" --paper --format "$format" --out "$OUT/tables" || failed+=" tables"
done
run python scripts/figures.py --results "$OUT/results" --runs "$OUT"/created/* --out "$OUT/figures" || failed+=" figures"
if [ -n "$failed" ]; then echo "error: these ended early, see $OUT/logs:$failed" >&2; exit 1; fi
