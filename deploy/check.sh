#!/usr/bin/env bash
# check.sh: what `make test` cannot check of deploy/, because it needs a tool that is not in a Python environment.
# A tool that is missing is said, and no failure; DEPLOY_CHECK_REQUIRE="docker helm cluster systemd" makes it one.
#   docker   `docker compose` or docker-compose (DOCKER_COMPOSE names a program): the compose file as it is understood
#   helm     (HELM names a program; with Go: go install helm.sh/helm/v3/cmd/helm@v3.22.0): the charts, linted, rendered in each of
#            their forms, and each object held against the schemas of Kubernetes, which kubernetes-validate ships
#   cluster  (DEPLOY_CHECK_KUBECONFIG names a file): an API server that has the kinds of the Prometheus operator is asked whether it
#            takes what the charts render to; nothing is made
#   systemd  systemd-analyze: the units, and how exposed they leave the machine
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
  section "compose files: ${program[*]} config"
  compose/secrets.sh
  local files
  for files in "-f compose.yaml" "-f compose.yaml -f compose/cluster.yaml"; do
    # shellcheck disable=SC2086  # words
    "${program[@]}" $files config --format json > "$TMP/compose.json"
    "$BIN/python" -c 'import json, sys; print("services:", *json.load(sys.stdin)["services"])' < "$TMP/compose.json"
  done
}

check_chart() {
  command -v "$HELM" >/dev/null || { MISSING+=(helm); return; }
  section "charts: $HELM lint, template, schemas of Kubernetes"
  local form chart
  for form in helm/cases/*/*.yaml; do
    chart=helm/$(basename "$(dirname "$form")")
    "$HELM" lint --strict "$chart" --values "$form" 2>/dev/null | tail -n 1
    "$HELM" template trial "$chart" --namespace cdc --kube-version 1.34.0 --values "$form" 2>/dev/null > "$TMP/rendered.yaml"
    "$BIN/python" chart_check.py "$form" "$TMP/rendered.yaml"
  done
  refuses "without tokens" helm/deltaforge 'set auth.existingSecret.*'
  refuses "without a document" helm/deltaforge-cluster 'set pipeline:.*'
  refuses "as a cluster of one" helm/deltaforge-cluster 'a cluster has two.*' \
    --values helm/cases/deltaforge-cluster/least.yaml --set processes=1
}

check_cluster() {
  { [ -n "${DEPLOY_CHECK_KUBECONFIG:-}" ] && command -v "$HELM" >/dev/null; } || { MISSING+=(cluster); return; }
  section "charts: $HELM install --dry-run=server"
  local form
  for form in helm/cases/*/*.yaml; do
    "$HELM" install trial "helm/$(basename "$(dirname "$form")")" --kubeconfig "$DEPLOY_CHECK_KUBECONFIG" --namespace default \
      --values "$form" --dry-run=server > "$TMP/said" 2>&1 || { tail -n 5 "$TMP/said" >&2; return 1; }
    echo "taken: $form"
  done
}

refuses() {
  local what=$1 chart=$2 says=$3; shift 3
  if "$HELM" template trial "$chart" --kube-version 1.34.0 "$@" >"$TMP/open" 2>&1; then
    echo "$chart is rendered $what" >&2; return 1
  fi
  grep -o "$says" "$TMP/open"
}

check_unit() {
  command -v systemd-analyze >/dev/null || { MISSING+=(systemd); return; }
  section "units: systemd-analyze verify, security"
  # a program that is not installed here would be the finding
  local here='s,^ExecStart=/opt/deltaforge/bin/[a-z]*,ExecStart=/usr/bin/env,' unit dropin
  sed "$here" systemd/deltaforge.service > "$TMP/deltaforge.service"
  for unit in one several; do sed "$here" systemd/deltaforge-run@.service > "$TMP/deltaforge-run@$unit.service"; done
  dropin="$TMP/deltaforge-run@several.service.d"
  mkdir "$dropin"
  sed "$here" systemd/deltaforge-run@.service.d/several-machines.conf > "$dropin/several-machines.conf"
  for unit in deltaforge deltaforge-run@one deltaforge-run@several; do
    systemd-analyze verify --man=no "$TMP/$unit.service"
    systemd-analyze security --offline=true --threshold=15 --no-pager "$TMP/$unit.service" | tail -n 1
  done
}

check_workflows() {
  section "workflows: zizmor, cibuildwheel"
  "$BIN/zizmor" --offline --no-progress --quiet ../.github/workflows
  "$BIN/cibuildwheel" --platform linux --print-build-identifiers ..
}

check_compose
check_chart
check_cluster
check_unit
check_workflows

section "result"
for tool in "${MISSING[@]}"; do
  echo "not checked, no $tool here"
  case " ${DEPLOY_CHECK_REQUIRE:-} " in *" $tool "*) FAILED=1 ;; esac
done
[ -z "${FAILED:-}" ] || exit 1
echo "everything else is as it has to be"
