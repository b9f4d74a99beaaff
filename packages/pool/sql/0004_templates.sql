-- Templates: what was behind each job, and what came of judging it.

-- One row for each job that did work. path: how its transactions were had; code, detail: why it is not sound. fees: of its transactions, as far as they are
-- known. own_*: the node's own template on that parent; lacks_*: what that has and this one lacks; extra_*: the reverse. All but id, session, prevhash and
-- opened_at is a claim, of the gateway or of the node. Amounts in satoshis.
CREATE TABLE templates (
  id bigint PRIMARY KEY,
  session bigint NOT NULL,
  prevhash bytea NOT NULL CHECK (length(prevhash) = 32),
  height integer NOT NULL,
  value bigint NOT NULL,
  transactions integer NOT NULL,
  weight bigint NOT NULL,
  size bigint NOT NULL,
  sigops bigint NOT NULL,
  opened_at timestamptz NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'sound', 'unjudged', 'unsound')),
  path text CHECK (path IN ('shortIds', 'byIndex', 'fullSet', 'known')),
  code text,
  detail text,
  fees bigint,
  own_value bigint,
  own_transactions integer,
  own_weight bigint,
  lacks_transactions integer,
  lacks_fees bigint,
  extra_transactions integer,
  extra_fees bigint,
  judged_at timestamptz CHECK ((judged_at IS NULL) = (state = 'pending'))
);
CREATE INDEX templates_by_session ON templates (session, id);
-- What a start has to bring to an end.
CREATE INDEX templates_to_settle ON templates (state, id) WHERE state IN ('pending', 'unsound');
CREATE INDEX templates_by_time ON templates USING brin (opened_at) WITH (pages_per_range = 16, autosummarize = on);

-- The template that was being judged when the share came, null where none was: if it turns out unsound, the share is taken back.
ALTER TABLE shares ADD COLUMN template bigint;
ALTER TABLE share_archive ADD COLUMN template bigint;
CREATE INDEX shares_by_template ON shares (template) WHERE template IS NOT NULL;

-- The template for which the share was taken back; null: for its parent, which does not exist or has another height.
ALTER TABLE voids ADD COLUMN template bigint;
