# Sourced by the server scripts: run unprivileged, wait for a port, end by process id.
# Servers refuse to run as root, so root hands them to `nobody`; anybody else runs them as oneself.

SCRIPT=$(realpath "$0") SCRIPTS=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
AS=()
if [ "$(id -u)" = 0 ]; then
  AS=(setpriv --reuid=nobody "--regid=$(id -g nobody)" --clear-groups)
fi

say() { echo "$*" >&2; }

make_folder() { # folder: empty or existing, owned by the server's user
  mkdir -p "$1"
  if [ "$(id -u)" = 0 ]; then chown nobody "$1"; fi
}

# What a server makes of an empty folder takes seconds, and is made once: later ones begin with a copy. It is kept beside
# the installed servers, by all that it depends on.

pristine_place() { # what it depends on beside the scripts and the server: prints a folder, which may be there
  local key
  key=$({ printf '%s\n' "$PREFIX" "${AS[*]}" "$@"; cat "$SCRIPTS"/{process,install,unpack}.sh "$SCRIPT"; } | sha256sum | cut -c 1-16)
  echo "$(dirname "$PREFIX")/pristine/$(basename "$PREFIX")-$key"
}

copy_pristine() { # its folder, to: fails where there is none for us
  [ -r "$1" ] && cp -a --sparse=always "$1" "$2" 2>/dev/null || { rm -rf "$2"; return 1; }
}

keep_pristine() { # folder of a server that has ended, its folder: whoever is first wins; a cache that is not ours is left
  mkdir -p "$(dirname "$2")" 2>/dev/null && [ -w "$(dirname "$2")" ] || return 0
  local unfinished=$2.$$
  cp -a --sparse=always "$1" "$unfinished" && mv -T "$unfinished" "$2" 2>/dev/null || rm -rf "$unfinished"
}

runs() { # process id: one that has ended, threads and all, stays listed until its parent looks, which may take seconds
  kill -0 "$1" 2>/dev/null || return 1
  local stat threads=("/proc/$1/task/"*)
  ! read -r stat 2>/dev/null <"/proc/$1/stat" || [[ ${stat##*) } != Z* ]] || [ ${#threads[@]} -gt 1 ]
}

alive() { # pid file
  [ -s "$1" ] && runs "$(head -n 1 "$1")"
}

listening() { # port on loopback
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

wait_listening() { # port, process id, log file: fails with the end of the log
  local tries
  for tries in $(seq 1200); do
    if listening "$1"; then return 0; fi
    if ! runs "$2"; then break; fi
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
    runs "$pid" || return 0
    sleep 0.02
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
