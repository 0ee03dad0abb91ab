#!/usr/bin/env bash
#SBATCH --job-name=worldmodels
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.out
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@180
# For GPUs: #SBATCH --gpus-per-node=1
#
# Runs a sweep on the nodes of a SLURM job, in a Ray cluster that lives as long:
#
#   sbatch docs/recipes/slurm.sh --config=dreamer:small --tasks=hill,juggle \
#     --seeds=0,1 --logdir="$PWD/runs/small"
#
# The arguments are those of `worldmodels sweep`; --cluster is added. Three
# minutes before its time is up the job stops the sweep and asks to be queued
# again; it goes on from its checkpoints. --logdir, this checkout and its .venv
# lie on a file system that all nodes see. Read docs/cluster_recipes.md first.
set -euo pipefail

cd "$SLURM_SUBMIT_DIR"
# Where worldmodels is installed, if it is not on the PATH.
PATH="$PWD/.venv/bin:$PATH"

# Who reaches a port of Ray and knows this can run any code as you.
RAY_AUTH_TOKEN="$(python3 -c 'import secrets; print(secrets.token_hex(32))')"
export RAY_AUTH_TOKEN
export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
# Else what works has the lowest priority of all that runs here.
export RAY_worker_niceness=0

# Jobs that share a node get other ports.
port=$((20000 + SLURM_JOB_ID % 1000 * 10))
nodes=()
while read -r name; do
  nodes+=("$name")
done < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head="$(srun --nodes=1 --ntasks=1 -w "${nodes[0]}" hostname --ip-address)"
head="${head%% *}"
if [ "${#nodes[@]}" -gt 1 ] && [ "${head#127.}" != "$head" ] && [ -z "${HEAD:-}" ]
then
  echo "error: ${nodes[0]} says that it is $head, which the others cannot reach:" \
    "export HEAD=ADDRESS" >&2
  exit 1
fi
head="${HEAD:-$head}"
export head port

step() {  # NODE, and the arguments of `ray start` that it has for itself
  local node="$1"
  shift
  # For logs and sockets, whose paths have an upper limit of length.
  export folder="/tmp/ray-$SLURM_JOB_ID-${#steps[@]}"
  srun --nodes=1 --ntasks=1 --overlap -w "$node" bash -c '
    rm -rf "$folder" && mkdir -m 700 "$folder" || exit
    trap "rm -rf $folder" EXIT
    ray start --block --disable-usage-stats --temp-dir="$folder" "$@" &
    trap "kill $!" TERM
    wait
    wait
  ' ray --num-cpus="$SLURM_CPUS_PER_TASK" \
    --node-manager-port=$((port + 1)) --object-manager-port=$((port + 2)) \
    "$@" &
  steps+=($!)
}

stop() {
  # This job's own processes; `ray stop` would end those of your other jobs.
  kill "${steps[@]}" 2> /dev/null || true
  wait "${steps[@]}" 2> /dev/null || true
  # SLURM may not have left them the time.
  srun --nodes="${#nodes[@]}" --ntasks-per-node=1 --overlap \
    bash -c 'rm -rf "/tmp/ray-$SLURM_JOB_ID"-*' || true
}

steps=()
trap stop EXIT
step "${nodes[0]}" --head --node-ip-address="$head" --port="$port" \
  --include-dashboard=false --ray-client-server-port=$((port + 3))
for name in "${nodes[@]:1}"; do
  step "$name" --address="$head:$port"
done

# A sweep takes what nodes there are when it begins: it waits for all.
python3 - "${#nodes[@]}" <<'WAIT'
import os
import sys
import time

import ray

address, count = f'{os.environ["head"]}:{os.environ["port"]}', int(sys.argv[1])
end = time.monotonic() + 180
while True:
  try:
    ray.init(address, log_to_driver=False, logging_level='critical')
    there = sum(node['Alive'] for node in ray.nodes())
    ray.shutdown()
  except (ConnectionError, RuntimeError) as error:
    there = f'none ({str(error).splitlines()[0]})'
  if there == count:
    break
  if time.monotonic() > end:
    sys.exit(f'error: of {count} nodes of the cluster there are {there}')
  time.sleep(2)
WAIT

set -m  # Else bash has what it starts in the background ignore Ctrl-C.
worldmodels sweep --cluster="$head:$port" "$@" &
sweep=$!
again=
trap 'again=1; kill -INT $sweep' USR1
status=0
wait $sweep || status=$?
if [ -n "$again" ]; then
  wait $sweep || true
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
fi
exit $status
