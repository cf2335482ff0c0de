#!/usr/bin/env bash
# mariadb.sh start FOLDER PORT PREFIX [mariadbd option…] | stop|kill|status FOLDER
# Users root/root and cdc/cdc (what replication needs, no more); binlog with full metadata, strict GTIDs.
set -euo pipefail
. "$(dirname "$0")/process.sh"
VERB=$1 FOLDER=$(realpath -m "$2") PIDFILE=$(realpath -m "$2")/pid
[ "$VERB" = start ] || { common_verb "$VERB" "$PIDFILE"; exit; }
PORT=$3 PREFIX=$4; shift 4
alive "$PIDFILE" && exit 0
make_folder "$FOLDER"; cd "$FOLDER"
# the default character set of 10.11 is latin1, which cannot store the tests' text
cat > server.cnf <<C
[mariadbd]
basedir=$PREFIX/usr
lc_messages_dir=$PREFIX/usr/share/mysql
character_sets_dir=$PREFIX/usr/share/mysql/charsets
plugin_dir=$PREFIX/usr/lib/mysql/plugin
datadir=$FOLDER/data
tmpdir=$FOLDER
socket=$FOLDER/socket
pid_file=$PIDFILE
log_error=$FOLDER/log
port=$PORT
bind_address=127.0.0.1
server_id=$PORT
log_bin=binlog
binlog_format=ROW
binlog_row_image=FULL
binlog_row_metadata=FULL
gtid_strict_mode=ON
log_slave_updates=ON
character_set_server=utf8mb4
max_connections=200
max_allowed_packet=256M
innodb_buffer_pool_size=128M
innodb_log_file_size=64M
innodb_use_native_aio=0
innodb_flush_log_at_trx_commit=2
C
make_data() {
  "${AS[@]}" "$PREFIX/usr/bin/mariadb-install-db" "--defaults-file=$FOLDER/server.cnf" "--basedir=$PREFIX/usr" \
    "--datadir=$FOLDER/data" --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve \
    >init.log 2>&1 || { tail -n 15 init.log log >&2; exit 1; }
  cat > init.sql <<'S'
set sql_log_bin=0;
alter user root@localhost identified by 'root';
create or replace user root@'127.0.0.1' identified by 'root';
grant all on *.* to root@'127.0.0.1' with grant option;
create user cdc@'%' identified by 'cdc';
grant select, reload, replication slave, replication client on *.* to cdc@'%';
set sql_log_bin=1;
shutdown;
S
  "${MARIADBD[@]}" "--init-file=$FOLDER/init.sql" </dev/null >out 2>&1 || { tail -n 15 log >&2; exit 1; }
  rm -f data/binlog.* "$PIDFILE"
}

MARIADBD=("${AS[@]}" "$PREFIX/usr/sbin/mariadbd" "--defaults-file=$FOLDER/server.cnf")
if [ ! -d data/mysql ]; then
  rm -rf data
  PRISTINE=$(pristine_place)
  if ! copy_pristine "$PRISTINE" data; then
    make_data
    keep_pristine data "$PRISTINE"
  fi
fi
rm -f "$PIDFILE"
setsid "${MARIADBD[@]}" "$@" </dev/null >out 2>&1 &
wait_listening "$PORT" $! log
