#!/usr/bin/env bash
# check.sh: what `make test` cannot check of deploy/, because it needs a tool that is not in a Python environment.
# A tool that is missing is said, and no failure; DEPLOY_CHECK_REQUIRE="docker helm systemd" makes it one.
#   docker   `docker compose` or docker-compose (DOCKER_COMPOSE names a program): the compose file as it is understood
#   helm     (HELM names a program; with Go: go install helm.sh/helm/v3/cmd/helm@v3.22.0): the chart, linted, rendered in each of
#            its forms, and each object held against the schemas of Kubernetes, which kubernetes-validate ships
#   systemd  systemd-analyze: the unit, and how exposed it leaves the machine
# and zizmor and cibuildwheel on the workflow files, from the environment of the project.
set -euo pipefail
cd "$(dirname "$0")"
BIN=$PWD/../.venv/bin
HELM=${HELM:-helm}
TMP=$(mktemp -d); trap 'rm -rf "$TMP"' EXIT
MISSING=()

section() { printf '\n== %s\n' "$*"; }

check_compose() {
  local program
  if [ -n "${DOCKER_COMPOSE:-}" ]; then program=("$DOCKER_COMPOSE")
  elif docker compose version >/dev/null 2>&1; then program=(docker compose)
  elif command -v docker-compose >/dev/null; then program=(docker-compose)
  else MISSING+=(docker); return; fi
  section "compose file: ${program[*]} config"
  compose/secrets.sh
  "${program[@]}" -f compose.yaml config --format json > "$TMP/compose.json"
  "$BIN/python" -c 'import json, sys; print("services:", *json.load(sys.stdin)["services"])' < "$TMP/compose.json"
}

check_chart() {
  command -v "$HELM" >/dev/null || { MISSING+=(helm); return; }
  section "chart: $HELM lint, template, schemas of Kubernetes"
  local form
  for form in helm/cases/*.yaml; do
    "$HELM" lint --strict helm/deltaforge --values "$form" 2>/dev/null | tail -n 1
    "$HELM" template trial helm/deltaforge --namespace cdc --kube-version 1.34.0 --values "$form" 2>/dev/null > "$TMP/rendered.yaml"
    "$BIN/python" chart_check.py "$form" "$TMP/rendered.yaml"
  done
  if "$HELM" template trial helm/deltaforge --kube-version 1.34.0 >"$TMP/open" 2>&1; then
    echo "the chart is rendered without tokens" >&2; return 1
  fi
  grep -o 'set auth.existingSecret.*' "$TMP/open"
}

check_unit() {
  command -v systemd-analyze >/dev/null || { MISSING+=(systemd); return; }
  section "unit: systemd-analyze verify, security"
  # a program that is not installed here would be the finding
  sed "s,^ExecStart=/opt/deltaforge/bin/deltaforge,ExecStart=/usr/bin/env," systemd/deltaforge.service > "$TMP/deltaforge.service"
  systemd-analyze verify --man=no "$TMP/deltaforge.service"
  systemd-analyze security --offline=true --threshold=15 --no-pager "$TMP/deltaforge.service" | tail -n 1
}

check_workflows() {
  section "workflows: zizmor, cibuildwheel"
  "$BIN/zizmor" --offline --no-progress --quiet ../.github/workflows
  "$BIN/cibuildwheel" --platform linux --print-build-identifiers ..
}

check_compose
check_chart
check_unit
check_workflows

section "result"
for tool in "${MISSING[@]}"; do
  echo "not checked, no $tool here"
  case " ${DEPLOY_CHECK_REQUIRE:-} " in *" $tool "*) FAILED=1 ;; esac
done
[ -z "${FAILED:-}" ] || exit 1
echo "everything else is as it has to be"
