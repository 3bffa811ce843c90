import { DispatchRow } from './types';

/** Runs of the same lattice before and after one that count as its neighbours. */
const NEAR = 4;

/** An input by its name: its value, and the value as a row shows it, where that is shorter. */
export type Telling = [name: string, value: string, brief?: string];

/** Values up to this length are shown whole. */
const LONG = 16;
/** Of what two values share before they differ, so much is shown. */
const LEAD = 3;

/**
 * A long value without most of what it shares with those that it must be told from: "'/tmp/run/go1'" beside
 * "'/tmp/run/go2'" is "'…go1'".
 */
export function brief(value: string, others: readonly string[]): string {
  const common = Math.max(0, ...others.filter(other => other !== value).map(other => shared(value, other)));
  const quote = /^['"]/.test(value) ? 1 : 0;
  const start = Math.max(quote, startOfWord(value, common));
  return value.length <= LONG || start - quote <= LEAD ? value : `${value.slice(0, quote)}…${value.slice(start)}`;
}

/** How many characters two texts begin with alike. */
function shared(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) {
    length++;
  }
  return length;
}

/** Where the word begins that lies at a place, unless that is far before it. */
function startOfWord(text: string, at: number): number {
  const before = text.slice(0, at);
  const word = /[\w-]*$/.exec(before)?.[0].length ?? 0;
  return word > 4 * LEAD ? at - LEAD : at - word;
}

/**
 * For each row, the inputs in which it differs from the runs of the same lattice around it: `[["C", "0.1"]]`.
 *
 * Rows are given newest first. What all neighbours share says nothing about a run, and is left out.
 */
export function differences(rows: readonly DispatchRow[]): Map<string, Telling[]> {
  const byLattice = new Map<string, DispatchRow[]>();
  for (const row of rows) {
    const runs = byLattice.get(row.lattice);
    if (runs) {
      runs.push(row);
    } else {
      byLattice.set(row.lattice, [row]);
    }
  }
  const found = new Map<string, Telling[]>();
  for (const runs of byLattice.values()) {
    runs.forEach((row, at) => {
      const near = runs.slice(Math.max(0, at - NEAR), at + NEAR + 1);
      const telling = Object.entries(row.inputs).filter(([name, value]) =>
        near.some(other => other.inputs[name] !== value)
      );
      if (telling.length > 0) {
        found.set(row.dispatch_id, telling.map(([name, value]) => shortly(name, value, near)));
      }
    });
  }
  return found;
}

function shortly(name: string, value: string, near: readonly DispatchRow[]): Telling {
  const short = brief(value, near.flatMap(row => row.inputs[name] ?? []));
  return short === value ? [name, value] : [name, value, short];
}
