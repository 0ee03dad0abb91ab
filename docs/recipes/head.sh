#!/usr/bin/env bash
# Starts the head of a Ray cluster on this machine, and waits for its end.
#
#   head.sh                 for this machine alone, on loopback: no node can join
#   head.sh 192.0.2.10      for nodes that reach this machine at that address
#
# Further arguments are those of `ray start`, such as --num-cpus=8. Whoever
# reaches the ports below and has the token can run any code here: see
# docs/cluster_recipes.md, before this.
set -euo pipefail

address="${1:-127.0.0.1}"
shift || true
port="${PORT:-6379}"

export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
# Else what works has the lowest priority of all that runs here.
export RAY_worker_niceness=0
if [ -z "${RAY_AUTH_TOKEN:-}" ]; then
  export RAY_AUTH_TOKEN_PATH="${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}"
  if [ ! -s "$RAY_AUTH_TOKEN_PATH" ]; then
    (
      umask 077
      mkdir -p "$(dirname "$RAY_AUTH_TOKEN_PATH")"
      python3 -c 'import secrets; print(secrets.token_hex(32), end="")' \
        > "$RAY_AUTH_TOKEN_PATH"
    )
  fi
fi
# On loopback Ray listens to nobody else.
if [ "$address" = 127.0.0.1 ]; then
  export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0
fi

exec ray start --head --block \
  --node-ip-address="$address" \
  --port="$port" \
  --node-manager-port=$((port + 1)) \
  --object-manager-port=$((port + 2)) \
  --ray-client-server-port=$((port + 3)) \
  --min-worker-port=$((port + 4000)) \
  --max-worker-port=$((port + 4999)) \
  --include-dashboard=false \
  --disable-usage-stats \
  "$@"
