#!/bin/sh
# What one NVIDIA GPU does. Everything is written into the folder OUT.
#
#     benchmarks/gpu.sh tests OUT     the tests that are marked gpu; about two minutes
#     benchmarks/gpu.sh speed OUT     timed figures: OUT/gpu.json; about two minutes
#     benchmarks/gpu.sh steps OUT     training steps and nine mega pictures beside other people's code: OUT/*.json
#     benchmarks/gpu.sh train OUT     the whole gpu preset, then its evaluation: OUT/run; some minutes
set -eu
PYTHON=${PYTHON:-python3}
what=${1:?tests, speed, steps or train}
mkdir -p "${2:?a folder to write to}"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-4}"

case $what in
tests)
    files=$(grep -rl --include='test_*.py' 'mark\.gpu' tests)  # others may need packages that are not there
    OMP_NUM_THREADS=1 $PYTHON -m pytest -m gpu -q -n "${WORKERS:-8}" --durations=10 --junitxml="$out/tests.xml" $files
    ;;
speed)
    $PYTHON benchmarks/gpu.py "$out"
    ;;
steps)
    for shape in gpu mini; do
        $PYTHON -m minidalle bench train --shape $shape --device cuda --json "$out/train-$shape.json"
    done
    $PYTHON -m minidalle bench decode --shape mega --pictures 9 --device cuda --json "$out/decode-mega.json"
    ;;
train)
    began=$(date +%s)
    $PYTHON -m minidalle run --preset gpu --device cuda --out "$out/run"
    echo "trained in $(($(date +%s) - began)) s"
    $PYTHON -m minidalle evaluate --run "$out/run" --device cuda --out "$out/evaluation"
    echo "trained and evaluated in $(($(date +%s) - began)) s"
    ;;
*)
    echo "tests, speed, steps or train?" >&2
    exit 2
    ;;
esac
