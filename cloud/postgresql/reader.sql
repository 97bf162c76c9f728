-- The role by which dashboards read ingest's database, and nothing else, and the indexes that their
-- questions over all sites want. Run it as the owner of the tables, after ingest's first start; a
-- second run changes nothing:
--   psql -d shopfloor -f cloud/postgresql/reader.sql
-- Then give the role a password: \password shopfloor_reader
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shopfloor_reader') THEN
    CREATE ROLE shopfloor_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
  END IF;
END
$$;
ALTER ROLE shopfloor_reader SET default_transaction_read_only = on;
-- A board that asks too much must not hold up what ingest writes.
ALTER ROLE shopfloor_reader SET statement_timeout = '30s';
ALTER ROLE shopfloor_reader SET timezone = 'UTC';
GRANT USAGE ON SCHEMA public TO shopfloor_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO shopfloor_reader;
-- Tables of later versions too, whoever runs this: ingest makes them.
DO $$
DECLARE
  maker name := (SELECT tableowner FROM pg_tables WHERE schemaname = 'public' AND tablename = 'events');
BEGIN
  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT SELECT ON TABLES TO shopfloor_reader', maker);
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO shopfloor_reader', current_database());
END
$$;
-- Refused messages hold bytes of whoever sent them.
REVOKE ALL ON dead_letters FROM shopfloor_reader;
-- Ingest asks for one site at a time, which its keys begin with; boards ask for all in a stretch.
CREATE INDEX IF NOT EXISTS rollup_traffic_stretch ON rollup_traffic (bucket_s, bucket_start);
CREATE INDEX IF NOT EXISTS rollup_occupancy_stretch ON rollup_occupancy (bucket_s, bucket_start);
CREATE INDEX IF NOT EXISTS rollup_dwell_stretch ON rollup_dwell (bucket_s, bucket_start);
CREATE INDEX IF NOT EXISTS rollup_queue_stretch ON rollup_queue (bucket_s, bucket_start);
CREATE INDEX IF NOT EXISTS rollup_heat_stretch ON rollup_heat (bucket_s, bucket_start);
CREATE INDEX IF NOT EXISTS rollup_shelf_stretch ON rollup_shelf (bucket_s, bucket_start);
CREATE INDEX IF NOT EXISTS rollup_inspection_stretch ON rollup_inspection (bucket_s, bucket_start);
CREATE INDEX IF NOT EXISTS rollup_defect_stretch ON rollup_defect (bucket_s, bucket_start);
CREATE INDEX IF NOT EXISTS rollup_alert_stretch ON rollup_alert (bucket_s, bucket_start);
CREATE INDEX IF NOT EXISTS rollup_feedback_stretch ON rollup_feedback (bucket_s, bucket_start);
