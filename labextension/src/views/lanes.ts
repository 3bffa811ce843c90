/** One attempt of an electron, as the service lists them; seconds since the epoch. */
export interface Attempt {
  node: number;
  attempt: number;
  name?: string;
  status: string;
  queued: number | null;
  started: number | null;
  ended: number | null;
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
  to: number;
}

export interface Lane {
  label: string;
  /** The worker; the same for several lanes where it did several things at once. */
  worker: string;
}

export interface Lanes {
  lanes: Lane[];
  spans: Span[];
  from: number;
  to: number;
}

/**
 * Attempts that began, in lanes: those of a worker one after another, in as many lanes as it did things at once. Workers are
 * ordered by when they began. What still runs ends now.
 */
export function lanesOf(attempts: readonly Attempt[], now: number): Lanes {
  const began = attempts
    .filter((attempt): attempt is Attempt & { started: number } => attempt.started !== null)
    .sort((a, b) => a.started - b.started || a.node - b.node);
  const workers = new Map<string, { ends: number[]; spans: Span[] }>();
  let [from, to] = [Infinity, -Infinity];
  for (const attempt of began) {
    const end = Math.max(attempt.started, attempt.ended ?? now);
    from = Math.min(from, attempt.queued ?? attempt.started, attempt.started);
    to = Math.max(to, end);
    const worker = workers.get(attempt.worker) ?? { ends: [], spans: [] };
    workers.set(attempt.worker, worker);
    // clocks and records are not exact to the microsecond
    let lane = worker.ends.findIndex(free => free <= attempt.started + 1e-4);
    if (lane < 0) {
      lane = worker.ends.length;
    }
    worker.ends[lane] = end;
    worker.spans.push({ attempt, lane, from: attempt.started, to: end });
  }
  const lanes: Lane[] = [];
  const spans: Span[] = [];
  for (const [worker, { ends, spans: own }] of workers) {
    own.forEach(span => spans.push({ ...span, lane: span.lane + lanes.length }));
    ends.forEach((_, i) => lanes.push({ label: i === 0 ? worker : '', worker }));
  }
  return from <= to ? { lanes, spans, from, to } : { lanes, spans, from: now, to: now };
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
