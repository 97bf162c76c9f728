"""Tables of ``state.db`` for audits: draws, clips, sets with their answers, and results."""

AUDIT_TABLES = """
CREATE TABLE IF NOT EXISTS audit_draws (
    camera TEXT NOT NULL,
    day TEXT NOT NULL,
    seed INTEGER NOT NULL,
    step_s REAL NOT NULL,
    wanted REAL NOT NULL,
    drawn_at REAL NOT NULL,
    PRIMARY KEY (camera, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_plan (
    camera TEXT NOT NULL,
    began_at REAL NOT NULL,
    day TEXT NOT NULL,
    hour INTEGER NOT NULL,
    probability REAL NOT NULL,
    PRIMARY KEY (camera, began_at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_busy (
    camera TEXT NOT NULL,
    day TEXT NOT NULL,
    hour INTEGER NOT NULL,
    observed_s REAL NOT NULL,
    people_s REAL NOT NULL,
    PRIMARY KEY (camera, day, hour)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_clips (
    clip TEXT PRIMARY KEY,
    camera TEXT NOT NULL,
    began_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    hour INTEGER NOT NULL,
    probability REAL NOT NULL,
    people REAL NOT NULL,
    model_digest TEXT NOT NULL,
    backend TEXT NOT NULL,
    precision TEXT NOT NULL,
    zone_version TEXT NOT NULL,
    counted TEXT NOT NULL,
    drawn TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS audit_clips_by_basis
    ON audit_clips (camera, zone_version, model_digest, began_at);
CREATE TABLE IF NOT EXISTS audit_sets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    sort TEXT NOT NULL,
    subject TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    backend TEXT NOT NULL,
    precision TEXT NOT NULL,
    zone_version TEXT NOT NULL,
    design TEXT NOT NULL,
    by TEXT NOT NULL,
    drawn_at REAL NOT NULL,
    done_at REAL,
    result TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS audit_answers (
    audit INTEGER NOT NULL,
    place INTEGER NOT NULL,
    clip TEXT NOT NULL,
    began_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    stratum TEXT NOT NULL,
    probability REAL NOT NULL,
    weight REAL NOT NULL,
    counted TEXT NOT NULL,
    drawn TEXT NOT NULL,
    seen TEXT NOT NULL DEFAULT '',
    at REAL,
    PRIMARY KEY (audit, place)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS audit_answers_by_clip ON audit_answers (clip);
CREATE TABLE IF NOT EXISTS audited (
    source TEXT NOT NULL,
    sort TEXT NOT NULL,
    subject TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    backend TEXT NOT NULL,
    precision TEXT NOT NULL,
    zone_version TEXT NOT NULL,
    audits INTEGER NOT NULL,
    clips INTEGER NOT NULL,
    agreed INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    false_items INTEGER NOT NULL,
    accuracy REAL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    effective REAL NOT NULL,
    counted_ratio REAL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    audited_at REAL NOT NULL,
    PRIMARY KEY (source, sort, subject, model_digest, backend, precision, zone_version)
) WITHOUT ROWID;
"""
