#!/usr/bin/env bash
# kafka.sh start FOLDER PORT PREFIX [broker property name=value…] | stop|kill|status FOLDER
# One node, broker and controller; the controller takes PORT + 1.
# BEHIND=LISTEN:ADVERTISED opens a second listener on LISTEN that sends its clients to ADVERTISED,
# where a fault proxy can stand; clients of the first listener never see it.
set -euo pipefail
. "$(dirname "$0")/process.sh"
VERB=$1 FOLDER=$(realpath -m "$2") PIDFILE=$(realpath -m "$2")/pid
[ "$VERB" = start ] || { common_verb "$VERB" "$PIDFILE"; exit; }
PORT=$3 PREFIX=$4; shift 4
alive "$PIDFILE" && exit 0
make_folder "$FOLDER"; cd "$FOLDER"
LISTENERS=DIRECT://127.0.0.1:$PORT ADVERTISED=DIRECT://127.0.0.1:$PORT
if [ -n "${BEHIND:-}" ]; then
  LISTENERS+=,BEHIND://127.0.0.1:${BEHIND%:*} ADVERTISED+=,BEHIND://127.0.0.1:${BEHIND#*:}
fi
cat > server.properties <<C
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((PORT + 1))
listeners=$LISTENERS,CONTROLLER://127.0.0.1:$((PORT + 1))
advertised.listeners=$ADVERTISED
listener.security.protocol.map=DIRECT:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
log.dirs=$FOLDER/data
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
metadata.max.idle.interval.ms=0
C
printf '%s\n' "$@" >> server.properties
cat > log4j2.properties <<'L'
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
L
JAVA=("${AS[@]}" java -Xms128m "-Xmx${KAFKA_HEAP:-384m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true
  "-Dlog4j2.configurationFile=$FOLDER/log4j2.properties" -cp "$PREFIX/libs/*")
if [ ! -s data/meta.properties ]; then
  PRISTINE=$(pristine_place)
  if ! copy_pristine "$PRISTINE" data; then
    # any fixed 22-character base64 uuid will do as cluster id
    "${JAVA[@]}" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c server.properties >init.log 2>&1 ||
      { tail -n 15 init.log >&2; exit 1; }
    keep_pristine data "$PRISTINE"
  fi
fi
setsid "${JAVA[@]}" kafka.Kafka server.properties </dev/null >>log 2>&1 &
echo $! > "$PIDFILE"
wait_listening "$PORT" $! log
