-- Notices: what miners and the operator are told, whom, and what has not reached them yet.

-- account null: the operator's, whose target stands in the configuration. target: sealed with a key that is not in the database. tokens: messages that may
-- go out at once, as of refilled_at. failing_since, failures, retry_at: the present run of failures. Times are the pool's clock.
CREATE TABLE notice_receivers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account integer REFERENCES accounts,
  channel text NOT NULL CHECK (channel IN ('webhook', 'email', 'nostr')),
  target bytea CHECK ((target IS NULL) = (account IS NULL)),
  events text[] NOT NULL,
  created_at timestamptz NOT NULL,
  tokens double precision NOT NULL,
  refilled_at timestamptz NOT NULL,
  sent_at timestamptz,
  failures integer NOT NULL DEFAULT 0,
  failing_since timestamptz,
  retry_at timestamptz,
  disabled_at timestamptz
);
CREATE UNIQUE INDEX notice_receivers_operator ON notice_receivers (channel) WHERE account IS NULL;
CREATE INDEX notice_receivers_by_account ON notice_receivers (account) WHERE account IS NOT NULL;

-- key: one happening is one notice to an account, whoever finds it out and how often. account null: to the operator. data: JSON, as webhooks get it.
CREATE TABLE notices (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE,
  event text NOT NULL,
  account integer REFERENCES accounts,
  at timestamptz NOT NULL,
  written_at timestamptz NOT NULL,
  data text NOT NULL
);
CREATE INDEX notices_by_time ON notices (written_at);

-- The outbox: a row waits until it was delivered, or is too old to be of use.
CREATE TABLE notice_deliveries (
  receiver bigint NOT NULL REFERENCES notice_receivers ON DELETE CASCADE,
  notice bigint NOT NULL REFERENCES notices ON DELETE CASCADE,
  PRIMARY KEY (receiver, notice)
);
CREATE INDEX notice_deliveries_by_notice ON notice_deliveries (notice);

-- What has been told and is not over: told once, however often the pool starts. name: what about, such as worker:7.
CREATE TABLE notice_alarms (
  name text PRIMARY KEY,
  since timestamptz NOT NULL,
  data text NOT NULL
);

-- How often a worker or a gateway (id: worker or session) brings shares: shares and their weight, over the seconds between them. session: the last one.
CREATE TABLE notice_paces (
  kind text NOT NULL CHECK (kind IN ('worker', 'gateway')),
  id bigint NOT NULL,
  account integer,
  session bigint NOT NULL,
  shares double precision NOT NULL,
  seconds double precision NOT NULL,
  weight double precision NOT NULL,
  share_weight double precision NOT NULL,
  last_at timestamptz NOT NULL,
  PRIMARY KEY (kind, id)
) WITH (fillfactor = 70);

-- How far notices have read: entries of the ledger, blocks, positions of the share log. What came before is nobody's news.
CREATE TABLE notice_state (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  entry bigint NOT NULL,
  first_block bigint NOT NULL,
  position bigint NOT NULL
);
INSERT INTO notice_state (entry, first_block, position)
SELECT (SELECT last_entry FROM money_state), (SELECT coalesce(max(id), 0) FROM blocks), (SELECT position FROM log_state);
