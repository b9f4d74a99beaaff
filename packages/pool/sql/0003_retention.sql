-- Retention: what is left of a round whose shares were dropped, and where shares stay that are kept longer than their round.

-- first_segment: no share of the round lies in an older one. compacted_at: when its shares became the sums below; nothing is added to it any more.
ALTER TABLE rounds ADD COLUMN first_segment integer, ADD COLUMN compacted_at timestamptz;
UPDATE rounds r SET first_segment = coalesce((SELECT min(s.segment) FROM shares s WHERE s.round = r.id), (SELECT max(id) FROM segments), 1);
ALTER TABLE rounds ALTER COLUMN first_segment SET NOT NULL;
CREATE INDEX rounds_with_shares ON rounds (id, first_segment) WHERE compacted_at IS NULL;

-- Sums of a compacted round's shares, those included that were voided: with the shares of other rounds, less the voids, they are segment_weights.
CREATE TABLE round_sums (
  round integer NOT NULL REFERENCES rounds,
  segment integer NOT NULL,
  account integer NOT NULL,
  worker integer NOT NULL,
  shares bigint NOT NULL,
  weight numeric NOT NULL,
  fee_weight numeric NOT NULL,
  PRIMARY KEY (segment, account, worker, round)
);

-- Shares of compacted rounds. Partitions by day (UTC, by received_at) are made when they are needed; where TimescaleDB is installed, the pool makes a
-- hypertable of it before the first share comes. Nothing is unique here: a round took each hash once.
CREATE TABLE share_archive (LIKE shares INCLUDING DEFAULTS) PARTITION BY RANGE (received_at);
CREATE INDEX share_archive_by_position ON share_archive USING brin (position) WITH (pages_per_range = 16, autosummarize = on);

-- As before, and no work is taken on a round that was compacted: its hashes are gone, so a share could be credited twice.
CREATE OR REPLACE FUNCTION open_round(parent bytea, block_height integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found rounds%ROWTYPE;
BEGIN
  SELECT * INTO found FROM rounds WHERE prevhash = parent;
  IF found.compacted_at IS NOT NULL THEN
    RAISE EXCEPTION 'round % is compacted: work on its parent is stale for ever', found.id USING ERRCODE = 'check_violation';
  END IF;
  IF found.id IS NOT NULL THEN RETURN found.id; END IF;
  INSERT INTO rounds (prevhash, height, first_segment)
  SELECT parent, block_height, coalesce(max(id), 1) FROM segments RETURNING * INTO found;
  EXECUTE format('CREATE TABLE shares_%s (LIKE shares INCLUDING DEFAULTS)', found.id);
  EXECUTE format('ALTER TABLE shares ATTACH PARTITION shares_%s FOR VALUES IN (%s)', found.id, found.id);
  RETURN found.id;
END
$$;

-- Splits are written in the order of time, so their age finds them without a tree to keep.
CREATE INDEX splits_by_time ON splits USING brin (offered_at) WITH (pages_per_range = 16, autosummarize = on);
