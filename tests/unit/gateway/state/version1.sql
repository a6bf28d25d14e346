-- The tables that the first release made.
CREATE TABLE requests (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    lane INTEGER NOT NULL,
    started_ns INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    version TEXT NOT NULL,
    principal TEXT NOT NULL,
    status INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    stage TEXT,
    payload TEXT NOT NULL,
    record_bytes INTEGER NOT NULL,
    payload_bytes INTEGER NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX requests_by_time ON requests (started_ns);
CREATE INDEX requests_by_principal ON requests (lane, principal, seq);
CREATE INDEX requests_with_payload ON requests (lane, principal, seq) WHERE payload = 'kept';

CREATE TABLE payloads (digest TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE captures (
    request INTEGER NOT NULL REFERENCES requests (seq),
    role TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES payloads (digest),
    PRIMARY KEY (request, role)
) WITHOUT ROWID;
CREATE INDEX captures_by_digest ON captures (digest);

CREATE TABLE chains (
    endpoint TEXT NOT NULL,
    version TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (endpoint, version)
) WITHOUT ROWID;

CREATE TABLE usage (
    lane INTEGER NOT NULL,
    principal TEXT NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (lane, principal)
) WITHOUT ROWID;
CREATE INDEX usage_by_records ON usage (lane, records);
CREATE INDEX usage_by_bytes ON usage (lane, bytes);
CREATE TABLE totals (lane INTEGER PRIMARY KEY, records INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0, 0), (1, 0, 0);

CREATE TRIGGER request_added AFTER INSERT ON requests BEGIN
    INSERT INTO usage VALUES (new.lane, new.principal, 1, new.record_bytes + new.payload_bytes)
        ON CONFLICT DO UPDATE SET records = records + 1, bytes = bytes + excluded.bytes;
    UPDATE totals SET records = records + 1, bytes = bytes + new.record_bytes + new.payload_bytes
        WHERE lane = new.lane;
END;
CREATE TRIGGER request_removed AFTER DELETE ON requests BEGIN
    UPDATE usage SET records = records - 1, bytes = bytes - old.record_bytes - old.payload_bytes
        WHERE lane = old.lane AND principal = old.principal;
    DELETE FROM usage WHERE lane = old.lane AND principal = old.principal AND records = 0;
    UPDATE totals SET records = records - 1, bytes = bytes - old.record_bytes - old.payload_bytes
        WHERE lane = old.lane;
END;
CREATE TRIGGER payload_dropped AFTER UPDATE OF payload_bytes ON requests BEGIN
    UPDATE usage SET bytes = bytes + new.payload_bytes - old.payload_bytes
        WHERE lane = new.lane AND principal = new.principal;
    UPDATE totals SET bytes = bytes + new.payload_bytes - old.payload_bytes WHERE lane = new.lane;
END;
PRAGMA application_id = 1464287572;
PRAGMA user_version = 1;
