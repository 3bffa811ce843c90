import { isSameNotebook } from './paths';
import { Query } from './source';
import { hasEnded } from './states';
import { DispatchRow, Group, Status, Summary } from './types';

/** The states of a dispatch that has not ended. */
export const UNDER_WAY = 'NEW_OBJECT,PENDING_REUSE,DISPATCHING,RUNNING';
const ENDED = 'COMPLETED,FAILED,CANCELLED,SKIPPED';

export const STATE_FILTERS = ['all', 'running', 'completed', 'failed', 'cancelled'] as const;
export type StateFilter = (typeof STATE_FILTERS)[number];
export const GROUPINGS = ['day', 'lattice', 'notebook'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** What of the dispatches is listed. */
export interface Filter {
  text: string;
  state: StateFilter;
  /** Whole path of a notebook; "": any. */
  notebook: string;
}

export const EVERYTHING: Filter = { text: '', state: 'all', notebook: '' };

/** How many dispatches each filter by state leaves. */
export type Totals = Record<StateFilter, number>;

export const NO_TOTALS: Totals = { all: 0, running: 0, completed: 0, failed: 0, cancelled: 0 };

/** The one state that a filter leaves of those that have ended. */
const ONE: Partial<Record<StateFilter, Status>> = { completed: 'COMPLETED', failed: 'FAILED', cancelled: 'CANCELLED' };

export function isFiltering({ text, state, notebook }: Filter): boolean {
  return text.trim() !== '' || state !== 'all' || notebook !== '';
}

/** What the service is asked for: dispatches in these states that match. `status` is "" where none can. */
export function queryOf({ text, state, notebook }: Filter, status: string): Query {
  return { parent: 'none', q: text.trim(), notebook, status: statusOf(state, status) };
}

function statusOf(state: StateFilter, status: string): string {
  const running = status === UNDER_WAY;
  switch (state) {
    case 'all':
      return status;
    case 'running':
      return running ? status : '';
    default:
      return running ? '' : ONE[state]!;
  }
}

/** The same for those of a group that have ended. */
export function pastQueryOf(filter: Filter, grouping: Grouping, group: string): Query {
  const query = queryOf(filter, ENDED);
  switch (grouping) {
    case 'lattice':
      return { ...query, lattice: group };
    case 'notebook':
      return { ...query, notebook: group || 'none' };
    default:
      return query;
  }
}

/** What is asked to count them: in all states, so that the filter by state can say how many each has. */
export function summaryQueryOf({ text, notebook }: Filter): Query {
  return { parent: 'none', q: text.trim(), notebook };
}

/** What the service has counted: by state, how many ended ones match, and the groups that have some. */
export function counted(summary: Summary, { state }: Filter): { totals: Totals; past: number; groups: Group[] } {
  const sum = (names: string) => names.split(',').reduce((total, name) => total + (summary.states[name] ?? 0), 0);
  const [running, completed, failed, cancelled] = [UNDER_WAY, 'COMPLETED', 'FAILED', 'CANCELLED'].map(sum);
  const ended = sum(ENDED);
  const totals = { all: running + ended, running, completed, failed, cancelled };
  if (state === 'all' || state === 'running') {
    const groups = state === 'running' ? [] : summary.groups.filter(group => group.total > group.running);
    return { totals, past: state === 'running' ? 0 : ended, groups };
  }
  const groups = summary.groups.map(group => ({ ...group, total: group[state] ?? 0, running: 0 }));
  return { totals, past: totals[state], groups: groups.filter(group => group.total > 0) };
}

/** The key of the group that a dispatch belongs to. */
export function groupOf(row: DispatchRow, grouping: Grouping): string {
  return { day: '', lattice: row.lattice, notebook: row.notebook }[grouping];
}

/**
 * Whether a dispatch matches, as the service sees it. One that the service has `found` matches the text: by the name of a
 * sublattice, for instance, which is not known here.
 */
export function passes(row: DispatchRow, { text, state, notebook }: Filter, found = false): boolean {
  const one = ONE[state];
  if ((state === 'running' && hasEnded(row)) || (one && row.status !== one)) {
    return false;
  }
  if (notebook && !isSameNotebook(row.notebook, notebook)) {
    return false;
  }
  return found || told(row).includes(text.trim().toLowerCase());
}

/** What of a dispatch is searched, in lower case: as the service searches. */
function told(row: DispatchRow): string {
  const { dispatch_id, name, label, lattice, notebook, note, tags, inputs, error } = row;
  const given = Object.entries(inputs).map(([input, value]) => `${input}=${value}`);
  const parts = [dispatch_id, name, label, lattice, notebook, note, ...tags, given.join(', '), error];
  return parts.join('\n').toLowerCase();
}
