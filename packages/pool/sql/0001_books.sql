-- The books of a pool: everything that must survive a crash.
-- Hashes and scripts are bytea in internal byte order. Sums of weight are numeric: one share weighs up to 2^63 and sums pass 2^64.

-- One row: how far the share log has been written, and by whom. A writer that has lost its turn finds another epoch here and changes nothing.
CREATE TABLE log_state (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  position bigint NOT NULL,
  epoch bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO log_state (position, epoch) VALUES (0, 0);

-- A miner's account is a scriptPubKey; the operator's own script is one of kind 'operator'.
CREATE TABLE accounts (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  script bytea NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('miner', 'operator')),
  address text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE workers (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account integer NOT NULL REFERENCES accounts,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (account, name)
);

-- A round is all work on one parent, for ever one row per prevhash.
CREATE TABLE rounds (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  prevhash bytea NOT NULL UNIQUE CHECK (length(prevhash) = 32),
  height integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- A stretch of the log between two changes of the tip.
CREATE TABLE segments (
  id integer PRIMARY KEY,
  prevhash bytea CHECK (length(prevhash) = 32),
  after_position bigint NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT now()
);

-- Sums of the log without what was voided. Always equal to shares minus voids; `checkBooks` compares.
CREATE TABLE segment_weights (
  segment integer NOT NULL,
  account integer NOT NULL,
  worker integer NOT NULL,
  shares bigint NOT NULL,
  weight numeric NOT NULL,
  fee_weight numeric NOT NULL,
  PRIMARY KEY (segment, account, worker)
) WITH (fillfactor = 50);

-- The share log. No foreign keys here: the one writer takes every id from the tables above, and each would cost a look-up per share.
CREATE TABLE shares (
  position bigint NOT NULL,
  received_at timestamptz NOT NULL,
  session bigint NOT NULL,
  split bigint,
  pin bigint NOT NULL,
  ntime bigint NOT NULL,
  round integer NOT NULL,
  segment integer NOT NULL,
  account integer NOT NULL,
  worker integer NOT NULL,
  fee_ppm integer NOT NULL,
  height integer NOT NULL,
  target_byte smallint NOT NULL,
  coinbase_id smallint NOT NULL,
  tentative boolean NOT NULL,
  hash bytea NOT NULL,
  weight numeric NOT NULL,
  PRIMARY KEY (round, hash)
) PARTITION BY LIST (round);

-- A share taken back: an entry of the log with a position of its own. Pins before it keep the share.
CREATE TABLE voids (
  position bigint PRIMARY KEY,
  round integer NOT NULL,
  hash bytea NOT NULL,
  share_position bigint NOT NULL,
  segment integer NOT NULL,
  account integer NOT NULL,
  worker integer NOT NULL,
  weight numeric NOT NULL,
  fee_ppm integer NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (round, hash)
);

-- A session belongs to a gateway's long-term key and owns a prime_id: from a counter, never zero, never given twice.
CREATE SEQUENCE prime_ids AS bigint MINVALUE 1 MAXVALUE 4294967295 NO CYCLE;
CREATE TABLE sessions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  gateway_key bytea NOT NULL UNIQUE CHECK (length(gateway_key) = 32),
  prime_id bigint NOT NULL UNIQUE CHECK (prime_id BETWEEN 1 AND 4294967295),
  version text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  opened_at timestamptz NOT NULL DEFAULT now()
);

-- Splits as offered. `outputs`: one after another, satoshis (8 bytes, little-endian), script length (1 byte), script: as on the wire.
CREATE TABLE splits (
  id bigint PRIMARY KEY,
  session bigint NOT NULL,
  coinbaser_id smallint NOT NULL CHECK (coinbaser_id BETWEEN 1 AND 255),
  position bigint NOT NULL,
  prevhash bytea NOT NULL CHECK (length(prevhash) = 32),
  value bigint NOT NULL,
  outputs bytea NOT NULL,
  offered_at timestamptz NOT NULL
);
CREATE INDEX splits_by_session ON splits (session, id);

CREATE TABLE blocks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
  prevhash bytea NOT NULL CHECK (length(prevhash) = 32),
  height integer NOT NULL,
  header bytea NOT NULL CHECK (length(header) = 80),
  coinbase bytea NOT NULL,
  coinbase_value bigint NOT NULL,
  transaction_count integer NOT NULL,
  session bigint NOT NULL,
  split bigint,
  pin bigint NOT NULL,
  username bytea NOT NULL,
  raw bytea,
  status text NOT NULL DEFAULT 'found' CHECK (status IN ('found', 'submitted', 'accepted', 'refused')),
  outcome text,
  found_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- The round of a parent, with the partition that will hold its shares. Attaching (instead of creating in place) doesn't block readers.
CREATE FUNCTION open_round(parent bytea, block_height integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  SELECT id INTO found FROM rounds WHERE prevhash = parent;
  IF found IS NOT NULL THEN RETURN found; END IF;
  INSERT INTO rounds (prevhash, height) VALUES (parent, block_height) RETURNING id INTO found;
  EXECUTE format('CREATE TABLE shares_%s (LIKE shares INCLUDING DEFAULTS)', found);
  EXECUTE format('ALTER TABLE shares ATTACH PARTITION shares_%s FOR VALUES IN (%s)', found, found);
  RETURN found;
END
$$;
