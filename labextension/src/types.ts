/** What REST answers, as far as the panel reads it. Times are seconds since the epoch, in the clock of the service. */

export type Status =
  | 'NEW_OBJECT'
  | 'PENDING_REUSE'
  | 'DISPATCHING'
  | 'RUNNING'
  | 'COMPLETED'
  | 'FAILED'
  | 'CANCELLED'
  | 'SKIPPED';

/** Electrons by state. The service leaves zeros out. */
export interface Counts {
  total?: number;
  waiting?: number;
  queued?: number;
  running?: number;
  completed?: number;
  failed?: number;
  cancelled?: number;
  skipped?: number;
  reused?: number;
}

export interface DispatchRow {
  dispatch_id: string;
  root_id: string;
  parent_id: string | null;
  name: string;
  label: string;
  lattice: string;
  status: Status;
  seq: number;
  counts: Counts;
  created: number;
  started: number | null;
  ended: number | null;
  inputs: Record<string, string>;
  tags: string[];
  notebook: string;
  error: string;
  environment: Record<string, string>;
}

export interface Health {
  ok: boolean;
  version: string;
  pid: number;
  store: string;
  host: string;
  started: number;
  running: number;
  problem: string;
  warnings?: string[];
}

export interface DispatchList {
  dispatches: DispatchRow[];
  seq: number;
  total: number;
  /** Pass it as `before` for the page of older ones. */
  next: string | null;
}

/** Coalesced changes after a sequence number. */
export interface Changes {
  seq: number;
  /** There is more: ask again with this. */
  next: number | null;
  /** There is a gap: take the snapshot. */
  reset: boolean;
  dispatches: DispatchRow[];
  deleted: string[];
}
