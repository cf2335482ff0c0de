#!/usr/bin/env bash
# mysql.sh start FOLDER PORT PREFIX [mysqld option…] | stop|kill|status FOLDER
# Users root/root and cdc/cdc (what replication needs, no more); binlog with full metadata and GTIDs.
set -euo pipefail
. "$(dirname "$0")/process.sh"
VERB=$1 FOLDER=$(realpath -m "$2") PIDFILE=$(realpath -m "$2")/pid
[ "$VERB" = start ] || { common_verb "$VERB" "$PIDFILE"; exit; }
PORT=$3 PREFIX=$4; shift 4
alive "$PIDFILE" && exit 0
make_folder "$FOLDER"; cd "$FOLDER"
cat > server.cnf <<C
[mysqld]
basedir=$PREFIX/usr
lc_messages_dir=$PREFIX/usr/share/mysql
plugin_dir=$PREFIX/usr/lib/mysql/plugin
character_sets_dir=$PREFIX/usr/share/mysql/charsets
datadir=$FOLDER/data
tmpdir=$FOLDER
socket=$FOLDER/socket
pid_file=$PIDFILE
log_error=$FOLDER/log
port=$PORT
bind_address=127.0.0.1
mysqlx=OFF
secure_file_priv=NULL
server_id=$PORT
log_bin=binlog
binlog_format=ROW
binlog_row_image=FULL
binlog_row_metadata=FULL
gtid_mode=ON
enforce_gtid_consistency=ON
max_connections=200
max_allowed_packet=256M
innodb_buffer_pool_size=128M
innodb_redo_log_capacity=256M
innodb_use_native_aio=0
innodb_flush_log_at_trx_commit=2
C
MYSQLD=("${AS[@]}" "$PREFIX/usr/sbin/mysqld" "--defaults-file=$FOLDER/server.cnf")
make_data() { # with users: what a first start makes of it belongs to it
  "${MYSQLD[@]}" --initialize-insecure "--log-error=$FOLDER/init.log" "$@" || { tail -n 15 init.log >&2; exit 1; }
  cat > init.sql <<'S'
set sql_log_bin=0;
alter user root@localhost identified by 'root';
create user root@'127.0.0.1' identified by 'root';
grant all on *.* to root@'127.0.0.1' with grant option;
create user cdc@'%' identified by 'cdc';
grant select, reload, replication slave, replication client on *.* to cdc@'%';
set sql_log_bin=1;
shutdown;
S
  "${MYSQLD[@]}" "--init-file=$FOLDER/init.sql" "$@" </dev/null >out 2>&1 || { tail -n 15 log >&2; exit 1; }
  rm -f data/auto.cnf data/binlog.* "$PIDFILE"  # its name among servers, and its log
}

if [ ! -d data/mysql ]; then
  rm -rf data
  LASTING=()  # what holds for the life of the data
  for option; do [[ $option != --lower-case-table-names=* ]] || LASTING+=("$option"); done
  PRISTINE=$(pristine_place ${LASTING[@]+"${LASTING[@]}"})
  if ! copy_pristine "$PRISTINE" data; then
    make_data ${LASTING[@]+"${LASTING[@]}"}
    keep_pristine data "$PRISTINE"
  fi
fi
rm -f "$PIDFILE" socket.lock  # of one that was killed: it may still be in the table of processes, and mysqld would take it for alive
setsid "${MYSQLD[@]}" "$@" </dev/null >out 2>&1 &
wait_listening "$PORT" $! log
