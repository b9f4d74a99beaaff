/** Long work in short steps, so that it can be done beside other work of the same thread. */

/** Work that pauses after every tenth of a millisecond or so; who runs it decides when it goes on. */
export type Steps<T> = Generator<undefined, T>;

/** Steps are counted in lines, tree nodes or amounts, which cost some microseconds each: as many lie between two pauses. */
export const PAUSE_AFTER = 16;

/** Runs steps to their end, for who has nothing else to do. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
