/** One attempt of an electron, as the service lists them; seconds since the epoch. */
export interface Attempt {
  node: number;
  attempt: number;
  name?: string;
  status: string;
  queued: number | null;
  started: number | null;
  ended: number | null;
  /** Seconds in the user's function; what else lies between start and end are values and imports. */
  duration?: number | null;
  executor: string;
  worker: string;
  error_type?: string;
  error_message?: string;
}

export interface Span {
  attempt: Attempt;
  /** Row in which it is drawn. */
  lane: number;
  from: number;
  /** End of the user's function; from there to the end, values travelled. */
  worked: number;
  to: number;
}

/** The electron that began before (-1) or after (1) the one that is chosen; the first where none is. Undefined at the ends. */
export function nextElectron(spans: readonly Span[], chosen: number | null, step: -1 | 1): number | undefined {
  // by electrons, not by attempts: the attempt after one may be of the same electron
  const order = [...new Set([...spans].sort((a, b) => a.from - b.from).map(span => span.attempt.node))];
  return chosen === null || !order.includes(chosen) ? order[0] : order[order.indexOf(chosen) + step];
}

export interface Lane {
  label: string;
  /** The worker; the same for several lanes where it did several things at once. */
  worker: string;
}

export interface Lanes {
  lanes: Lane[];
  spans: Span[];
  /** When the first was handed to an executor. */
  queued: number;
  /** When the first began. */
  began: number;
  /** Where a picture of it all starts: some of the first wait, which may have been for a host, is left out where it is long. */
  from: number;
  to: number;
}

/** The part of a picture that may be taken by the wait before anything began. */
const FIRST_WAIT = 0.12;

/**
 * Attempts that began, in lanes: those of a worker one after another, in as many lanes as it did things at once. Workers are
 * ordered by when they began. What still runs ends now.
 */
export function lanesOf(attempts: readonly Attempt[], now: number): Lanes {
  const began = attempts
    .filter((attempt): attempt is Attempt & { started: number } => attempt.started !== null)
    .sort((a, b) => a.started - b.started || a.node - b.node);
  const workers = new Map<string, { ends: number[]; spans: Span[] }>();
  let [queued, first, to] = [Infinity, Infinity, -Infinity];
  for (const attempt of began) {
    const end = Math.max(attempt.started, attempt.ended ?? now);
    queued = Math.min(queued, attempt.queued ?? attempt.started, attempt.started);
    first = Math.min(first, attempt.started);
    to = Math.max(to, end);
    const worker = workers.get(attempt.worker) ?? { ends: [], spans: [] };
    workers.set(attempt.worker, worker);
    // clocks and records are not exact to the microsecond
    let lane = worker.ends.findIndex(free => free <= attempt.started + 1e-4);
    if (lane < 0) {
      lane = worker.ends.length;
    }
    worker.ends[lane] = end;
    worker.spans.push({ attempt, lane, from: attempt.started, worked: workedUntil(attempt, end), to: end });
  }
  const lanes: Lane[] = [];
  const spans: Span[] = [];
  for (const [worker, { ends, spans: own }] of workers) {
    own.forEach(span => spans.push({ ...span, lane: span.lane + lanes.length }));
    ends.forEach((_, i) => lanes.push({ label: i === 0 ? worker : '', worker }));
  }
  if (began.length === 0) {
    return { lanes, spans, queued: now, began: now, from: now, to: now };
  }
  const from = Math.max(queued, first - (FIRST_WAIT / (1 - FIRST_WAIT)) * Math.max(to - first, 0.01));
  return { lanes, spans, queued, began: first, from, to };
}

function workedUntil(attempt: Attempt & { started: number }, end: number): number {
  const { duration, ended, started } = attempt;
  return ended === null || typeof duration !== 'number' ? end : Math.min(end, started + duration);
}

/** Moments on a scale that has its zero at `zero`: seconds after it, round, about `count` of them. */
export function ticksOf(range: { from: number; to: number }, zero: number, count: number): { step: number; ticks: number[] } {
  const step = tickStep(range.to - range.from, count);
  const ticks: number[] = [];
  const last = Math.floor((range.to - zero) / step + 1e-6);
  for (let i = Math.ceil((range.from - zero) / step - 1e-6) || 0; i <= last; i++) {
    ticks.push(i * step);
  }
  return { step, ticks };
}

/** Round numbers between which about `count` lie in `length` seconds. */
export function tickStep(length: number, count: number): number {
  const rough = length / Math.max(1, count);
  const steps = [60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400];
  if (rough > 30) {
    return steps.find(step => step >= rough) ?? Math.ceil(rough / 86400) * 86400;
  }
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  return ([1, 2, 5, 10].find(step => step * power >= rough) ?? 10) * power;
}
