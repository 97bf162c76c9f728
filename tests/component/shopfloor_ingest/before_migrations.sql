-- What the code before migrations made, printed from its own tables, for SQLite.
CREATE TABLE dead_letters (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	received_at VARCHAR(32) NOT NULL,
	topic TEXT NOT NULL,
	reason VARCHAR(20) NOT NULL,
	detail TEXT NOT NULL,
	payload BLOB NOT NULL
);
CREATE TABLE devices (
	site VARCHAR(63) NOT NULL,
	device VARCHAR(63) NOT NULL,
	status VARCHAR(10) NOT NULL,
	boot_id VARCHAR(36) NOT NULL,
	stream VARCHAR(36),
	said_at VARCHAR(32) NOT NULL,
	last_seen_at VARCHAR(32) NOT NULL,
	heartbeat TEXT,
	PRIMARY KEY (site, device)
);
CREATE TABLE events (
	id VARCHAR(36) NOT NULL,
	site VARCHAR(63) NOT NULL,
	device VARCHAR(63) NOT NULL,
	camera VARCHAR(63) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	stream VARCHAR(36) NOT NULL,
	seq BIGINT NOT NULL,
	prevseq BIGINT,
	time VARCHAR(32) NOT NULL,
	received_at VARCHAR(32) NOT NULL,
	data TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX events_stream_seq ON events (site, device, stream, seq) WHERE kind IN ('alert', 'dwell', 'heat', 'occupancy', 'queue', 'shelf', 'traffic');
CREATE TABLE occupancy (
	event_id VARCHAR(36) NOT NULL,
	site VARCHAR(63) NOT NULL,
	camera VARCHAR(63) NOT NULL,
	zone VARCHAR(63) NOT NULL,
	window_start BIGINT NOT NULL,
	window_s FLOAT NOT NULL,
	people_s FLOAT NOT NULL,
	observed_s FLOAT NOT NULL,
	people_max BIGINT NOT NULL,
	coverage_ratio FLOAT NOT NULL,
	PRIMARY KEY (event_id, zone)
);
CREATE INDEX occupancy_site_window ON occupancy (site, window_start);
CREATE TABLE traffic (
	event_id VARCHAR(36) NOT NULL,
	site VARCHAR(63) NOT NULL,
	camera VARCHAR(63) NOT NULL,
	line VARCHAR(63) NOT NULL,
	window_start BIGINT NOT NULL,
	window_s FLOAT NOT NULL,
	crossings_in BIGINT NOT NULL,
	crossings_out BIGINT NOT NULL,
	coverage_ratio FLOAT NOT NULL,
	PRIMARY KEY (event_id, line)
);
CREATE INDEX traffic_site_window ON traffic (site, window_start);
CREATE TABLE waiting (
	site VARCHAR(63) NOT NULL,
	device VARCHAR(63) NOT NULL,
	stream VARCHAR(36) NOT NULL,
	seq BIGINT NOT NULL,
	prevseq BIGINT NOT NULL,
	PRIMARY KEY (site, device, stream, seq)
);
CREATE TABLE watermarks (
	site VARCHAR(63) NOT NULL,
	device VARCHAR(63) NOT NULL,
	stream VARCHAR(36) NOT NULL,
	up_to BIGINT NOT NULL,
	dropped BIGINT NOT NULL,
	PRIMARY KEY (site, device, stream)
);
