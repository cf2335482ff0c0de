#!/usr/bin/env bash
# prometheus.sh start FOLDER PORT PREFIX CONFIG [prometheus option…] | stop|kill|status FOLDER
set -euo pipefail
. "$(dirname "$0")/process.sh"
VERB=$1 FOLDER=$(realpath -m "$2") PIDFILE=$(realpath -m "$2")/pid
[ "$VERB" = start ] || { common_verb "$VERB" "$PIDFILE"; exit; }
PORT=$3 PREFIX=$4 CONFIG=$5; shift 5
alive "$PIDFILE" && exit 0
make_folder "$FOLDER"; cd "$FOLDER"
rm -f "$PIDFILE"
setsid "${AS[@]}" "$PREFIX/prometheus" "--web.listen-address=127.0.0.1:$PORT" "--config.file=$CONFIG" \
  "--storage.tsdb.path=$FOLDER/data" "$@" </dev/null >>log 2>&1 &
echo $! > "$PIDFILE"
wait_listening "$PORT" $! log
