#!/bin/sh
# Make the secrets of compose.yaml with random values, as root: sh deploy/secrets.sh [FOLDER]
# A bind mount keeps owner and mode of the file: ours belong to the user of the container, those of
# RabbitMQ and PostgreSQL are for everybody in a folder that only root may enter.
set -eu
umask 077
folder=${1:-$(dirname "$0")/secrets}
owner=${SUPERVISOR_UID:-10001}
if [ -e "$folder" ]; then
    echo "$folder is there already; remove it for new secrets" >&2
    exit 1
fi
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
mkdir -p "$folder"
rabbit=$(secret) postgres=$(secret) admin=$(secret) submit=$(secret)
printf 'amqp://supervisor:%s@rabbitmq:5672/' "$rabbit" >"$folder/broker_url"
printf 'postgresql://supervisor:%s@postgres/supervisor' "$postgres" >"$folder/ledger_url"
printf 'default_user = supervisor\ndefault_pass = %s\n' "$rabbit" >"$folder/rabbitmq.conf"
printf '%s' "$postgres" >"$folder/postgres_password"
printf '%s' "$admin" >"$folder/admin_token"
printf '%s' "$submit" >"$folder/submit_token"
digest() { printf '%s' "$1" | sha256sum | cut -d' ' -f1; }
cat >"$folder/tokens.yaml" <<TOKENS
admin: {sha256: "$(digest "$admin")", roles: [admin]}
publisher: {sha256: "$(digest "$submit")", roles: [submit]}
TOKENS
chown "$owner" "$folder/broker_url" "$folder/ledger_url" "$folder/tokens.yaml"
chmod 0400 "$folder"/*
chmod 0444 "$folder/rabbitmq.conf" "$folder/postgres_password"
echo "made $folder"
