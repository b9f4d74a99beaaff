/** Where two chains part. */

/**
 * Finds where the books left the node's chain, in about 2·log2 of the distance many questions.
 *
 * @param top height of the books' last block
 * @param same whether books and node have one block at a height; undefined below the books' first
 * @returns the greatest height at which they do not differ: of the last common block, or one less than the books' first when there is none
 */
export async function findFork(top: number, same: (height: number) => Promise<boolean | undefined>): Promise<number> {
  // They differ from `differing` on, and not at `fork`.
  let differing = top + 1;
  let fork = top;
  for (let step = 1; (await same(fork)) === false; step *= 2) {
    differing = fork;
    if (fork === 0) return -1;
    fork = Math.max(0, fork - step);
  }
  while (differing - fork > 1) {
    const middle = Math.floor((fork + differing) / 2);
    if ((await same(middle)) === false) differing = middle;
    else fork = middle;
  }
  return fork;
}
