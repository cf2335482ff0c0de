#!/usr/bin/env bash
# Run once by the image, when the data folder is empty: a small stock, and a user who may read its changes and nothing else.
set -euo pipefail
password=$(cat /run/secrets/mysql_cdc_password)
MYSQL_PWD=$(cat /run/secrets/mysql_root_password) mysql --user=root "$MYSQL_DATABASE" <<SQL
create table items (id bigint unsigned auto_increment primary key, name varchar(80) not null, stock int not null);
create user cdc@'%' identified by '$password';
grant replication slave, replication client on *.* to cdc@'%';
grant select on $MYSQL_DATABASE.* to cdc@'%';
insert into items (name, stock) values ('lamp', 10), ('chair', 4);
SQL
