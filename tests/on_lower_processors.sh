#!/usr/bin/env bash
# The tests that depend on the processor, on lower instruction sets than this one's (x86-64).
#
#     tests/on_lower_processors.sh [PYTHON]             oneDNN's kernels for AVX-512 without VNNI, and for AVX2
#     tests/on_lower_processors.sh --emulate [PYTHON]   a whole processor (AVX2; SSE4.2) in QEMU: 20 minutes
#
# The first sees what OpenVINO's matrix products do elsewhere, and has nothing to do on a processor with AVX2 alone:
# below that, oneDNN's kernels and OpenVINO's own do not fit together. The second sees all: OpenVINO's own kernels,
# NumPy, tokenizers. It needs Debian's package qemu-user.
set -euo pipefail
cd "$(dirname "$0")/.."

emulate=false
if [ "${1:-}" = --emulate ]; then
    emulate=true
    shift
fi
python=${1:-python}
tests=(tests/engines tests/encoding/test_int8.py tests/contracts/test_fidelity.py tests/contracts/test_invariance.py)

if $emulate; then
    command -v qemu-x86_64 >/dev/null || { echo "qemu-x86_64 is not installed: apt-get install qemu-user" >&2; exit 1; }
    for processor in Haswell Nehalem; do
        echo "+ on $processor"
        EMULATED_PROCESSOR=$processor qemu-x86_64 -cpu "$processor" "$(command -v "$python")" \
            -m pytest --numprocesses=0 --timeout=3000 -q "${tests[@]}"
    done
elif ! grep -qw avx512f /proc/cpuinfo; then
    echo "this processor has no AVX-512: there is nothing lower that the libraries allow"
else
    for isa in AVX512_CORE AVX2; do
        echo "+ with oneDNN's kernels for $isa"
        ONEDNN_MAX_CPU_ISA=$isa "$python" -m pytest -q "${tests[@]}"
    done
fi
