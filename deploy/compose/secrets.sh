#!/usr/bin/env bash
# Makes the secrets of compose.yaml, each in a file of its own; those that exist stay. The folder is closed to other
# users of this machine; the files in it can be read by the users that the containers run as.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
chmod 0700 secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

for name in postgres_password postgres_cdc_password mysql_root_password mysql_cdc_password grafana_password \
  deltaforge_admin_token deltaforge_read_token; do
  [ -s "secrets/$name" ] || random > "secrets/$name"
done
# Who may do what over REST: the people who deploy, and Prometheus.
[ -s secrets/deltaforge_tokens ] || cat > secrets/deltaforge_tokens <<TOKENS
admin:operator:$(cat secrets/deltaforge_admin_token)
read:prometheus:$(cat secrets/deltaforge_read_token)
TOKENS
chmod 0444 secrets/*
echo "secrets are in $PWD/secrets"
