#!/usr/bin/env bash
# Builds, tests and measures the CUDA backend on this machine's card, from a checkout, with neither Node nor a network:
#
#   native/gpu/run.sh [--out FOLDER] [--models "0.5b 1.5b 7b"] [--limit SECONDS] [--device cuda:0] [STAGE...]
#
#   build      the card's own machine code only; uses what `pack` made of the same sources, where that is there
#   test       every operation, models against the reference, 20-step trajectories, bf16 gradients beside PyTorch's
#   sanitize   compute-sanitizer over the operations: memcheck, then racecheck
#   rates      what the card can do: a large product, each model's products, the other operations, a pass of generation
#   train      full, LoRA, completion-only, small microbatches of a step joined as the trainer does; memory, and process start to first step
#   generate   64 prompts at once
#   peers      Hugging Face Trainer and PEFT on the same weights, records and steps, then the same with torch.compile, then with a step's
#              microbatches as one (Python with torch and transformers)
#   variants   ours with microbatches joined up to twice as many tokens, which is not what is done without being asked for; LoRA with dropout
#   tuned      ours with the fastest of each product's algorithms, which is not what is used without being asked for
#   table      table.md of whatever results there are
#   pack       builds on a machine with nvcc and the libraries what another one will run: build/gpu-pack (not among the default stages)
#
# Without stages: all from build to table, the ones that say most first. Every command has a limit of its own, and --limit is that of all
# together; results are written as they come, so that a cut loses nothing. Exit code: 0, 1 where something failed, 2 for misuse, 3 where no
# card can be used. Environment: SFT_LAB_GPU_PYTHON (python3), SFT_LAB_GPU_ARCHITECTURE (that of the card), SFT_LAB_GPU_TESTS (a filter).
set -u -o pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
out=${OUT:-$root/build/gpu-results}
device=cuda:0
models='0.5b 1.5b 7b'
limit=580
stages=()
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --out | --models | --limit | --device)
      [ $# -gt 1 ] || usage
      case $1 in --out) out=$2 ;; --models) models=$2 ;; --limit) limit=$2 ;; --device) device=$2 ;; esac
      shift 2
      ;;
    build | test | sanitize | rates | train | generate | peers | variants | tuned | table | pack) stages+=("$1"); shift ;;
    --help) usage ;;
    *) echo "run.sh: no such stage or option: $1" >&2; usage ;;
  esac
done
[[ $limit =~ ^[0-9]+$ ]] || { echo "run.sh: --limit is a number of seconds" >&2; exit 2; }
for model in $models; do
  [ -f "$root/native/gpu/models/$model/config.json" ] || { echo "run.sh: no such model: $model" >&2; exit 2; }
done
[ ${#stages[@]} -gt 0 ] || stages=(build test sanitize rates train generate peers variants tuned table)

mkdir -p "$out"
results=$out/results.jsonl
log=$out/log.txt
work=${TMPDIR:-/tmp}/sft-lab-gpu
mkdir -p "$work"
pack=$root/build/gpu-pack
bin=$root/build/gpu/gpu
python=${SFT_LAB_GPU_PYTHON:-python3}
failed=0
export SFT_LAB_FIXTURES=$root/test/fixtures

left() { echo $((limit - SECONDS)); }
say() { echo "[$SECONDS s] $*" | tee -a "$log"; }
fail() { say "FAILED: $*"; failed=1; }
# limited SECONDS COMMAND...: at most so long, and no longer than what is left. 124: cut off.
limited() {
  local most=$1 remaining
  shift
  remaining=$(left)
  [ "$remaining" -gt 3 ] || return 124
  [ "$most" -lt "$remaining" ] || most=$remaining
  timeout --kill-after=5 "$most" "$@"
}
# record STAGE MODEL KIND SIDE LIMIT COMMAND...: one line of results, the JSON object that the command prints last.
record() {
  local stage=$1 model=$2 kind=$3 side=$4 most=$5 result code
  shift 5
  result=$(limited "$most" "$@" 2>>"$log" | tail -n 1)
  code=$?
  [[ $result == '{'*'}' ]] || result="{\"failed\":\"$([ $code -eq 124 ] && echo 'out of time' || echo "exit code $code, see log.txt")\"}"
  printf '{"stage":"%s","model":"%s","kind":"%s","side":"%s","result":%s}\n' "$stage" "$model" "$kind" "$side" "$result" >>"$results"
  say "$stage $model $kind $side: ${result:0:160}"
  [ $code -eq 0 ]
}

# What was built is of these sources: for `pack` and `build` to tell.
sources() {
  (cd "$root/native" && find . \( -name '*.cu' -o -name '*.cpp' -o -name '*.h' -o -name CMakeLists.txt \) -not -path './addon/*' |
    LC_ALL=C sort | xargs cat | sha256sum | cut -d' ' -f1)
}
architecture() {
  local found=${SFT_LAB_GPU_ARCHITECTURE:-}
  [ -n "$found" ] || found=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
  case $found in '') echo 90a-real ;; 90) echo 90a-real ;; *[!0-9]*) echo "$found" ;; *) echo "$found-real" ;; esac
}
compile() { # FOLDER MARCH
  local flags=(-S "$root/native" -B "$1" -DSFT_LAB_GPU_PROGRAMS=ON -DSFT_LAB_MARCH="$2" "-DSFT_LAB_CUDA_ARCHITECTURES=$(architecture)")
  if [ "$device" = cpu ]; then flags+=(-DSFT_LAB_CPU=ON -DSFT_LAB_CUDA=OFF -DSFT_LAB_TESTS=OFF); else flags+=(-DSFT_LAB_CPU=OFF -DSFT_LAB_CUDA=ON); fi
  command -v ninja >/dev/null && flags+=(-G Ninja)
  limited 400 cmake "${flags[@]}" >>"$log" 2>&1 && limited 400 cmake --build "$1" -j"$(nproc)" >>"$log" 2>&1
}

stage_pack() {
  compile "$root/build/gpu" x86-64-v3 || { fail 'the build; see log.txt'; return; }
  rm -rf "$pack" && mkdir -p "$pack"
  for program in "$bin"/sft_lab_gpu_*; do [ -f "$program" ] && [ -x "$program" ] && strip -o "$pack/$(basename "$program")" "$program"; done
  sources >"$pack/sources"
  say "packed: $(du -sh "$pack" | cut -f1) in build/gpu-pack, to be taken along beside the checkout"
}
find_programs() {
  if [ "$device" != cpu ] && [ -f "$pack/sources" ] && [ "$(cat "$pack/sources")" = "$(sources)" ]; then bin=$pack; fi
  [ -x "$bin/sft_lab_gpu_train" ]
}
stage_build() {
  if find_programs && [ "$bin" = "$pack" ]; then say 'build: what was packed is of these sources'; return; fi
  compile "$root/build/gpu" native || { fail 'the build (CMake, nvcc, a C++20 compiler, nlohmann-json and GoogleTest are needed, or a pack); see log.txt'; return; }
  say "built for $(architecture)"
}

stage_test() {
  [ -x "$bin/sft_lab_gpu_test" ] || { fail 'the tests are not built (GoogleTest is missing)'; return; }
  # Generation adds in another order in other company on a card, so only what is not about bits.
  local filter=${SFT_LAB_GPU_TESTS:--*ChangeNoBit*:*TheSequencesSeed*}
  limited 200 "$bin/sft_lab_gpu_test" "--gtest_filter=$filter" "--gtest_output=json:$out/tests.json" >"$out/tests.txt" 2>&1
  local code=$? passed broken
  passed=$(grep -c '^\[       OK' "$out/tests.txt")
  broken=$(grep -c '^\[  FAILED  \].*ms)$' "$out/tests.txt")
  printf '{"stage":"test","result":{"passed":%d,"broken":%d,"code":%d}}\n' "$passed" "$broken" $code >>"$results"
  say "test: $passed passed, $broken failed, exit code $code"
  if [ $code -ne 0 ]; then
    grep -h 'FAILED\|Failure\|error:' "$out/tests.txt" | sort | uniq -c | sort -rn | head -n 40 | tee -a "$log"
    fail 'the tests; see tests.txt'
  fi
}

stage_sanitize() {
  command -v compute-sanitizer >/dev/null || { say 'sanitize: compute-sanitizer is not there'; return; }
  local tool code tests
  for tool in memcheck racecheck; do
    tests='-Families*:Precision*:Parity*:Moments*:Matmul*'
    [ $tool = memcheck ] || tests='*AttentionParts*:*AttentionCached*:Norm*:CrossEntropy*:Rows*:Sampling*:Elementwise*:LowRank*'  # those with shared memory
    limited 60 compute-sanitizer --tool $tool --error-exitcode 9 "$bin/sft_lab_gpu_test" "--gtest_filter=$tests" >"$out/$tool.txt" 2>&1
    code=$?
    printf '{"stage":"sanitize","kind":"%s","result":{"code":%d,"summary":"%s"}}\n' $tool $code "$(grep -h 'SUMMARY' "$out/$tool.txt" | tail -n 1 | tr -d '"\\=')" >>"$results"
    say "sanitize $tool: exit code $code"
    [ $code -eq 0 ] || [ $code -eq 124 ] || fail "$tool; see $tool.txt"
  done
}

# The sizes of a step, smaller for the model that is for trying this script out.
shape() {
  batch=4 accumulation=2 join=8192 steps=6 warmup=2 tokens=8192 length=2048 vocabulary=151936 count=64 mixed=1024 new=128 size=8192 prompts=64
  case $1 in
    7b) batch=2 accumulation=2 tokens=4096 steps=4 warmup=1 ;;
    tiny) batch=2 accumulation=2 join=256 steps=2 warmup=1 tokens=256 length=128 vocabulary=512 count=8 mixed=64 new=8 size=256 prompts=4 ;;
  esac
}
inputs() { # MODEL: records and prompts, and weights that peers can read too
  shape "$1"
  [ -f "$work/$1.packed" ] || "$bin/sft_lab_gpu_train" --make "$work/$1.packed" --count $count --shortest $length --longest $length --share 0 --vocabulary $vocabulary || return 1
  [ -f "$work/$1.mixed" ] || "$bin/sft_lab_gpu_train" --make "$work/$1.mixed" --count $((4 * count)) --shortest $((mixed / 16)) --longest $mixed --share 0.8 --vocabulary $vocabulary || return 1
  [ -f "$work/$1.prompts" ] || "$bin/sft_lab_gpu_train" --prompts "$work/$1.prompts" --count $prompts --shortest 32 --longest 192 --vocabulary $vocabulary || return 1
  [ -f "$work/$1/config.json" ] || limited 120 "$bin/sft_lab_gpu_train" --model "$root/native/gpu/models/$1" --initialize 1 --device "$device" \
    --precision "$([ "$1" = 7b ] && echo bf16 || echo fp32)" --save "$work/$1" >>"$log" 2>&1
}
# A kind of training is: its records, its rank, its microbatch, and how many steps go before those that are measured: some more where microbatches
# have each its own number of tokens.
kind_of() { # KIND: sets data, rank, micro, moments, unmeasured
  moments=fp32 unmeasured=$warmup
  [[ $1 != completion* ]] || unmeasured=$((4 * warmup))
  case $1 in
    full-bf16-moments) data=packed rank=0 micro=$batch moments=bf16 ;;
    full) data=packed rank=0 micro=$batch ;;
    lora) data=packed rank=16 micro=$batch ;;
    completion) data=mixed rank=0 micro=$((2 * batch)) ;;
    completion-lora) data=mixed rank=16 micro=$((2 * batch)) ;;
  esac
}
kinds() {
  if [ "$1" != 7b ]; then
    echo full lora completion
    return
  fi
  echo lora completion-lora
  # 14 bytes a parameter and the activations: more than most cards have.
  local memory
  memory=$(grep -o '"memory":[0-9]*' "$work/card" | cut -d: -f2)
  [ "${memory:-0}" -lt 125000000000 ] || echo full-bf16-moments
}

stage_rates() {
  local model
  for model in $models; do
    shape "$model"
    grep -q '"kind":"square"' "$results" 2>/dev/null || record rates - square ours 30 "$bin/sft_lab_gpu_rates" square --device "$device" --size $size
    record rates "$model" products ours 40 "$bin/sft_lab_gpu_rates" products --device "$device" --model "$root/native/gpu/models/$model" --tokens $tokens
    record rates "$model" operations ours 40 "$bin/sft_lab_gpu_rates" operations --device "$device" --model "$root/native/gpu/models/$model" --tokens $tokens --length $length
    record rates "$model" generation ours 40 "$bin/sft_lab_gpu_rates" generation --device "$device" --model "$root/native/gpu/models/$model"
  done
}
ours() { # MODEL KIND SIDE JOIN [FLAG...]: trains as kind_of says
  local model=$1 kind=$2 side=$3 join=$4
  shift 4
  kind_of "$kind"
  record train "$model" "$kind" "$side" 60 "$bin/sft_lab_gpu_train" --model "$work/$model" --records "$work/$model.$data" --device "$device" \
    --lora $rank --moments $moments --batch $micro --accumulation $accumulation --join "$join" --steps $steps --warmup $unmeasured "$@"
}
stage_train() {
  local model kind
  for model in $models; do
    inputs "$model" || { fail "the weights and records of $model; see log.txt"; continue; }
    for kind in $(kinds "$model"); do
      ours "$model" "$kind" ours $join --started "$(date +%s.%N)" || fail "train $model $kind"
      # Memory is compared at microbatches of one size.
      [[ $kind != completion* ]] || ours "$model" "$kind" apart 0 || fail "train $model $kind apart"
    done
  done
}
stage_variants() {
  local model kind
  for model in $models; do
    [ -f "$work/$model/config.json" ] || continue
    shape "$model"
    for kind in $(kinds "$model"); do
      ours "$model" "$kind" wide $((2 * join))
      [ "$kind" != lora ] || ours "$model" "$kind" dropout $join --dropout 0.05
    done
  done
}
stage_tuned() {
  local model kind
  for model in $models; do
    [ "$device" != cpu ] && [ -f "$work/$model/config.json" ] || continue
    shape "$model"
    for kind in $(kinds "$model"); do
      [[ $kind == completion* ]] || SFT_LAB_CUDA_TUNE=1 ours "$model" "$kind" tuned $join
    done
  done
}
stage_generate() {
  local model
  for model in $models; do
    inputs "$model" || { fail "the weights and records of $model; see log.txt"; continue; }
    limited 60 "$bin/sft_lab_gpu_generate" "{\"model\":\"$work/$model\",\"prompts\":\"$work/$model.prompts\",\"new\":$new,\"stops\":[],\"device\":\"$device\",\"precision\":\"bf16\"}" >"$work/answers" 2>>"$log" ||
      fail "generate $model"
    record generate "$model" batch ours 5 sed -E 's/"answers":.*"cpu"/"cpu"/' "$work/answers"
    [ "$device" != cpu ] || continue
    # Each operation started by itself, to see what CUDA graphs save; the same answers, or what differs is a mistake or a tie.
    mv "$work/answers" "$work/recorded"
    SFT_LAB_CUDA_GRAPHS=0 limited 60 "$bin/sft_lab_gpu_generate" "{\"model\":\"$work/$model\",\"prompts\":\"$work/$model.prompts\",\"new\":$new,\"stops\":[],\"device\":\"$device\",\"precision\":\"bf16\"}" >"$work/answers" 2>>"$log" ||
      fail "generate $model without graphs"
    record generate "$model" batch plain 5 sed -E 's/"answers":.*"cpu"/"cpu"/' "$work/answers"
    [ "$(grep -o '"answers":.*,"cpu"' "$work/answers")" = "$(grep -o '"answers":.*,"cpu"' "$work/recorded")" ] || say "generate $model: answers with and without graphs differ"
  done
}
job() { # STAGE MODEL KIND SIDE LIMIT JOB: a line for peers.py
  printf '{"stage":"%s","model":"%s","kind":"%s","side":"%s","limit":%d,"job":{"model":"%s","device":"%s",%s}}\n' "$1" "$2" "$3" "$4" "$5" "$work/$2" "${device%%:*}" "$6"
}
peer() { # MODEL KIND SIDE LIMIT
  kind_of "$2"
  if [ "$3" = joined ]; then local micro=$((micro * accumulation)) accumulation=1; fi
  job train "$1" "$2" "$3" "$4" \
    "\"records\":\"$work/$1.$data\",\"lora\":$rank,\"batch\":$micro,\"accumulation\":$accumulation,\"steps\":$steps,\"warmup\":$unmeasured"
}
peer_jobs() { # MODEL
  local kind
  shape "$1"
  for kind in $(kinds "$1"); do
    [ "$kind" != full-bf16-moments ] || continue  # theirs are fp32, and do not fit
    peer "$1" "$kind" padded 60
    if [[ $kind == completion* ]]; then peer "$1" "$kind" best 60; fi
  done
  job generate "$1" batch padded 60 "\"records\":\"$work/$1.prompts\",\"count\":$prompts,\"new\":$new"
}
compiled_jobs() { # MODEL
  local kind
  shape "$1"
  for kind in full lora; do
    if [ "$1" != 7b ] && [[ " $(kinds "$1") " == *" $kind "* ]]; then peer "$1" "$kind" compiled 90; fi
  done
}
joined_jobs() { # MODEL
  local kind
  shape "$1"
  for kind in $(kinds "$1"); do
    [ "$kind" = full-bf16-moments ] || peer "$1" "$kind" joined 60
  done
}
# All in one process: starting PyTorch takes longer than many a job.
stage_peers() {
  local model made=()
  "$python" -c 'from importlib.util import find_spec as found; exit(not (found("torch") and found("transformers")))' 2>>"$log" || { say "peers: $python has no torch and transformers"; return; }
  for model in $models; do
    if inputs "$model"; then made+=("$model"); else fail "the weights and records of $model; see log.txt"; fi
  done
  {
    for model in "${made[@]}"; do peer_jobs "$model"; done
    for model in "${made[@]}"; do compiled_jobs "$model"; done
    for model in "${made[@]}"; do joined_jobs "$model"; done
  } >"$work/jobs"
  SFT_LAB_STARTED=$(date +%s.%N) limited 540 "$python" "$root/native/gpu/peers.py" "$work/jobs" 2>>"$log" | tee -a "$results" |
    while read -r line; do say "peers: ${line:0:200}"; done
}
stage_table() {
  "$bin/sft_lab_gpu_table" "$results" >"$out/table.md" || { fail 'the table'; return; }
  cat "$out/table.md"
}

say "$(date -u +%F) ${stages[*]}"
for stage in "${stages[@]}"; do
  case $stage in
    build | pack) stage_$stage ; [ $failed -eq 0 ] || exit 1 ;;
    table) find_programs; stage_table ;;
    *)
      find_programs || { fail "nothing is built: run the stage build first"; exit 1; }
      if [ "$device" != cpu ]; then
        missing=$("$bin/sft_lab_gpu_card" 2>&1 >"$work/card") || { say "no card can be used: $missing"; exit 3; }
      else
        echo '{"name":"CPU, to try the script"}' >"$work/card"
      fi
      if ! grep -q '"stage":"card"' "$results" 2>/dev/null; then
        driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
        printf '{"stage":"card","result":%s,"driver":"%s","date":"%s"}\n' "$(cat "$work/card")" "$driver" "$(date -u +%F)" >>"$results"
      fi
      stage_$stage
      ;;
  esac
done
exit $failed
