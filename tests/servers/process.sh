# Sourced by the server scripts: run unprivileged, wait for a port, end by process id.
# Servers refuse to run as root, so root hands them to `nobody`; anybody else runs them as oneself.

AS=()
if [ "$(id -u)" = 0 ]; then
  AS=(setpriv --reuid=nobody "--regid=$(id -g nobody)" --clear-groups)
fi

say() { echo "$*" >&2; }

make_folder() { # folder: empty or existing, owned by the server's user
  mkdir -p "$1"
  if [ "$(id -u)" = 0 ]; then chown nobody "$1"; fi
}

alive() { # pid file
  [ -s "$1" ] && kill -0 "$(head -n 1 "$1")" 2>/dev/null
}

listening() { # port on loopback
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

wait_listening() { # port, process id, log file: fails with the end of the log
  local tries
  for tries in $(seq 1200); do
    if listening "$1"; then return 0; fi
    if ! kill -0 "$2" 2>/dev/null; then break; fi
    sleep 0.05
  done
  say "no server on port $1 after $tries tries; the end of $3:"
  tail -n 15 "$3" >&2
  return 1
}

end_process() { # signal, pid file: returns when the process is gone
  alive "$2" || return 0
  local pid; pid=$(head -n 1 "$2")
  kill "-$1" "$pid"
  for _ in $(seq 1200); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.05
  done
  say "process $pid does not end"
  return 1
}

common_verb() { # verb, pid file: the verbs that are the same for every server
  case $1 in
    stop) end_process TERM "$2" ;;
    kill) end_process KILL "$2" ;;
    status) alive "$2" && echo "pid $(head -n 1 "$2")" ;;
    *) say "verbs: start stop kill status"; return 2 ;;
  esac
}
