#!/bin/sh
# Run by PostgreSQL's image when its data folder is new: an account and a database for each service.
# A later run adds what is not there yet. 'shopfloor-cloud up' does the same without containers.
set -eu
PGPASSWORD=$(cat /run/secrets/database-admin)
export PGPASSWORD
for service in ingest registry campaigns; do
    word=$(cat "/run/secrets/database-$service")
    # By a pipe: a command line is everybody's to read.
    psql -q -X -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres <<SQL
SELECT 'CREATE ROLE $service LOGIN' WHERE NOT EXISTS
  (SELECT FROM pg_roles WHERE rolname = '$service') \gexec
ALTER ROLE $service PASSWORD '$word';
SELECT 'CREATE DATABASE $service OWNER $service' WHERE NOT EXISTS
  (SELECT FROM pg_database WHERE datname = '$service') \gexec
REVOKE ALL ON DATABASE $service FROM PUBLIC;
SQL
done
