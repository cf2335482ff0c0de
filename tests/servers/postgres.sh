#!/usr/bin/env bash
# postgres.sh start FOLDER PORT BIN [postgres option, e.g. -c name=value…] | stop|kill|status FOLDER
#   | clone FOLDER PORT BIN: the data of the server on PORT, to be started as its standby
# BIN holds initdb and postgres. User postgres/postgres over TCP; logical decoding on.
set -euo pipefail
. "$(dirname "$0")/process.sh"
VERB=$1 FOLDER=$(realpath -m "$2") PIDFILE=$(realpath -m "$2")/data/postmaster.pid
case $VERB in
  start) ;;
  clone)
    make_folder "$FOLDER"; cd "$FOLDER"
    PGPASSWORD=postgres "${AS[@]}" "$4/pg_basebackup" -D "$FOLDER/data" -d "host=127.0.0.1 port=$3 user=postgres dbname=postgres" \
      -R -C -S "standby_$$" -c fast >&2
    exit ;;
  stop) end_process INT "$PIDFILE"; exit ;; # TERM would wait for every client to leave
  kill) # its children outlive the postmaster for a moment and would keep the shared memory
    alive "$PIDFILE" || exit 0
    POSTMASTER=$(head -n 1 "$PIDFILE")
    kill -KILL "$POSTMASTER" $(cat "/proc/$POSTMASTER/task/$POSTMASTER/children") 2>/dev/null || true
    end_process KILL "$PIDFILE"; exit ;;
  *) common_verb "$VERB" "$PIDFILE"; exit ;;
esac
PORT=$3 BIN=$4; shift 4
alive "$PIDFILE" && exit 0
make_folder "$FOLDER"; cd "$FOLDER"
if [ ! -s data/PG_VERSION ]; then
  echo postgres > password
  "${AS[@]}" "$BIN/initdb" -D data -U postgres --pwfile=password --auth=scram-sha-256 -E UTF8 --locale=C.UTF-8 \
    --no-sync >init.log 2>&1 || { tail -n 15 init.log >&2; exit 1; }
  cat >> data/postgresql.conf <<C
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = logical
max_wal_senders = 40
max_replication_slots = 40
max_connections = 200
synchronous_commit = off
C
fi
# a pid file that a killed server left may carry the number of a process of ours by now
rm -f "$PIDFILE"
setsid "${AS[@]}" "$BIN/postgres" -D "$FOLDER/data" -p "$PORT" "$@" </dev/null >>log 2>&1 &
SERVER=$!
wait_listening "$PORT" "$SERVER" log
# the port opens before recovery is over: the status line in the pid file says when it is
for _ in $(seq 1200); do
  grep -q '^ready' "$PIDFILE" 2>/dev/null && exit 0
  runs "$SERVER" || { tail -n 15 log >&2; exit 1; }
  sleep 0.02
done
say "postgres on port $PORT is not ready"; exit 1
