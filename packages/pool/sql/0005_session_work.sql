-- What a gateway's session must find again after a restart of the pool and can't tell it: one row for each session that did work.

-- minimum: log2 of its minimum difficulty. earlier: lower ones of before, [{targetByte, until}], until in milliseconds. payee: script of the account
-- that worked last. jobs: for each slot, [{slot, digest, pin, split, template, commitment}]: which job it is, and what it was pinned to. Not there is
-- what the gateway sends again: the jobs themselves and their coinbases.
CREATE TABLE session_work (
  session bigint PRIMARY KEY REFERENCES sessions,
  minimum smallint NOT NULL CHECK (minimum BETWEEN 0 AND 63),
  earlier jsonb NOT NULL,
  payee bytea,
  proven boolean NOT NULL,
  jobs jsonb NOT NULL,
  saved_at timestamptz NOT NULL
) WITH (fillfactor = 50);
