#!/usr/bin/env bash
# Run once by the image, when the data folder is empty: a small shop, and a user who may read its changes and nothing else.
set -euo pipefail
password=$(cat /run/secrets/postgres_cdc_password)
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<SQL
create table customers (id bigint generated always as identity primary key, name text not null, created_at timestamptz not null default now());
create table orders (id bigint generated always as identity primary key, customer_id bigint not null references customers,
                     amount numeric(10, 2) not null, status text not null default 'new', details jsonb);
create role cdc with login replication password '$password';
create publication shop for table customers, orders;
insert into customers (name) values ('Ada'), ('Grace');
insert into orders (customer_id, amount) values (1, 9.90), (2, 120.00);
SQL
