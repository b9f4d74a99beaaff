/** SQL of stored splits. */

export const FIND_SPLIT = "SELECT coinbaser_id, position, prevhash, value, outputs FROM splits WHERE id = $1";
