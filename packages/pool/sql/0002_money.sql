-- Money: a double-entry ledger of what the chain paid, and what the books know of the chain.

-- Scripts that were or are the pool's own. Work that pays a retired one stays good for a while, coins that it receives stay the pool's for ever.
CREATE TABLE pool_scripts (
  script bytea PRIMARY KEY,
  account integer NOT NULL UNIQUE REFERENCES accounts,
  since timestamptz NOT NULL DEFAULT now(),
  retired_at timestamptz
);
INSERT INTO pool_scripts (script, account) SELECT script, id FROM accounts WHERE kind = 'operator';

-- finder: whom the split was made for, where the scheme pays the finder. fee_ppm, scheme: the pool's terms when it was offered, by which its block is
-- divided whatever they are then. scheme is JSON as it is published, null in rows older than this column: the pool's present one.
ALTER TABLE splits ADD COLUMN finder integer, ADD COLUMN fee_ppm integer NOT NULL DEFAULT 0, ADD COLUMN scheme text;
CREATE INDEX splits_by_prevhash ON splits (prevhash, session, id);

-- What a block on the segment's tip is worth, for pay-per-share: compact target, satoshis of subsidy and of recent fees on average. A
-- segment with a subsidy is paid per share, and is in no window.
-- log_hash: sha256 of the segment's published log file, once it is written.
ALTER TABLE segments ADD COLUMN bits bigint, ADD COLUMN subsidy bigint, ADD COLUMN average_fees bigint, ADD COLUMN log_hash bytea;

-- A position finds its shares without a tree to keep: they are written in its order.
CREATE INDEX shares_by_position ON shares USING brin (position) WITH (pages_per_range = 16, autosummarize = on);

-- The life of a block on the chain, beside `status`, which is the life of its submission. One that was discovered on the chain has neither header nor
-- number of transactions. Whole blocks on their way to the node are kept in files.
ALTER TABLE blocks ADD COLUMN life text NOT NULL DEFAULT 'found' CHECK (life IN ('found', 'paid', 'mature', 'orphaned', 'foreign')),
  ALTER COLUMN header DROP NOT NULL, ALTER COLUMN transaction_count DROP NOT NULL, DROP COLUMN raw;

-- What each session said of a block that it handed in. Whose block it is says the coinbase's prime id; its session's claim names the job's pin.
-- scheme, fee_ppm: the pool's terms then, for a block without a split; null in rows older than these columns.
CREATE TABLE block_claims (
  block bytea NOT NULL CHECK (length(block) = 32),
  session bigint NOT NULL,
  split bigint,
  pin bigint NOT NULL,
  finder integer REFERENCES accounts,
  scheme text,
  fee_ppm integer,
  found_at timestamptz NOT NULL,
  PRIMARY KEY (block, session)
);
INSERT INTO block_claims (block, session, split, pin, found_at) SELECT hash, session, split, pin, found_at FROM blocks;

-- The best chain as the books follow it, block by block. The highest row is how far they are; a branch that was left is deleted from the top.
-- read: false for the block that the books began with and some before it, of which only the hash is known, so that the chain may leave those too.
CREATE TABLE chain (
  height integer PRIMARY KEY,
  hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
  read boolean NOT NULL DEFAULT true
);

-- Outputs to the pool's scripts on the followed chain. Hashes in internal order.
CREATE TABLE coins (
  txid bytea NOT NULL CHECK (length(txid) = 32),
  vout integer NOT NULL,
  script bytea NOT NULL REFERENCES pool_scripts,
  value bigint NOT NULL CHECK (value > 0),
  height integer NOT NULL,
  coinbase boolean NOT NULL,
  spent_by bytea CHECK (length(spent_by) = 32),
  spent_height integer,
  PRIMARY KEY (txid, vout)
);
CREATE INDEX coins_by_height ON coins (height);
CREATE INDEX coins_by_spent_height ON coins (spent_height) WHERE spent_height IS NOT NULL;

-- One row: money is written by one transaction at a time, under its lock; entries are numbered without gaps.
CREATE TABLE money_state (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  last_entry bigint NOT NULL,
  last_settlement integer NOT NULL,
  settlement_hash bytea NOT NULL
);
INSERT INTO money_state (last_entry, last_settlement, settlement_hash) VALUES (0, 0, decode(repeat('00', 32), 'hex'));

-- An entry of the ledger: postings that sum to zero.
--   block:    a block of the pool joined the best chain
--   receipt:  the pool's scripts received coins that no block of the pool explains
--   spend:    coins of the pool's scripts were spent
--   credit:   a segment's shares were paid for (pay-per-share)
--   reversal: takes back the entry that it names
CREATE TABLE entries (
  id bigint PRIMARY KEY,
  key text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('block', 'receipt', 'spend', 'credit', 'reversal')),
  reverses bigint UNIQUE REFERENCES entries CHECK ((reverses IS NOT NULL) = (kind = 'reversal')),
  block bytea CHECK (length(block) = 32),
  height integer,
  txid bytea CHECK (length(txid) = 32),
  segment integer,
  at timestamptz NOT NULL
);
CREATE INDEX entries_by_block ON entries (block);
CREATE INDEX entries_by_segment ON entries (segment) WHERE segment IS NOT NULL;

-- amount > 0 raises what the book's holder may claim. Books:
--   balance:      an account's claim on the pool; reasons earned, paid, fee (the operator's income), withdrawn, credited, funded (what the operator's own
--                 funds pay for a credit)
--   coins:        minus what the pool's scripts hold; reasons received, spent
--   unattributed: receipts that belong to nobody yet; reason received
CREATE TABLE postings (
  entry bigint NOT NULL REFERENCES entries,
  line integer NOT NULL,
  book text NOT NULL CHECK (book IN ('balance', 'coins', 'unattributed')),
  account integer REFERENCES accounts CHECK ((account IS NOT NULL) = (book = 'balance')),
  reason text NOT NULL CHECK (reason IN ('earned', 'paid', 'fee', 'withdrawn', 'credited', 'funded', 'received', 'spent')),
  amount bigint NOT NULL CHECK (amount <> 0),
  PRIMARY KEY (entry, line)
);
CREATE INDEX postings_by_account ON postings (account, entry) WHERE account IS NOT NULL;

-- Sums of the book `balance`, kept in the transaction that posts; `openprime ledger check` recomputes them.
-- due_since: entry since which the balance has reached the account's threshold. last_earned: height of the last block that earned it something.
CREATE TABLE balances (
  account integer PRIMARY KEY REFERENCES accounts,
  balance bigint NOT NULL,
  due_since bigint,
  last_earned integer
);

-- An account's own payout threshold, satoshis, instead of the pool's.
CREATE TABLE thresholds (
  account integer PRIMARY KEY REFERENCES accounts,
  threshold bigint NOT NULL CHECK (threshold >= 0)
);

-- One for each time that a block of the pool joined the best chain, and one for each time that one left it: published, hash-linked.
-- log_weight: weight of the whole share log up to the pin, without what was voided up to it and what is paid per share.
-- document: gzip of the published text.
CREATE TABLE settlements (
  number integer PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('settlement', 'reversal')),
  block bytea NOT NULL CHECK (length(block) = 32),
  height integer NOT NULL,
  pin bigint NOT NULL,
  window_size numeric NOT NULL,
  log_weight numeric NOT NULL,
  entry bigint NOT NULL UNIQUE REFERENCES entries,
  previous bytea NOT NULL CHECK (length(previous) = 32),
  hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
  document bytea NOT NULL
);
CREATE INDEX settlements_by_block ON settlements (block);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlements FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- All postings of an entry come in one statement and sum to zero; nothing is ever added to an entry that has some.
CREATE FUNCTION check_postings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong bigint;
BEGIN
  SELECT entry INTO wrong FROM added GROUP BY entry HAVING sum(amount) <> 0 LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'the postings of entry % do not sum to zero', wrong USING ERRCODE = 'check_violation';
  END IF;
  SELECT a.entry INTO wrong FROM (SELECT entry, count(*) AS lines FROM added GROUP BY entry) a
  WHERE a.lines <> (SELECT count(*) FROM postings p WHERE p.entry = a.entry) LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'entry % has its postings already', wrong USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER sum_zero AFTER INSERT ON postings REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION check_postings();
