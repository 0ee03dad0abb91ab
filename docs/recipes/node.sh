#!/usr/bin/env bash
# Joins this machine to the Ray cluster of a head, and waits for its end.
#
#   node.sh 192.0.2.10:6379 192.0.2.11
#
# The head's address and port, and the address at which the others reach this
# machine. It needs the head's token, in ~/.ray/auth_token or where
# RAY_AUTH_TOKEN_PATH says. Further arguments are those of `ray start`.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: node.sh HEAD:PORT ADDRESS [--num-cpus=N ...]" >&2
  exit 2
fi
head="$1"
address="$2"
shift 2
if [ "${head%:*}" = 127.0.0.1 ]; then
  echo "error: a head on loopback takes no nodes: start it with its address" >&2
  exit 2
fi

export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
# Else what works has the lowest priority of all that runs here.
export RAY_worker_niceness=0
if [ -z "${RAY_AUTH_TOKEN:-}" ]; then
  export RAY_AUTH_TOKEN_PATH="${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}"
  if [ ! -s "$RAY_AUTH_TOKEN_PATH" ]; then
    echo "error: no token in $RAY_AUTH_TOKEN_PATH: copy that of the head" >&2
    exit 1
  fi
fi
# Ports as on the head, but where both are on one machine.
port="${PORT:-6379}"
exec ray start --block \
  --address="$head" \
  --node-ip-address="$address" \
  --node-manager-port=$((port + 1)) \
  --object-manager-port=$((port + 2)) \
  --min-worker-port=$((port + 4000)) \
  --max-worker-port=$((port + 4999)) \
  --disable-usage-stats \
  "$@"
