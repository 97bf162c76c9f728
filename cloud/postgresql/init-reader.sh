#!/bin/sh
# Gives Grafana's role its rights and its password once ingest has made its tables, and rests: at
# the next start it does so again, which changes nothing.
set -eu
word=$(cat /run/secrets/database-shopfloor_reader)
psql -q -X -v ON_ERROR_STOP=1 -f /etc/shopfloor/reader.sql
# By a pipe: a command line is everybody's to read.
psql -q -X -v ON_ERROR_STOP=1 <<SQL
ALTER ROLE shopfloor_reader PASSWORD '$word';
SQL
touch /tmp/done
exec sleep infinity
