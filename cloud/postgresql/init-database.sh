#!/bin/sh
# Run once by PostgreSQL's image, when its data folder is new: an account and a database for each
# service. 'shopfloor-cloud up' does the same without containers.
set -eu
for service in ingest registry campaigns; do
    word=$(cat "/run/secrets/database-$service")
    # By a pipe: a command line is everybody's to read.
    psql -q -X -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres <<SQL
CREATE ROLE $service LOGIN PASSWORD '$word';
CREATE DATABASE $service OWNER $service;
REVOKE ALL ON DATABASE $service FROM PUBLIC;
SQL
done
