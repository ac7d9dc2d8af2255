#!/usr/bin/env bash
# What a card measures that a CPU cannot, in parts of some minutes each that go on after an interruption, the most wanted first:
#
#   benchmarks/gpu.sh [PART...]      check, study, memory, time, batch; all in this order if none is named
#
# Every record is written as soon as it is there: a part that is cut off goes on when it is run again. The environment
# says the rest, all of it optional:
#
#   MMEST_DATA, MMEST_WEIGHTS  where data sets and pretrained files are, as configs have it
#   MMEST_COMMIT               commit of the sources, where they were copied without their repository
#   OUT        folder of the records (benchmarks/results)
#   GRIDS      folder of accuracy.py and gpu.py, and of ablation.py, few_shot.py and longer.py if they are there
#              (benchmarks/grids)
#   ONLY       part of the study, as --only of "mmest benchmark" has it (deit-t)
#   SECONDS_A_PART   after which a part is interrupted (480)
#   JOBS       processes side by side (one a core, but two, and 14 at most)
#   TOGETHER   models side by side in each of the study's (3)
#   DEVICE     cuda, or cpu to try the script (cuda)
#   PYTHON_BIN (.venv/bin/python)
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON_BIN:-.venv/bin/python} out=${OUT:-benchmarks/results} grids=${GRIDS:-benchmarks/grids}
device=${DEVICE:-cuda} cores=$(nproc)
jobs=${JOBS:-$((cores > 16 ? 14 : cores > 2 ? cores - 2 : 1))}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

benchmark() {
    timeout --signal=INT --kill-after=30 "${SECONDS_A_PART:-480}" "$python" -m mmest benchmark "$@" --out "$out" ||
        echo "This part ended with code $?; run again, it goes on."
}

check() {
    [ "$device" = cuda ] || return 0
    "$python" benchmarks/check_operators.py
    # The allocator's peak against the count of live tensors; steps as graphs against steps without.
    "$python" -m pytest -q tests/measure/test_memory_detail.py tests/benchmark/test_side_by_side.py -k 'not runner and not grid'
}

# Without MPS the card runs one process at a time, and the kernels of small models leave most of it idle.
share_card() {
    local control
    control=$(command -v nvidia-cuda-mps-control || echo /usr/local/nvidia/bin/nvidia-cuda-mps-control)
    [ "$device" = cuda ] && [ -x "$control" ] || return 0
    PATH=$PATH:$(dirname "$control") CUDA_MPS_PIPE_DIRECTORY=$(mktemp -d) CUDA_MPS_LOG_DIRECTORY=$(mktemp -d)
    export PATH CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
    nvidia-cuda-mps-control -d || unset CUDA_MPS_PIPE_DIRECTORY
}

stop_sharing() {
    [ -z "${CUDA_MPS_PIPE_DIRECTORY:-}" ] || { echo quit | nvidia-cuda-mps-control; unset CUDA_MPS_PIPE_DIRECTORY; }
}

# The fair ground, and what builds on its sweeps.
study() {
    share_card
    local kinds=sweep,accuracy grid
    for grid in accuracy ablation few_shot longer; do
        [ ! -f "$grids/$grid.py" ] ||
            benchmark "$grids/$grid.py" --only "$kinds,${ONLY:-deit-t}" --jobs "$jobs" --together "${TOGETHER:-3}"
        kinds=accuracy
    done
    stop_sharing
}

memory() { benchmark "$grids/gpu.py" --only memory --jobs "$jobs"; }
time_() { benchmark "$grids/gpu.py" --only time; }
batch() { benchmark "$grids/gpu.py" --only largest_batch; }

for part in "${@:-check study memory time batch}"; do
    for name in $part; do
        case $name in
            check | study | memory | batch) echo "== $name"; $name ;;
            time) echo "== time"; time_ ;;
            *) echo "There is no part \"$name\"; there are check, study, memory, time and batch." >&2; exit 2 ;;
        esac
    done
done
