import { DispatchRow } from './types';

/** Runs of the same lattice before and after one that count as its neighbours. */
const NEAR = 4;

/**
 * For each row, the inputs in which it differs from the runs of the same lattice around it: `[["C", "0.1"]]`.
 *
 * Rows are given newest first. What all neighbours share says nothing about a run, and is left out.
 */
export function differences(rows: readonly DispatchRow[]): Map<string, [string, string][]> {
  const byLattice = new Map<string, DispatchRow[]>();
  for (const row of rows) {
    const runs = byLattice.get(row.lattice);
    if (runs) {
      runs.push(row);
    } else {
      byLattice.set(row.lattice, [row]);
    }
  }
  const found = new Map<string, [string, string][]>();
  for (const runs of byLattice.values()) {
    runs.forEach((row, at) => {
      const near = runs.slice(Math.max(0, at - NEAR), at + NEAR + 1);
      const telling = Object.entries(row.inputs).filter(([name, value]) =>
        near.some(other => other.inputs[name] !== value)
      );
      if (telling.length > 0) {
        found.set(row.dispatch_id, telling);
      }
    });
  }
  return found;
}
