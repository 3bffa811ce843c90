import { isEnded, Trans } from '../states';
import { Counts, DispatchRow, ElectronRow } from '../types';

/** 1536 -> "1.5 kB". */
export function bytes(count: number): string {
  if (count < 1000) {
    return `${count} B`;
  }
  const units = ['kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power - 1]}`;
}

/** Time of day with seconds, such as "10:41:05". */
export function clockSeconds(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

/** Seconds that an electron has run, or runs. */
export function spent(row: ElectronRow, now: number): number | null {
  if (row.ended !== null) {
    const whole = row.started === null ? null : row.ended - row.started;
    return row.child ? whole : (row.duration ?? whole); // the function of a sublattice only builds it
  }
  return row.started === null ? null : Math.max(0, now - row.started);
}

/** Electrons that will not change any more. */
export function settled(counts: Counts): number {
  return (counts.completed ?? 0) + (counts.failed ?? 0) + (counts.cancelled ?? 0) + (counts.skipped ?? 0);
}

/** "18 of 34", "34 electrons", "34 electrons, 31 reused". */
export function progressWords(row: DispatchRow, trans: Trans): string {
  const total = row.counts.total ?? 0;
  if (!isEnded(row.status)) {
    return trans.__('%1 of %2', row.counts.completed ?? 0, total);
  }
  const words = trans._n('%1 electron', '%1 electrons', total);
  return row.counts.reused ? trans.__('%1, %2 reused', words, row.counts.reused) : words;
}

/** Seconds that are left at the present pace; null while that would be a guess. */
export function secondsLeft(row: DispatchRow, now: number): number | null {
  const total = row.counts.total ?? 0;
  const done = settled(row.counts);
  if (isEnded(row.status) || row.started === null || done < 3 || done < total / 20) {
    return null;
  }
  return ((now - row.started) / done) * (total - done);
}

/** The lattice that a sweep runs; null for what is no sweep. */
export function sweptLattice(row: DispatchRow): string | null {
  return row.lattice.startsWith('sweep of ') ? row.lattice.slice('sweep of '.length) : null;
}

export function nameOf(row: DispatchRow): string {
  return row.label || row.name || row.lattice;
}

/** At most so many characters of a text. */
export function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
