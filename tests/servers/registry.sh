#!/usr/bin/env bash
# registry.sh start FOLDER PORT PREFIX [-Dproperty=value…] | stop|kill|status FOLDER
# Apicurio Registry with its Confluent API: http://127.0.0.1:PORT/apis/ccompat/v7. What it knows is kept in FOLDER over
# kill and start; compatibility is BACKWARD, as Confluent's registry has it.
set -euo pipefail
. "$(dirname "$0")/process.sh"
VERB=$1 FOLDER=$(realpath -m "$2") PIDFILE=$(realpath -m "$2")/pid
[ "$VERB" = start ] || { common_verb "$VERB" "$PIDFILE"; exit; }
PORT=$3 PREFIX=$4; shift 4
alive "$PIDFILE" && exit 0
JAVA=$("$SCRIPTS/install.sh" where java) || { say "no Java of version 21 or newer: run $SCRIPTS/install.sh java"; exit 1; }
make_folder "$FOLDER"; cd "$FOLDER"
rm -f "$PIDFILE"
setsid "${AS[@]}" "$JAVA" -Xms64m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true \
  "-Djava.io.tmpdir=$FOLDER" -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$PORT" \
  -Dquarkus.management.host=127.0.0.1 -Dquarkus.management.port=0 \
  -Dapicurio.storage.kind=sql -Dapicurio.storage.sql.kind=h2 "-Dapicurio.datasource.url=jdbc:h2:file:$FOLDER/h2" \
  -Dapicurio.rules.global.compatibility=BACKWARD "$@" \
  -jar "$PREFIX/quarkus-run.jar" </dev/null >>log 2>&1 &
echo $! > "$PIDFILE"
wait_listening "$PORT" $! log
