#!/usr/bin/env bash
# redis.sh start FOLDER PORT BINARY [redis-server option, e.g. --appendonly yes…] | stop|kill|status FOLDER
set -euo pipefail
. "$(dirname "$0")/process.sh"
VERB=$1 FOLDER=$(realpath -m "$2") PIDFILE=$(realpath -m "$2")/pid
[ "$VERB" = start ] || { common_verb "$VERB" "$PIDFILE"; exit; }
PORT=$3 BINARY=$4; shift 4
alive "$PIDFILE" && exit 0
make_folder "$FOLDER"; cd "$FOLDER"
rm -f "$PIDFILE"
setsid "${AS[@]}" "$BINARY" --port "$PORT" --bind 127.0.0.1 --dir "$FOLDER" --pidfile "$PIDFILE" --save "" "$@" \
  </dev/null >>log 2>&1 &
echo $! > "$PIDFILE"
wait_listening "$PORT" $! log
