/** SQL of stored splits. */

const COLUMNS = "id, session, coinbaser_id, position, prevhash, value, outputs, offered_at, finder, fee_ppm, scheme";

export const FIND_SPLIT = `SELECT ${COLUMNS} FROM splits WHERE id = $1`;

/** $1 parent, $2 session, $3 value. */
export const SPLITS_FOR = `SELECT ${COLUMNS} FROM splits WHERE prevhash = $1 AND session = $2 AND value = $3 ORDER BY id`;
